#include "tests/support/web_backend.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/support/eventually.h"

namespace jamsock::test {

namespace {

using nlohmann::json;

constexpr const char* node_modules = "/usr/share/nodejs";  // where Debian's node-ws is

RunOptions client_options() {
    RunOptions options;
    options.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"NODE_PATH", node_modules}};
    return options;
}

std::uint16_t port_in(const std::string& url) {
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

ConnectResponse connect_service(const Home& home, const std::vector<std::string>& environment,
                                bool wait) {
    std::vector<std::string> create{"service", "create", "web", "-e",
                                    std::string("NODE_PATH=") + node_modules};
    for (const std::string& variable : environment)
        create.insert(create.end(), {"-e", variable});
    create.insert(create.end(), {"--", "node", support_file("web_backend.js")});
    home.output_of(create);
    std::vector<std::string> connect{"connect", "web", "--json", "--key", "document-123"};
    if (!wait) connect.push_back("--no-wait");
    return ConnectResponse::from_json(home.output_of(connect)).value();
}

}  // namespace

std::string support_file(const std::string& name) {
    return JAMSOCK_TEST_SUPPORT "/" + name;
}

WebBackend::WebBackend(const std::vector<std::string>& environment, bool wait)
    : connection_(connect_service(home, environment, wait)) {
}

std::string WebBackend::direct(const std::string& path) const {
    return fmt::format("http://127.0.0.1:{}/{}", home.backend(connection_.backend_id).port, path);
}

std::string WebBackend::target(const std::string& path) const {
    return fmt::format("/{}/{}", connection_.token, path);
}

RawSocket WebBackend::connect() const {
    return RawSocket::connect(port_in(url()));
}

RawSocket WebBackend::ask(const std::string& path, const std::string& fields) const {
    RawSocket socket = connect();
    REQUIRE(socket.send(
        fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", target(path), fields)));
    return socket;
}

KeyEntry WebBackend::entry() const {
    return home.keys().at(0);
}

void WebBackend::tell(const std::string& name) const {
    REQUIRE(fetch(direct("tell?name=" + name)).status == 200);
}

json WebBackend::seen(const std::string& name) const {
    return json::parse(fetch(direct("seen?name=" + name)).body);
}

bool WebBackend::has_seen(const std::string& name, const json& value) const {
    return eventually([&] { return std::ranges::count(seen(name), value) > 0; });
}

Child WebBackend::start(const std::string& client, const std::string& scenario,
                        const std::string& url) const {
    return Child::start({"/usr/bin/env", "node", support_file(client), scenario, url, direct("")},
                        client_options());
}

void WebBackend::check(const std::string& client, const std::string& scenario) const {
    CAPTURE(scenario);
    check_end(start(client, scenario, url()));
}

void WebBackend::check_end(Child scenario) {
    const RunResult result = scenario.wait();
    INFO(result.err);
    CHECK(result.exit_code == 0);
}

std::string curl(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{"/usr/bin/curl", "--silent", "--show-error", "--globoff"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const RunResult result = run(argv, client_options());
    INFO(result.err);
    CHECK(result.exit_code == 0);
    return result.out;
}

}  // namespace jamsock::test
