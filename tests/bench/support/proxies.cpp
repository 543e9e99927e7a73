#include "tests/bench/support/proxies.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"

namespace jamsock::bench {

namespace {

constexpr const char* nginx_configuration = R"(
daemon off;
worker_processes 1;
worker_rlimit_nofile @descriptors@;
pid @directory@/nginx.pid;
error_log @directory@/error.log;
events { worker_connections @descriptors@; }
http {
    access_log off;
    client_body_temp_path @directory@/client_body;
    proxy_temp_path @directory@/proxy;
    fastcgi_temp_path @directory@/fastcgi;
    uwsgi_temp_path @directory@/uwsgi;
    scgi_temp_path @directory@/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    map $token $backend {
        default "";
        @token@ backend_1;
    }
    map $http_upgrade $connection_upgrade {
        default upgrade;
        "" "";
    }
    upstream backend_1 {
        server 127.0.0.1:@backend_port@;
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:@port@;
        location ~ ^/(?<token>[A-Za-z0-9_-]+)(?<rest>/.*)$ {
            if ($backend = "") { return 410; }
            proxy_pass http://$backend$rest$is_args$args;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }
    }
}
)";

constexpr const char* haproxy_configuration = R"(
global
    nbthread 1
    maxconn @clients@
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend tokens
    bind 127.0.0.1:@port@
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-var(txn.backend) path,field(2,/),map(@directory@/tokens.map)
    http-request return status 410 unless { var(txn.backend) -m found }
    http-request replace-path /[^/]+(/.*) \1
    use_backend %[var(txn.backend)]
backend backend_1
    http-reuse always
    server one 127.0.0.1:@backend_port@
)";

using Values = std::vector<std::pair<std::string, std::string>>;

// The text with every "@name@" replaced.
std::string filled(std::string text, const Values& values) {
    for (const auto& [name, value] : values) {
        const std::string place = "@" + name + "@";
        for (auto at = text.find(place); at != std::string::npos; at = text.find(place))
            text.replace(at, place.size(), value);
    }
    return text;
}

rlim_t descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void write_file(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
}

// The one child of a master.
pid_t worker_of(pid_t master) {
    pid_t worker = 0;
    test::eventually([&] {
        const auto below = descendants(all_processes(), master);
        if (below.size() == 1) worker = below.front().pid;
        return worker != 0;
    });
    if (worker == 0) throw std::runtime_error("nginx has no worker");
    return worker;
}

ConnectRequest http_backend() {
    return {.key = Key::parse("document-123").value(),
            .command = Command{{own_program("http_backend")}, "/"},
            .base_environment = EnvironmentMap{}};
}

cpu_set_t set_of(const std::vector<int>& processors) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int processor : processors)
        CPU_SET(static_cast<std::size_t>(processor), &set);
    return set;
}

// The processors that this process may run on.
std::vector<int> own_processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    std::vector<int> processors;
    for (int i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(static_cast<std::size_t>(i), &set)) processors.push_back(i);
    return processors;
}

// All threads of the process; what it starts from then on, too.
void place(pid_t process, const std::vector<int>& processors) {
    const cpu_set_t set = set_of(processors);
    for (const auto& thread :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process))) {
        ::sched_setaffinity(std::stoi(thread.path().filename()), sizeof set, &set);
    }
}

// For the programs that are started next: jamsock has as many proxy threads as processors.
std::vector<int> stay_on_first(std::vector<int> processors) {
    place(::getpid(), {processors.front()});
    return processors;
}

// What a browser sends along.
constexpr const char* browser_fields =
    "Host: localhost\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Cookie: theme=dark; session=4f1c2a9b7e6d4835\r\n"
    "Sec-Fetch-Mode: navigate\r\n";

Talk get(const std::string& target) {
    return {.request = fmt::format("GET {} HTTP/1.1\r\n{}Connection: keep-alive\r\n\r\n", target,
                                   browser_fields),
            .keeps_answers = false};
}

std::string masked_frame() {
    constexpr std::size_t size = 64;
    const std::string mask = "mask";
    std::string frame = "\x81" + std::string(1, static_cast<char>(0x80 | size)) + mask;
    for (std::size_t i = 0; i < size; ++i)
        frame += static_cast<char>('x' ^ mask[i % mask.size()]);
    return frame;
}

}  // namespace

JamsockProxy::JamsockProxy() {
    const auto connected = home_.home().connect(http_backend());
    if (!connected) throw std::runtime_error(connected.error().message);
    const BackendInfo backend = home_.home().backend(connected->backend_id);
    token_ = connected->token;
    proxy_port_ = home_.home().version().value().proxy_port;
    backend_port_ = backend.port;
    backend_ = backend.pid.value();
}

Way JamsockProxy::way() const {
    return {{.name = "jamsock",

             .process = home_.home().worker(),
             .port = proxy_port_},
            "/" + token_};
}

Way JamsockProxy::direct() const {
    return {{.name = "direct", .process = 0, .port = backend_port_}, {}};
}

NginxServer::NginxServer(const std::string& token, std::uint16_t backend_port) {
    const auto program = find_program("nginx");
    server_.name = "nginx";
    if (!program) return;
    const std::uint16_t port = free_port();
    const std::string file = directory().path("nginx.conf");
    std::string text = filled(nginx_configuration, {{"directory", directory().path()},
                                                    {"descriptors", std::to_string(descriptors())},
                                                    {"token", token},
                                                    {"backend_port", std::to_string(backend_port)},
                                                    {"port", std::to_string(port)}});
    if (::geteuid() == 0) text = "user root;" + text;  // its directory is this user's alone
    write_file(file, text);
    start({.name = "nginx", .port = port},
          {*program, "-p", directory().path(), "-e", directory().path("error.log"), "-c", file});
    server_.process = worker_of(server_.process);
}

HaproxyServer::HaproxyServer(const std::string& token, std::uint16_t backend_port) {
    const auto program = find_program("haproxy");
    server_.name = "HAProxy";
    if (!program) return;
    const std::uint16_t port = free_port();
    const std::string file = directory().path("haproxy.cfg");
    write_file(directory().path("tokens.map"), token + " backend_1\n");
    write_file(file,
               filled(haproxy_configuration, {{"directory", directory().path()},
                                              {"clients", std::to_string(descriptors() / 2 - 100)},
                                              {"backend_port", std::to_string(backend_port)},
                                              {"port", std::to_string(port)}}));
    start({.name = "HAProxy", .port = port}, {*program, "-db", "-f", file});
}

RelayServer::RelayServer(std::uint16_t backend_port) {
    const std::uint16_t port = free_port();
    start({.name = "relay", .port = port},
          {own_program("relay"), std::to_string(port), std::to_string(backend_port)});
}

Proxies::Proxies(const std::vector<std::string>& against, bool is_spread)
    : processors_(stay_on_first(own_processors())) {
    const auto is_wanted = [&against](const char* name) {
        return std::ranges::count(against, name) > 0;
    };
    const std::string& token = jamsock_.token();
    const std::uint16_t port = jamsock_.backend_port();
    if (is_wanted("nginx")) nginx_.emplace(token, port);
    if (is_wanted("HAProxy")) haproxy_.emplace(token, port);
    if (is_wanted("relay")) relay_.emplace(port);

    const bool is_apart = processors_.size() > 1 && !is_spread;
    const std::vector<int> rest = is_apart ? std::vector{processors_[1]} : processors_;
    place(::getpid(), rest);
    place(jamsock_.backend(), rest);
    if (!is_apart) spread(processors_);
}

void Proxies::spread(const std::vector<int>& processors) const {
    for (const Way& way : ways())
        if (way.server.process) place(way.server.process, processors);
}

std::vector<Way> Proxies::ways() const {
    const std::string prefix = "/" + jamsock_.token();
    std::vector<Way> list{jamsock_.way()};
    if (nginx_) list.push_back({nginx_->server(), prefix});
    if (haproxy_) list.push_back({haproxy_->server(), prefix});
    if (relay_) list.push_back({relay_->server(), {}});
    return list;
}

Talk get_small(const std::string& prefix) {
    return get(prefix + "/small");
}

Talk get_large(const std::string& prefix) {
    return get(prefix + "/large");
}

Talk websocket_echo(const std::string& prefix) {
    return {.request = masked_frame(),
            .answer_size = websocket_answer_size,
            .greeting = fmt::format("GET {}/socket HTTP/1.1\r\n{}Connection: Upgrade\r\n"
                                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                                    prefix, browser_fields),
            .greeting_answers = 1};
}

}  // namespace jamsock::bench
