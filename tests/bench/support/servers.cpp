#include "tests/bench/support/servers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "common/api_types.h"
#include "common/environment.h"
#include "tests/support/eventually.h"

namespace jamsock::bench {

namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;
// Of the length that a URL of jamsock has, so that all answers carry about the same.
const std::string holder(70, 'x');

test::RunOptions options_in(const std::string& directory) {
    return {.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", directory}},
            .directory = directory,
            .limit = std::chrono::hours(1)};
}

std::string resp(std::initializer_list<std::string> words) {
    std::string text = fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words)
        text += fmt::format("${}\r\n{}\r\n", word.size(), word);
    return text;
}

std::string big_endian(std::uint32_t number, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text += static_cast<char>(number >> shift & 0xFF);
    return text;
}

// A message of PostgreSQL's protocol 3: a letter, the length, the content.
std::string message(char kind, const std::string& content) {
    return kind + big_endian(static_cast<std::uint32_t>(content.size()) + 4, 4) + content;
}

const std::string nul(1, '\0');

std::string startup() {
    const std::string content = big_endian(3 << 16, 4) + "user" + nul + "bench" + nul + "database" +
                                nul + "postgres" + nul + nul;
    return big_endian(static_cast<std::uint32_t>(content.size()) + 4, 4) + content;
}

std::string parse(const std::string& name, const std::string& sql) {
    return message('P', name + nul + sql + nul + big_endian(0, 2));
}

// Runs a prepared statement with one text parameter.
std::string bind_and_execute(const std::string& name, const std::string& parameter) {
    const std::string parameters = big_endian(0, 2) + big_endian(1, 2) +
                                   big_endian(static_cast<std::uint32_t>(parameter.size()), 4) +
                                   parameter;
    return message('B', nul + name + nul + parameters + big_endian(0, 2)) +
           message('E', nul + big_endian(0, 4));
}

std::string sync() {
    return message('S', "");
}

std::string greeting() {
    return startup() +
           parse("hold", fmt::format("INSERT INTO holder VALUES ($1, '{}') ON CONFLICT DO NOTHING",
                                     holder)) +
           parse("find", "SELECT holder FROM holder WHERE key = $1") + sync();
}

}  // namespace

std::optional<std::string> find_program(const std::string& name) {
    std::vector<fs::path> places{"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"};
    std::error_code absent;
    for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", absent))
        places.push_back(version.path() / "bin");
    for (const fs::path& place : places) {
        if (::access((place / name).c_str(), X_OK) == 0) return (place / name).string();
    }
    return std::nullopt;
}

std::string own_program(const std::string& name) {
    return JAMSOCK_BUILD_DIR "/tests/bench/" + name;
}

std::string jamsock_program() {
    return JAMSOCK_BUILD_DIR "/bin/jamsock";
}

std::uint16_t free_port() {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0) {
        throw std::runtime_error("no port is free");
    }
    return ntohs(address.sin_port);
}

RunningServer::~RunningServer() {
    if (!child_) return;
    ::kill(child_->pid(), end_signal_);
    child_->wait();
}

void RunningServer::start(Server server, const std::vector<std::string>& argv) {
    child_.emplace(test::Child::start(argv, options_in(directory_.path())));
    server.process = child_->pid();
    server_ = std::move(server);
    const auto accepts = [this] {
        try {
            Conversation(server_, {});
            return true;
        } catch (const std::runtime_error&) {
            return false;
        }
    };
    if (!test::eventually(accepts)) throw std::runtime_error(server_.name + " does not start");
}

EchoServer::EchoServer(std::size_t body_length) {
    start({"bare echo", directory().path("socket")},
          {own_program("echo_server"), directory().path("socket"), std::to_string(body_length)});
}

RedisServer::RedisServer() {
    const auto program = find_program("redis-server");
    if (!program) return;
    start({"Redis", directory().path("socket")},
          {*program, "--port", "0", "--unixsocket", directory().path("socket"), "--save", "",
           "--appendonly", "no", "--daemonize", "no"});
}

PostgresServer::PostgresServer() {
    const auto initdb = find_program("initdb");
    const auto postgres = find_program("postgres");
    if (!initdb || !postgres) return;
    std::vector<std::string> as_user;
    if (::geteuid() == 0) {
        if (::chown(directory().path().c_str(), nobody, nobody) != 0) return;
        as_user = {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    }
    const auto with_user = [&as_user](std::vector<std::string> argv) {
        argv.insert(argv.begin(), as_user.begin(), as_user.end());
        return argv;
    };
    const std::string data = directory().path("data");
    const auto made = test::run(with_user({*initdb, "-D", data, "-U", "bench", "--auth=trust",
                                           "--encoding=UTF8", "--locale=C", "--no-sync"}),
                                options_in(directory().path()));
    if (made.exit_code != 0) throw std::runtime_error("initdb: " + made.err);
    start({"PostgreSQL", directory().path(".s.PGSQL.5432")},
          with_user({*postgres, "-D", data, "-c", "listen_addresses=", "-c",
                     "unix_socket_directories=" + directory().path()}));
    end_signal_ = SIGINT;  // end sessions, then yourself
    server_.process = 0;   // a process for each connection does the work
    const Talk table{.request = {},
                     .answer_size = postgres_answer_size,
                     .greeting = startup() + message('Q',
                                                     "CREATE TABLE holder (key text PRIMARY "
                                                     "KEY, holder text)" +
                                                         nul),
                     .greeting_answers = 2};
    const bool is_up = test::eventually([&] {
        try {
            Conversation(server(), table);
            return true;
        } catch (const std::runtime_error&) {  // "the database system is starting up"
            return false;
        }
    });
    if (!is_up) throw std::runtime_error("PostgreSQL doesn't start");
}

Talk jamsock_connect(const std::string& key) {
    return {.request = post_text(fmt::format("{}?wait=ready", connect_target),
                                 ConnectRequest{.key = Key::parse(key).value()}.to_json())};
}

Talk jamsock_lookup(const std::string& key) {
    const ConnectRequest request{.key = Key::parse(key).value(), .spawn = false};
    return {.request = post_text(connect_target, request.to_json())};
}

Talk redis_connect(const std::string& key) {
    return {.request = resp({"SET", key, holder, "NX", "GET"}), .answer_size = redis_answer_size};
}

Talk redis_lookup(const std::string& key) {
    return {.request = resp({"GET", key}), .answer_size = redis_answer_size};
}

Talk postgres_connect(const std::string& key) {
    return {.request = bind_and_execute("hold", key) + bind_and_execute("find", key) + sync(),
            .answer_size = postgres_answer_size,
            .greeting = greeting(),
            .greeting_answers = 2};
}

Talk postgres_lookup(const std::string& key) {
    return {.request = bind_and_execute("find", key) + sync(),
            .answer_size = postgres_answer_size,
            .greeting = greeting(),
            .greeting_answers = 2};
}

std::string post_text(const std::string& target, const std::string& json) {
    return fmt::format(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: jamsock-bench\r\n"
        "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        target, json.size(), json);
}

}  // namespace jamsock::bench
