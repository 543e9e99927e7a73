#include "cli/daemon_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <utility>

#include "cli/deadline.h"
#include "common/json_escapes.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "common/version.h"

namespace jamsock {

namespace {

namespace http = boost::beast::http;
using ResponseParser = http::response_parser<http::string_body>;

constexpr std::size_t read_size = 16 * 1024;
constexpr std::chrono::milliseconds look_pause{100};
constexpr std::string_view product = "jamsock/";

// `target` has only characters that a request line takes as they are.
std::string request_text(std::string_view method, std::string_view target, std::string_view body) {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: jamsock/{}\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        method, target, version(), body.size(), body);
}

Breakdown send_all(int fd, std::string_view text, Deadline deadline) {
    while (!text.empty()) {
        if (!wait_for_event(fd, POLLOUT, deadline)) return Breakdown::deadline_passed;
        const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            text.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno != EAGAIN && errno != EINTR) {
            return Breakdown::connection_lost;
        }
    }
    return Breakdown::none;
}

// One read into `buffer`; at the end of the stream, tells the parser.
Breakdown receive_some(int fd, boost::beast::flat_buffer& buffer, ResponseParser& parser,
                       Deadline deadline) {
    if (!wait_for_event(fd, POLLIN, deadline)) return Breakdown::deadline_passed;
    const ssize_t got = ::recv(fd, buffer.prepare(read_size).data(), read_size, MSG_DONTWAIT);
    if (got > 0) buffer.commit(static_cast<std::size_t>(got));
    if (got < 0 && errno != EAGAIN && errno != EINTR) return Breakdown::connection_lost;
    if (got == 0) {
        boost::system::error_code incomplete;
        if (parser.got_some()) parser.put_eof(incomplete);
        if (incomplete || !parser.is_done()) return Breakdown::connection_lost;
    }
    return Breakdown::none;
}

void take_whole_answers(ResponseParser& parser) {
    parser.eager(true);
    parser.body_limit(boost::none);
}

// One read, and what the parser makes of it.
Breakdown receive_and_parse(int fd, boost::beast::flat_buffer& buffer, ResponseParser& parser,
                            Deadline deadline) {
    const Breakdown broken = receive_some(fd, buffer, parser, deadline);
    if (broken != Breakdown::none || buffer.size() == 0) return broken;
    boost::system::error_code failed;
    buffer.consume(parser.put(buffer.data(), failed));
    const bool is_understood = !failed || failed == http::error::need_more;
    return is_understood ? Breakdown::none : Breakdown::not_understood;
}

Breakdown receive_answer(int fd, ResponseParser& parser, Deadline deadline) {
    boost::beast::flat_buffer buffer;
    take_whole_answers(parser);
    while (!parser.is_done()) {
        const Breakdown broken = receive_and_parse(fd, buffer, parser, deadline);
        if (broken != Breakdown::none) return broken;
    }
    return Breakdown::none;
}

// Takes the first whole event off `text` and gives its data: "data:…\n\n" (CONTRACT, SSE).
std::optional<std::string> take_event(std::string& text) {
    constexpr std::string_view begin = "data:", end = "\n\n";
    const auto length = text.find(end);
    if (length == std::string::npos) return std::nullopt;
    const std::string event = text.substr(0, length);
    text.erase(0, length + end.size());
    return event.starts_with(begin) ? event.substr(begin.size()) : event;
}

// Server: jamsock/0.1.0
std::string version_in(const ResponseParser::value_type& answer) {
    const auto field = answer[http::field::server];
    const std::string_view server(field.data(), field.size());
    return std::string(server.starts_with(product) ? server.substr(product.size()) : "");
}

tl::unexpected<Error> unreachable(int error) {
    return fail(ErrorCode::daemon_unavailable,
                fmt::format("The daemon can't be reached: {}.", ::strerror(error)),
                "jamsock daemon logs");
}

// At least a millisecond: none would be no limit.
timeval time_left(Deadline deadline) {
    using namespace std::chrono;
    const auto left =
        std::clamp<microseconds>(duration_cast<microseconds>(deadline - steady_clock::now()),
                                 milliseconds(1), timeouts::client_answer);
    return {duration_cast<seconds>(left).count(), (left % seconds(1)).count()};
}

Result<UniqueFd> connect_in(int directory_fd, Deadline deadline, bool& no_daemon) {
    sockaddr_un address{.sun_family = AF_UNIX};
    const std::string path = path_in(directory_fd, state_file::socket);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // A Unix connect waits while the backlog is full; SO_SNDTIMEO bounds that.
    const timeval limit = time_left(deadline);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (fd && ::connect(fd.get(), generic, sizeof address) == 0) return fd;
    const int error = errno;
    no_daemon = fd && (error == ENOENT || error == ECONNREFUSED);
    return unreachable(error);
}

std::string backend_path(const BackendId& id) {
    return "/v2/backend/" + id.str();
}

std::string service_path(const ServiceName& name) {
    return fmt::format("/v2/service/{}/{}/{}", name.account(), name.service(), name.environment());
}

}  // namespace

struct StatusStream::Answer {
    boost::beast::flat_buffer buffer;
    ResponseParser parser;
};

StatusStream::StatusStream(UniqueFd connection)
    : connection_(std::move(connection)), answer_(std::make_unique<Answer>()) {
    take_whole_answers(answer_->parser);
}

StatusStream::StatusStream(StatusStream&&) noexcept = default;
StatusStream& StatusStream::operator=(StatusStream&&) noexcept = default;
StatusStream::~StatusStream() = default;

std::vector<StatusChange> StatusStream::take(Deadline deadline) {
    std::vector<StatusChange> changes;
    while (is_open() && changes.empty() && wait_for_event(fd(), POLLIN, deadline)) {
        receive(deadline);
        changes = take_received();
    }
    return changes;
}

void StatusStream::receive(Deadline deadline) {
    ResponseParser& parser = answer_->parser;
    const Breakdown broken = receive_and_parse(fd(), answer_->buffer, parser, deadline);
    if (broken != Breakdown::none || parser.is_done()) connection_.reset();
    const bool is_stream = !parser.is_header_done() || parser.get().result_int() / 100 == 2;
    if (is_stream || !parser.is_done()) return;
    refusal_ = error_from_json(parser.get().body(), static_cast<int>(parser.get().result_int()));
}

std::vector<StatusChange> StatusStream::take_received() {
    std::vector<StatusChange> changes;
    if (refusal_) return changes;
    while (const auto event = take_event(answer_->parser.get().body())) {
        if (auto change = public_status_from_json(*event)) changes.push_back(std::move(*change));
    }
    return changes;
}

Result<std::optional<DaemonClient>> DaemonClient::open(int state_directory_fd,
                                                       std::chrono::milliseconds patience,
                                                       Deadline deadline) {
    UniqueFd directory(::fcntl(state_directory_fd, F_DUPFD_CLOEXEC, 0));
    if (!directory) return unreachable(errno);  // and no proof that no daemon is there
    bool no_daemon = false;
    auto connection = connect_in(directory.get(), deadline, no_daemon);
    if (no_daemon) return std::nullopt;
    if (!connection) return pass_on(connection);
    return DaemonClient(std::move(directory), std::move(*connection), patience);
}

bool DaemonClient::daemon_answers() const {
    auto other = open(directory_.get(), patience_);
    return other && *other && (*other)->version(deadline_in(patience_));
}

// Until `until`, or an answer begins.
bool DaemonClient::answer_begins(Deadline until) const {
    while (while_waiting_) {
        const Deadline next_look = std::min(until, deadline_in(look_pause));
        if (wait_for_event(connection_.get(), POLLIN, next_look)) return true;
        if (next_look == until) return false;
        while_waiting_();
    }
    return wait_for_event(connection_.get(), POLLIN, until);
}

Breakdown DaemonClient::wait_for_answer(Deadline deadline) const {
    for (;;) {
        const Deadline next_doubt = std::min(deadline, deadline_in(patience_));
        if (answer_begins(next_doubt)) return Breakdown::none;
        if (next_doubt == deadline || !daemon_answers()) return Breakdown::deadline_passed;
    }
}

Result<> DaemonClient::reconnect(Deadline deadline) {
    bool no_daemon = false;
    auto connection = connect_in(directory_.get(), deadline, no_daemon);
    if (!connection) return pass_on(connection);
    connection_ = std::move(*connection);
    return {};
}

tl::unexpected<Error> DaemonClient::broken(Breakdown why) {
    breakdown_ = why;
    const pid_t other = keeper_pid();
    connection_.reset();
    if (why == Breakdown::not_understood) {
        return fail(ErrorCode::daemon_unavailable,
                    fmt::format("The process {} listens on the daemon's socket and isn't the "
                                "daemon: its answer is no HTTP.",
                                other),
                    fmt::format("ps -fp {}", other));
    }
    const bool late = why == Breakdown::deadline_passed;
    return fail(ErrorCode::daemon_unavailable,
                late ? "The daemon didn't answer in time."
                     : "The daemon closed the connection before it answered.",
                "jamsock daemon logs");
}

Result<std::string> DaemonClient::call(std::string_view method, const std::string& target,
                                       std::string body, Deadline deadline) {
    breakdown_ = Breakdown::none;
    if (!connection_) {
        if (!reconnect(deadline)) return broken(Breakdown::connection_lost);
    }
    const std::string request = request_text(method, target, body);
    ResponseParser parser;
    Breakdown why = send_all(connection_.get(), request, deadline);
    if (why == Breakdown::none) why = wait_for_answer(deadline);
    if (why == Breakdown::none) why = receive_answer(connection_.get(), parser, deadline);
    if (why != Breakdown::none) return broken(why);
    if (!parser.keep_alive()) connection_.reset();
    daemon_version_ = version_in(parser.get());
    const int status = parser.get().result_int();
    if (status / 100 == 2) return std::move(parser.get().body());
    return tl::unexpected(error_from_json(parser.get().body(), status));
}

Result<StatusStream> DaemonClient::stream(const std::string& target, Deadline deadline) {
    breakdown_ = Breakdown::none;
    if (!connection_ && !reconnect(deadline)) return broken(Breakdown::connection_lost);
    const Breakdown why = send_all(connection_.get(), request_text("GET", target, {}), deadline);
    if (why != Breakdown::none) return broken(why);
    return StatusStream(std::move(connection_));
}

Result<> DaemonClient::order(const std::string& target, std::string body, Deadline deadline) {
    auto answer = call("POST", target, std::move(body), deadline);
    if (!answer) return pass_on(answer);
    return {};
}

template <class T>
Result<ApiAnswer<T>> DaemonClient::call_for(std::string_view method, const std::string& target,
                                            std::string body, Deadline deadline) {
    auto json = call(method, target, std::move(body), deadline);
    if (!json) return pass_on(json);
    auto value = T::from_json(*json);
    if (value) return ApiAnswer<T>{std::move(*value), with_controls_escaped(*std::move(json))};
    return fail(ErrorCode::internal,
                fmt::format("The daemon's answer can't be understood. {}", value.error().message),
                "jamsock daemon restart");
}

// The parts of a ServiceName and a BackendId have only letters that a path takes as they are.
Result<ApiAnswer<ConnectResponse>> DaemonClient::connect(const ServiceName& service,
                                                         const ConnectRequest& request,
                                                         bool wait_until_ready, Deadline deadline) {
    const std::string target =
        service_path(service) + (wait_until_ready ? "/connect?wait=ready" : "/connect");
    return call_for<ConnectResponse>("POST", target, request.to_json(), deadline);
}

Result<ApiAnswer<KeyList>> DaemonClient::keys(Deadline deadline, const KeyQuery& query) {
    std::string target = fmt::format("/v2/account/{}/keys", ServiceName::local_account);
    char before = '?';
    const std::string usage = query.usage ? "true" : "";
    for (const auto& [name, value] :
         {std::pair{"service", query.service}, {"prefix", query.prefix}, {"usage", usage}}) {
        if (value.empty()) continue;
        target += fmt::format("{}{}={}", before, name, percent_encoded(value));
        before = '&';
    }
    return call_for<KeyList>("GET", target, {}, deadline);
}

Result<ApiAnswer<EventList>> DaemonClient::events(const std::string& since,
                                                  std::chrono::seconds wait, Deadline deadline) {
    return call_for<EventList>("GET",
                               fmt::format("/v2/account/{}/events?since={}&wait={}",
                                           ServiceName::local_account, since, wait.count()),
                               {}, deadline);
}

Result<ApiAnswer<KeyHistory>> DaemonClient::history(const ServiceName& service, const Key& key,
                                                    std::size_t most, Deadline deadline) {
    return call_for<KeyHistory>(
        "GET",
        fmt::format("/v2/account/{}/history?service={}&key={}&limit={}", service.account(),
                    service.service(), percent_encoded(key.str()), most),
        {}, deadline);
}

Result<ApiAnswer<BackendInfo>> DaemonClient::backend(const BackendId& id, Deadline deadline) {
    return call_for<BackendInfo>("GET", backend_path(id), {}, deadline);
}

Result<StatusStream> DaemonClient::statuses(const BackendId& id, Deadline deadline) {
    return stream(backend_path(id) + "/status/stream", deadline);
}

Result<StatusStream> DaemonClient::hold(const BackendId& id, Deadline deadline) {
    return stream(backend_path(id) + "/hold", deadline);
}

Result<> DaemonClient::terminate(const BackendId& id, const TerminateRequest& request,
                                 bool wait_until_ended, Deadline deadline) {
    const char* query = wait_until_ended ? "?wait=terminated" : "";
    return order(backend_path(id) + "/terminate" + query, request.to_json(), deadline);
}

Result<ApiAnswer<RevokeResponse>> DaemonClient::revoke(const BackendId& id,
                                                       const RevokeRequest& request,
                                                       Deadline deadline) {
    return call_for<RevokeResponse>("POST", backend_path(id) + "/revoke", request.to_json(),
                                    deadline);
}

Result<> DaemonClient::create_service(const ServiceCreateRequest& request, Deadline deadline) {
    return order(fmt::format("/v2/account/{}/service", request.name.account()), request.to_json(),
                 deadline);
}

Result<ApiAnswer<ServiceList>> DaemonClient::services(Deadline deadline) {
    return call_for<ServiceList>(
        "GET", fmt::format("/v2/account/{}/services", ServiceName::local_account), {}, deadline);
}

Result<ApiAnswer<ServiceInfo>> DaemonClient::service(const ServiceName& name, Deadline deadline) {
    return call_for<ServiceInfo>(
        "GET", fmt::format("/v2/service/{}/{}", name.account(), name.service()), {}, deadline);
}

Result<> DaemonClient::update_service(const ServiceName& name, const ServiceUpdateRequest& change,
                                      Deadline deadline) {
    return order(service_path(name) + "/update", change.to_json(), deadline);
}

Result<> DaemonClient::delete_service(const ServiceName& name, const ServiceDeleteRequest& request,
                                      Deadline deadline) {
    return order(service_path(name) + "/delete", request.to_json(), deadline);
}

Result<ApiAnswer<VersionInfo>> DaemonClient::version(Deadline deadline) {
    return call_for<VersionInfo>("GET", "/version", {}, deadline);
}

pid_t DaemonClient::keeper_pid() const {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return 0;
    return peer.pid;
}

}  // namespace jamsock
