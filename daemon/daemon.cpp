#include "daemon/daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <unordered_set>

#include "common/clock.h"
#include "common/runtime_paths.h"
#include "common/timeouts.h"
#include "common/version.h"
#include "daemon/api/api.h"
#include "daemon/api/log_stream.h"
#include "daemon/api/metrics_stream.h"
#include "daemon/api/metrics_text.h"
#include "daemon/api/short_body.h"
#include "daemon/api_token.h"
#include "daemon/asio.h"
#include "daemon/backends/program_check.h"
#include "daemon/backends/step.h"
#include "daemon/backends/supervisor.h"
#include "daemon/born_children.h"
#include "daemon/configuration.h"
#include "daemon/descriptor_share.h"
#include "daemon/expendable_threads.h"
#include "daemon/helper_thread.h"
#include "daemon/housekeeping.h"
#include "daemon/http/server.h"
#include "daemon/log.h"
#include "daemon/pauses.h"
#include "daemon/plain_environment.h"
#include "daemon/processors.h"
#include "daemon/proxy/peer.h"
#include "daemon/proxy/proxy.h"
#include "daemon/registry/registry.h"
#include "daemon/state_watch.h"
#include "daemon/store/store.h"
#include "daemon/store/store_writer.h"
#include "daemon/tcp_sockets.h"

#include <boost/asio/signal_set.hpp>

namespace jamsock {

namespace {

constexpr unsigned most_proxy_threads = 4;
constexpr std::size_t most_path_looks = 4;

// Raises this process's limit to what the system allows; gives the limit that backends shall have.
std::int64_t raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto before = static_cast<std::int64_t>(limit.rlim_cur);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return before;
}

std::vector<UniqueFd> proxy_sockets(WorkerInputs& inputs) {
    std::vector<UniqueFd> sockets;
    sockets.push_back(std::move(inputs.proxy_socket));
    if (inputs.proxy_socket_ipv6) sockets.push_back(std::move(inputs.proxy_socket_ipv6));
    return sockets;
}

ProxyLimits proxy_limits(const Configuration& configuration) {
    ProxyLimits limits = configuration.proxy;
    limits.hosts = configuration.hosts;
    limits.max_strangers = most_strangers(descriptor_limit());
    return limits;
}

struct OwnMemory {
    std::uint64_t resident_bytes = 0;
    std::uint64_t virtual_bytes = 0;
};

OwnMemory own_memory() {
    std::uint64_t all = 0;
    std::uint64_t resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    return {resident * page, all * page};
}

double in_seconds(Pauses::Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double own_cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

bool is_same_user(int connection) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == ::geteuid();
}

struct Stores {
    Store reading;
    std::unique_ptr<StoreWriter> writer;
};

class Worker {
  public:
    Worker(WorkerInputs inputs, UniqueFd directory, const Configuration& configuration,
           std::string api_token, Stores stores, std::vector<Store::ServiceRow> services,
           BackendFiles files, UniqueFd& ready);
    // Fails if the backends that live can't be taken over.
    Result<> run();

  private:
    ServerOptions server_options(Peer peer) const;
    void add_server(UniqueFd listening, Peer peer);
    Task<> serve();
    Task<Result<>> recover();
    Task<> adopt(const BackendRecord& record, const std::optional<ReadyMark>& ready);
    Task<> keep_house();
    void look_at_state_directory();
    Task<> sweep();
    Task<> checkpoint();
    Task<> stop();
    VersionInfo version_info() const;
    std::string metrics() const;

    WorkerInputs inputs_;
    UniqueFd& ready_;
    UniqueFd directory_;
    StateWatch state_watch_;
    std::string database_;
    std::uint16_t proxy_port_;
    std::uint16_t api_port_;
    bool dev_;
    std::int64_t started_at_ = wall_milliseconds();
    asio::io_context loop_{1};
    HelperThread helper_;
    ExpendableThreads path_looks_{loop_, most_path_looks};
    Store store_;
    std::unique_ptr<StoreWriter> writer_;
    BackendFiles files_;
    Supervisor supervisor_;
    Proxy proxy_;
    Services services_;
    Registry registry_;
    LogStreams logs_;
    MetricsStreams metrics_;
    Api api_;
    std::shared_ptr<ConnectionCount> api_connections_ = std::make_shared<ConnectionCount>();
    TcpInquiry inquiry_;
    std::shared_ptr<StrangerRow> strangers_ = std::make_shared<StrangerRow>(
        StrangerRow::Rules{.places = most_api_strangers(descriptor_limit()),
                         .own_user = ::geteuid(),
                         .user_of = [this](int fd) { return peer_user(inquiry_, fd); }});
    std::vector<std::unique_ptr<Server>> servers_;
    Housekeeping housekeeping_;
    std::optional<StateWatch::Look> seen_;  // of the state directory, and said
    Result<> recovered_;
    bool stopping_ = false;
    bool is_sweeping_ = false;
    Pauses pauses_;
    Event stop_;
};

Worker::Worker(WorkerInputs inputs, UniqueFd directory, const Configuration& configuration,
               std::string api_token, Stores stores, std::vector<Store::ServiceRow> services,
               BackendFiles files, UniqueFd& ready)
    : inputs_(std::move(inputs)),
      ready_(ready),
      directory_(std::move(directory)),
      state_watch_(directory_.get(), inputs_.daemon_lock.get()),
      database_(inputs_.state_directory + "/" + state_file::database),
      proxy_port_(bound_port(inputs_.proxy_socket.get())),
      api_port_(bound_port(inputs_.api_tcp.get())),
      dev_(inputs_.dev || configuration.dev),
      store_(std::move(stores.reading)),
      writer_(std::move(stores.writer)),
      files_(std::move(files)),
      supervisor_(
          loop_, files_, helper_,
          {inputs_.shim_program.get(), raise_descriptor_limit(),
           [this] { return state_watch_.keeps_lock(); }, born_children()},
          [this](const BackendEvent& event) { registry_.on_event(event); },
          [this](const BackendId& id) { registry_.on_exit(id); },
          [this] { return registry_.recorded(); }),
      proxy_(proxy_sockets(inputs_), std::min(usable_processors(), most_proxy_threads),
             proxy_limits(configuration),
             [this](std::string hash, auto answer) {
                 asio::post(loop_, [this, hash = std::move(hash), answer = std::move(answer)] {
                     answer(registry_.identity(hash));
                 });
             }),
      services_(store_, *writer_, std::move(services),
                Command{{helper_program("jamsock-demo")}, "/"},
                [this](const Command& command) { return check_program(command, path_looks_); }),
      registry_(store_, *writer_, services_, supervisor_,
                {[this](auto route) { proxy_.publish(std::move(route)); },
                 [this](std::uint64_t serial) { proxy_.remove(serial); },
                 [this](std::uint64_t serial) { proxy_.cut_revoked(serial); }},
                {fmt::format("http://127.0.0.1:{}/", proxy_port_),
                 fmt::format("http://127.0.0.1:{}", api_port_),
                 inputs_.state_directory + "/" + state_file::mounts, &BootClock::now,
                 plain_environment(timeouts::user_look_up), files_.state_directory()}),
      logs_(loop_, registry_, files_, helper_),
      metrics_(loop_, registry_,
               [this](const std::vector<BackendId>& ids) { return supervisor_.usage(ids); }),
      api_(
          registry_, services_, [this] { return version_info(); },
          {.token = std::move(api_token), .takes_dev_token = dev_, .hosts = configuration.hosts},
          {.most = most_streams(descriptor_limit()),
           .logs = [this](const BackendId& id,
                          EventStream& events) { return logs_.send(id, events); },
           .metrics = [this](const BackendId& id,
                             EventStream& events) { return metrics_.send(id, events); }},
          [this] { return metrics(); }),
      housekeeping_(store_, *writer_, files_, helper_,
                    {.history_life = configuration.history,
                     .locks_in_use = [this] { return registry_.locks_in_use(); }}) {
    add_server(std::move(inputs_.api_socket), Peer::same_user);
    add_server(std::move(inputs_.api_tcp), Peer::anyone);
    if (inputs_.api_tcp_ipv6) add_server(std::move(inputs_.api_tcp_ipv6), Peer::anyone);
}

void Worker::add_server(UniqueFd listening, Peer peer) {
    servers_.push_back(std::make_unique<Server>(
        loop_, std::move(listening), [this](const Request& request) { return api_.serve(request); },
        server_options(peer)));
}

ServerOptions Worker::server_options(Peer peer) const {
    const std::size_t limit = descriptor_limit();
    ServerOptions options{
        .refuse =
            [peer](int status, std::string sentence) {
                return Api::refuse(peer, status, std::move(sentence));
            },
        .peer = peer,
        .turns_away = [this](const Request& head) { return api_.turns_away(head); },
        .on_exception = [this](const Request& request,
                               const std::string& what) { return api_.met_bug(request, what); },
        .missing_bytes = &missing_bytes,
        .most_connections = most_with_tcp_client(limit),
        .connections = api_connections_};
    if (peer == Peer::same_user) {
        options.accept_filter = &is_same_user;
        options.most_connections = most_api_connections(limit);
    } else {
        options.is_known = [this](const Request& head) { return api_.is_known(head); };
        options.strangers = strangers_;
        options.is_gone = [](int fd) { return peer_state(fd) == PeerState::gone; };
    }
    return options;
}

Result<> Worker::run() {
    asio::signal_set signals(loop_, SIGTERM, SIGINT);
    signals.async_wait([this](error_code failed, int) {
        if (failed) return;
        stopping_ = true;
        writer_->hurry(timeouts::last_store_write);
        stop_.notify_all();
    });
    asio::co_spawn(loop_, registry_.keep_recording(), asio::detached);
    asio::co_spawn(loop_, serve(), [this](const std::exception_ptr& failure) {
        loop_.stop();
        if (failure) std::rethrow_exception(failure);
    });
    loop_.run();
    return recovered_;
}

Task<> Worker::serve() {
    recovered_ = co_await recover();
    if (!recovered_) {
        co_await registry_.finish_recording();
        co_return;
    }
    proxy_.start();
    for (const auto& server : servers_)
        server->start();
    log::info("serving {} backends; the proxy listens on 127.0.0.1:{}, the API on 127.0.0.1:{}",
              registry_.live_count(), proxy_port_, api_port_);
    if (dev_) {
        log::warn(
            "dev mode: the API takes the token '-', so every user of this machine may start "
            "backends");
    }
    if (ready_) {
        constexpr std::string_view ready = "ready\n";
        [[maybe_unused]] const auto told = ::write(ready_.get(), ready.data(), ready.size());
        ready_.reset();
    }
    co_await keep_house();
    co_await stop();
}

// Before any request: what the directories name, and what only the database does.
Task<Result<>> Worker::recover() {
    std::unordered_set<BackendId> seen;
    auto found = co_await supervisor_.find_live();
    if (!found) co_return pass_on(found);
    at_step(Step::live_found);
    // Of two directories for one key the newer one holds it.
    std::ranges::sort(*found, std::greater{}, [](const auto& f) { return f.record.fencing_token; });
    for (const auto& [record, ready] : *found)
        seen.insert(record.id);
    const std::optional<ReadyMark> none;
    auto recorded = registry_.recorded_live();
    if (!recorded) co_return pass_on(recorded);
    std::erase_if(*recorded, [&](const BackendRecord& record) { return seen.contains(record.id); });
    // What lives wins over the rows: those of backends that have ended go first, and free their
    // keys.
    const auto unknown = std::ranges::stable_partition(
        *recorded, [this](const BackendRecord& record) { return supervisor_.has_ended(record); });
    for (const BackendRecord& record : std::ranges::subrange(recorded->begin(), unknown.begin()))
        co_await adopt(record, none);
    for (const auto& [record, ready] : *found)
        co_await adopt(record, ready);
    for (const BackendRecord& record : unknown)
        co_await adopt(record, none);
    co_return registry_.recall_revoked();
}

Task<> Worker::adopt(const BackendRecord& record, const std::optional<ReadyMark>& ready) {
    const StatusChange last = co_await registry_.take_in(record, ready);
    at_step(Step::one_taken_in);
    supervisor_.adopt(record, last);
    at_step(Step::one_adopted);
}

Task<> Worker::keep_house() {
    Deadline next_idle_look = after(timeouts::idle_look);
    asio::co_spawn(loop_, sweep(), asio::detached);
    asio::co_spawn(loop_, watch_pauses(pauses_, stop_, stopping_), asio::detached);
    while (!stopping_) {
        const Deadline next_look = after(timeouts::state_look);
        co_await stop_.wait_until(next_look);
        if (stopping_) co_return;
        look_at_state_directory();
        if (std::chrono::steady_clock::now() < next_idle_look) continue;
        next_idle_look = after(timeouts::idle_look);
        registry_.look_after();
        log::tell_refusals();
    }
}

// Beside all else: it waits for the disk.
Task<> Worker::sweep() {
    is_sweeping_ = true;
    Deadline next_checkpoint = after(timeouts::checkpoint_pause);
    while (!stopping_) {
        const Deadline next_step = after(timeouts::idle_look);
        co_await stop_.wait_until(next_step);
        if (stopping_) break;
        co_await housekeeping_.step();
        if (std::chrono::steady_clock::now() >= next_checkpoint) {
            co_await checkpoint();
            next_checkpoint = after(timeouts::checkpoint_pause);
        }
    }
    is_sweeping_ = false;
    stop_.notify_all();
}

// What is lost only the keeper can regain, as it starts anew; if another daemon came meanwhile, it
// ends then, and so does this worker.
void Worker::look_at_state_directory() {
    using Look = StateWatch::Look;
    const Look look = state_watch_.look();
    if (std::exchange(seen_, look) == look) return;
    if (look == Look::covered) {
        log::error("something else has the name of the daemon's socket, {}; it is left as it is",
                   state_file::socket);
    } else if (look == Look::lost) {
        log::error("the daemon's lock or socket was removed or replaced; starting anew");
        ::kill(::getppid(), SIGHUP);
    } else if (look == Look::removed) {
        log::error("the state directory was removed; stopping");
        ::kill(::getppid(), SIGTERM);
    }
}

Task<> Worker::checkpoint() {
    return helper_.run([path = database_] { Store::checkpoint(path); });
}

// Backends go on without us: their shims carry them.
Task<> Worker::stop() {
    log::tell_refusals(/*at_the_end=*/true);
    log::info("stopping; {} backends go on", registry_.live_count());
    for (const auto& server : servers_)
        server->begin_stop();
    registry_.stop();
    logs_.stop();
    metrics_.stop();
    for (const auto& server : servers_)
        co_await server->stop();
    proxy_.stop();
    co_await supervisor_.stop();
    co_await registry_.finish_recording();
    while (is_sweeping_)
        co_await stop_.wait_until(never);
    co_await writer_->finish();
}

VersionInfo Worker::version_info() const {
    return {.version = std::string(version()),
            .pid = ::getpid(),
            .started_at = started_at_,
            .proxy_port = proxy_port_,
            .api_port = api_port_,
            .backends = registry_.live_count(),
            .dev = dev_};
}

std::string Worker::metrics() const {
    const Registry::Counts& counts = registry_.counts();
    const ProxyTraffic traffic = proxy_.traffic();
    const auto [resident, virtual_memory] = own_memory();
    return metrics_text({.version = std::string(version()),
                         .backends = registry_.live_by_status(),
                         .keys_held = registry_.keys_held(),
                         .connects = counts.connects,
                         .spawn_to_ready = counts.spawn_to_ready,
                         .proxy_requests = traffic.requests,
                         .proxy_bytes = traffic.bytes,
                         .store_writes = writer_->write_times(),
                         .streams = api_.open_streams(),
                         .longest_pause = in_seconds(pauses_.longest()),
                         .longest_recent_pause = in_seconds(pauses_.lately(Pauses::Clock::now())),
                         .lost_log_lines = log::lost_lines(),
                         .open_descriptors = open_descriptors(),
                         .most_descriptors = descriptor_limit(),
                         .resident_memory = resident,
                         .virtual_memory = virtual_memory,
                         .cpu_seconds = own_cpu_seconds(),
                         .started_at = static_cast<double>(started_at_) / 1000});
}

}  // namespace

Result<> run_worker(WorkerInputs inputs, UniqueFd& ready) {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGCHLD, SIG_IGN);  // shims are watched by their channels, and reaped by the kernel
    if (::sodium_init() < 0) return fail(ErrorCode::internal, "libsodium can't be used here.");

    auto configuration = Configuration::read(inputs.config_file);
    // The keeper refuses to start with such a file; a running daemon goes on.
    if (!configuration) {
        log::warn("{} Until then nothing of the history is swept, and all else is as if not set.",
                  configuration.error().message);
        configuration = Configuration::that_keeps_all();
    }
    auto directory = open_state_directory(inputs.state_directory);
    if (!directory) return pass_on(directory);
    watch_steps(directory->get());
    auto files = BackendFiles::open(directory->get());
    if (!files) return pass_on(files);
    auto store = Store::open(inputs.state_directory + "/" + state_file::database);
    if (!store) return pass_on(store);

    auto reading = Store::open_for_reading(inputs.state_directory + "/" + state_file::database);
    if (!reading) return pass_on(reading);
    auto services = reading->services();
    if (!services) return pass_on(services);
    Stores stores{*std::move(reading), StoreWriter::on_a_thread(*std::move(store))};

    std::string api_token = kept_or_new_api_token(directory->get());
    return Worker(std::move(inputs), std::move(*directory), *configuration, std::move(api_token),
                  std::move(stores), std::move(*services), std::move(*files), ready)
        .run();
}

}  // namespace jamsock
