#include "tests/support/home.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <map>

#include "common/environment.h"
#include "common/runtime_paths.h"

namespace jamsock::test {

namespace {

constexpr std::chrono::seconds longest_answer{60};
constexpr const char* connect_target = "/v2/service/local/default/connect";

Answer answer_of(const httplib::Result& result) {
    if (!result) return {};
    return {result->status, result->body};
}

}  // namespace

Home::Home(std::string programs) : programs_(programs.empty() ? JAMSOCK_BUILD_DIR : programs) {
    std::string pattern = environment_variable("TMPDIR").value_or("/tmp") + "/jamsock-test-XXXXXX";
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    path_ = pattern;
}

Home::~Home() {
    for (const KeyEntry& entry : keys()) {
        post("/v2/backend/" + entry.backend_id.str() + "/terminate?wait=terminated",
             R"({"hard":true})");
    }
    jamsock({"daemon", "stop"});
    if (std::uncaught_exceptions() > 0) {
        MESSAGE("the state directory is kept: ", path_);
        return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string Home::own_key(const std::string& name) const {
    return name + path_.substr(path_.rfind('-'));
}

RunOptions Home::options() const {
    RunOptions options;
    options.environment = {{"JAMSOCK_HOME", path_},
                           {"JAMSOCK_PROXY_PORT", "0"},
                           {"JAMSOCK_API_PORT", "0"},
                           {"PATH", "/usr/local/bin:/usr/bin:/bin"},
                           {"HOME", path_}};
    return options;
}

RunResult Home::jamsock(const std::vector<std::string>& arguments) const {
    return jamsock(arguments, options());
}

RunResult Home::jamsock(const std::vector<std::string>& arguments,
                        const RunOptions& run_options) const {
    std::vector<std::string> argv{programs_ + "/bin/jamsock"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run(argv, run_options);
}

Child Home::start_jamsock(const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv{programs_ + "/bin/jamsock"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return Child::start(argv, options());
}

std::string Home::output_of(const std::vector<std::string>& arguments) const {
    const RunResult result = jamsock(arguments);
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    std::string text = result.out;
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

std::unique_ptr<httplib::Client> Home::client() const {
    auto client = std::make_unique<httplib::Client>(path_ + "/" + state_file::socket);
    client->set_address_family(AF_UNIX);
    client->set_default_headers({{"Host", "localhost"}});
    client->set_read_timeout(longest_answer);
    return client;
}

Answer Home::post(const std::string& target, const std::string& body) const {
    return answer_of(client()->Post(target, body, "application/json"));
}

Answer Home::post_tcp(const std::string& target, const std::string& body) const {
    std::string token;
    std::ifstream(path_ + "/" + state_file::api_token) >> token;
    httplib::Client client("127.0.0.1", version()->api_port);
    client.set_bearer_token_auth(token);
    client.set_read_timeout(longest_answer);
    return answer_of(client.Post(target, body, "application/json"));
}

Answer Home::get(const std::string& target) const {
    return answer_of(client()->Get(target));
}

Result<ConnectResponse> Home::connect(const ConnectRequest& request, bool wait) const {
    const Answer answer =
        post(std::string(connect_target) + (wait ? "?wait=ready" : ""), request.to_json());
    if (answer.status == 200) return ConnectResponse::from_json(answer.body);
    return tl::unexpected(error_from_json(answer.body, answer.status));
}

std::vector<KeyEntry> Home::keys() const {
    const Answer answer = get("/v2/account/local/keys");
    if (answer.status != 200) return {};
    return KeyList::from_json(answer.body).value().keys;
}

BackendInfo Home::backend(const BackendId& id) const {
    const Answer answer = get("/v2/backend/" + id.str());
    REQUIRE(answer.status == 200);
    return BackendInfo::from_json(answer.body).value();
}

std::optional<VersionInfo> Home::version() const {
    const Answer answer = get("/version");
    if (answer.status != 200) return std::nullopt;
    return VersionInfo::from_json(answer.body).value();
}

pid_t Home::keeper() const {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (path_ + "/" + state_file::socket).copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return 0;
    ucred peer{};
    socklen_t size = sizeof peer;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return peer.pid;
}

pid_t Home::worker() const {
    const auto info = version();
    return info ? info->pid : 0;
}

Answer fetch(const std::string& url) {
    const auto slash = url.find('/', std::string_view("http://").size());
    httplib::Client client(url.substr(0, slash));
    client.set_read_timeout(longest_answer);
    return answer_of(client.Get(url.substr(slash)));
}

std::string test_backend() {
    return JAMSOCK_BUILD_DIR "/tests/test_backend";
}

}  // namespace jamsock::test
