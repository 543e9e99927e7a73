#include "daemon/api/api.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "common/clock.h"

using namespace jamsock;
using Json = nlohmann::json;

namespace {

struct NoBackends final : Backends {
    Result<> check_room(std::size_t) const override { return {}; }
    Result<> can_limit(const ResourceLimits&) const override { return {}; }
    void start(const BackendRecord&, const StartSettings&) override {}
    void terminate(const BackendId&, const Termination&) override {}
    Result<std::int64_t> recorded_token(const std::string&) const override { return 0; }
    std::optional<pid_t> pid(const BackendId&) const override { return std::nullopt; }
    std::vector<std::string> log_tail(const BackendId&, std::size_t) const override { return {}; }
    Task<std::vector<std::optional<Usage>>> usage(
        const std::vector<BackendId>& ids) const override {
        co_return std::vector<std::optional<Usage>>(ids.size(), Usage{.memory = 4096});
    }
    Task<BackendCondition> condition(const BackendId&) const override {
        co_return BackendCondition{};
    }
};

constexpr std::size_t most_streams = 2;
constexpr const char* api_token = "local.0123456789012345678901234567890123456789abc";

struct Served {
    Store store = Store::open(":memory:").value();
    NoBackends backends;
    StoreWriter writer{store};
    Services services{store, writer, {}, {{"/demo"}, "/"}, [](const Command&) -> Task<Result<>> {
                          co_return Result<>();
                      }};
    Registry registry{store,
                      writer,
                      services,
                      backends,
                      {[](auto) {}, [](auto) {}, [](auto) {}},
                      {"http://127.0.0.1:9090/", "http://127.0.0.1:8080", "/state/mounts"}};
    Api api{registry,
            services,
            [] { return VersionInfo{.version = "1.2.3", .pid = 7}; },
            {.token = api_token},
            {.most = most_streams},
            [] { return std::string("jamsock_keys_held 1\n"); }};

    Response ask(const char* method, const char* path, const char* body = "",
                 const char* query = "") {
        return ask({method, path, query, {}, body});
    }

    // … over TCP.
    Response ask_tcp(const char* method, const std::string& path, Headers headers,
                     const char* body = "") {
        headers.emplace_back("Host", "127.0.0.1:8080");
        return ask({method, path, "", std::move(headers), body, Peer::anyone});
    }

    Response ask(const Request& request) {
        std::optional<Response> response;
        asio::io_context loop;
        asio::co_spawn(loop, registry.keep_recording(), asio::detached);
        asio::co_spawn(
            loop,
            [&]() -> Task<> {
                Response answer = co_await api.serve(request);
                response = std::move(answer);
            },
            asio::detached);
        loop.poll();
        REQUIRE(response);
        return *response;
    }

    ErrorCode refused(const char* method, const char* path, const char* body = "",
                      const char* query = "") {
        const Response response = ask(method, path, body, query);
        const Error error = error_from_json(response.body, response.status);
        CHECK(response.status == info(error.code).http_status);
        return error.code;
    }
};

// What the log gets, with its level, in place of where it goes.
class LogLines {
  public:
    LogLines() {
        auto logger = std::make_shared<spdlog::logger>(
            "test", std::make_shared<spdlog::sinks::ostream_sink_st>(lines_));
        logger->set_pattern("%l %v", spdlog::pattern_time_type::local);
        spdlog::set_default_logger(std::move(logger));
    }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;
    ~LogLines() { spdlog::set_default_logger(before_); }

    std::string text() const { return lines_.str(); }

  private:
    std::ostringstream lines_;
    std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

// … and the one name of how a caller proves itself, which is no reference.
std::set<std::string> references_in(const Json& document) {
    std::set<std::string> found{"/components/securitySchemes/bearer"};
    const Json flat = document.flatten();
    for (const auto& [place, value] : flat.items()) {
        if (place.ends_with("/$ref")) found.insert(value.get<std::string>().substr(1));
    }
    return found;
}

// With "x" for each of its names.
std::string path_of(const Endpoint& endpoint) {
    std::string path(endpoint.pattern);
    for (auto at = path.find('{'); at != std::string::npos; at = path.find('{'))
        path.replace(at, path.find('}') - at + 1, "x");
    return path;
}

constexpr const char* connect_path = "/v2/service/local/default/connect";

}  // namespace

TEST_CASE("connect answers with the backend, its URL and its tokens, and nothing null") {
    Served served;
    const Response response = served.ask("POST", connect_path, R"({"key":"doc"})");
    CHECK(response.status == 200);
    const auto connected = ConnectResponse::from_json(response.body);
    REQUIRE(connected);
    CHECK(connected->spawned);
    CHECK(response.body.find("null") == std::string::npos);
    CHECK(connected->status_url.starts_with("http://127.0.0.1:8080/v2/backend/"));
    CHECK(connected->status_url.ends_with("/status"));
    CHECK(connected->ready_url.ends_with("/" + connected->token + "/"));
}

TEST_CASE("connects are counted by their outcome, also those that are refused at the door") {
    Served served;
    const auto& counted = served.registry.counts().connects;
    CHECK(counted == std::map<std::string_view, std::uint64_t>{{"held", 0}, {"spawned", 0}});
    const Headers bearer{{"Authorization", std::string("Bearer ") + api_token}};
    const char* const command = R"({"spawn":{"executable":{"command":["/bin/true"],"cwd":"/"}}})";
    served.ask_tcp("POST", connect_path, bearer, command);
    served.ask("POST", connect_path, "{");
    served.ask("POST", connect_path, R"({"key":""})");
    served.ask("POST", connect_path, "", "wait=asleep");
    served.ask("POST", "/v2/service/acme/default/connect");
    const char* const spawn_path = "/v1/user/local/service/default/spawn";
    served.ask("POST", spawn_path, "{");
    served.ask("POST", spawn_path, R"({"lock":""})");
    served.ask("POST", spawn_path);
    CHECK(counted == std::map<std::string_view, std::uint64_t>{{"Forbidden", 2},
                                                               {"InvalidKey", 2},
                                                               {"InvalidRequest", 3},
                                                               {"held", 0},
                                                               {"spawned", 1}});
}

TEST_CASE("'-' and an environment lead to the same table") {
    Served served;
    CHECK(served.ask("POST", "/v2/service/-/-/connect").status == 200);
    CHECK(served.ask("POST", "/v2/service/local/default/default/connect").status == 200);
}

TEST_CASE("what is wrong with a call is told by code and status") {
    Served served;
    CHECK(served.refused("POST", connect_path, "{") == ErrorCode::invalid_request);
    CHECK(served.refused("POST", connect_path, R"({"key":""})") == ErrorCode::invalid_key);
    CHECK(served.refused("POST", connect_path, R"({"key":"k","spawn":false})") ==
          ErrorCode::key_unheld_no_spawn_config);
    CHECK(served.refused("POST", connect_path, "", "wait=asleep") == ErrorCode::invalid_request);
    CHECK(served.refused("POST", "/v2/service/local/editor/connect") ==
          ErrorCode::service_not_found);
    CHECK(served.refused("POST", "/v2/service/acme/default/connect") == ErrorCode::forbidden);
    CHECK(served.refused("GET", "/v2/backend/nobody") == ErrorCode::backend_not_found);
    CHECK(served.refused("GET", "/v2/backend/NOBODY") == ErrorCode::invalid_request);
    CHECK(served.refused("POST", "/v2/backend/nobody/terminate") == ErrorCode::backend_not_found);
    CHECK(served.refused("GET", "/v3") == ErrorCode::route_not_found);
}

TEST_CASE("what never became a request is told by the reason of its own status") {
    for (const int status : {400, 413, 431, 500, 501, 503, 505}) {
        CAPTURE(status);
        const Response response = Api::refuse(Peer::anyone, status, "No.");
        CHECK(response.status == status);
        const Json error = Json::parse(response.body)["error"];
        CHECK(error["status"] == http_reason(status));
        CHECK_FALSE(http_reason(status).empty());
        CHECK(error["message"] == "No.");
    }
    CHECK(Json::parse(Api::refuse(Peer::anyone, 431, "No.").body)["error"]["code"] == "InvalidRequest");
}

TEST_CASE("a wrong method is told the right ones") {
    Served served;
    const Response response = served.ask("DELETE", "/v2/backend/abc");
    CHECK(response.status == 405);
    CHECK(*find_header(response.headers, "allow") == "GET, HEAD");
    const auto allowed = [&](const char* path) {
        return *find_header(served.ask("DELETE", path).headers, "allow");
    };
    CHECK(allowed("/v2/backend/abc/terminate") == "POST");
    CHECK(allowed("/v2/backend/abc/status") == "GET, HEAD, OPTIONS");
    CHECK(allowed("/healthz") == "GET, HEAD");
}

TEST_CASE("the list, a backend, its status, health and version are answered") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path, R"({"key":"doc"})").body)
            ->backend_id.str();
    CHECK(KeyList::from_json(served.ask("GET", "/v2/account/local/keys").body)->keys.size() == 1);
    const char* list = "/v2/account/local/keys";
    CHECK_FALSE(KeyList::from_json(served.ask("GET", list).body)->keys[0].memory_used);
    CHECK(KeyList::from_json(served.ask("GET", list, "", "usage=true").body)->keys[0].memory_used ==
          4096);
    CHECK(KeyList::from_json(served.ask("GET", "/v2/account/local/keys", "", "prefix=x").body)
              ->keys.empty());
    CHECK(BackendInfo::from_json(served.ask("GET", ("/v2/backend/" + id).c_str()).body)->id.str() ==
          id);
    const Response status = served.ask("GET", ("/v2/backend/" + id + "/status").c_str());
    CHECK(status.body.starts_with(R"({"status":"scheduled","time":")"));
    CHECK(*find_header(status.headers, "access-control-allow-origin") == "*");
    CHECK(served.ask("GET", "/healthz").body == R"({"status":"ok"})");
    CHECK(VersionInfo::from_json(served.ask("GET", "/version").body)->version == "1.2.3");
    CHECK_FALSE(VersionInfo::from_json(served.ask("GET", "/version").body)->dev);
    CHECK(VersionInfo::from_json(VersionInfo{.version = "1", .dev = true}.to_json())->dev);
}

TEST_CASE("the list of keys comes in pieces, whose cursor leads on") {
    Served served;
    for (const char* body : {R"({"key":"a"})", R"({"key":"ö b"})", R"({"key":"ö c"})"})
        served.ask("POST", connect_path, body);
    const char* path = "/v2/account/local/keys";
    const auto first = KeyList::from_json(served.ask("GET", path, "", "limit=2").body);
    REQUIRE(first);
    CHECK(first->keys.size() == 2);
    REQUIRE(first->next_cursor);
    const std::string query = "limit=2&cursor=" + *first->next_cursor;
    const Response second = served.ask("GET", path, "", query.c_str());
    const auto rest = KeyList::from_json(second.body);
    REQUIRE(rest);
    REQUIRE(rest->keys.size() == 1);
    CHECK(rest->keys[0].key->str() == "ö c");
    CHECK(second.body.find("next_cursor") == std::string::npos);
    for (const char* bad : {"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "cursor=.",
                            "cursor=", "cursor=a.b"}) {
        CAPTURE(bad);
        CHECK(served.refused("GET", path, "", bad) == ErrorCode::invalid_request);
    }
}

TEST_CASE("events are told behind a cursor, since a time, or from now on") {
    Served served;
    const char* path = "/v2/account/local/events";
    const auto events = [&](const std::string& query) {
        const Response response = served.ask("GET", path, "", query.c_str());
        CHECK(response.body.find("null") == std::string::npos);
        return EventList::from_json(response.body).value();
    };
    CHECK(served.ask("GET", path).body == R"({"events":[],"cursor":"0"})");
    const std::int64_t begin = wall_milliseconds();
    served.ask("POST", connect_path, R"({"key":"doc"})");
    served.ask("POST", connect_path);
    const EventList all = events("");
    REQUIRE(all.events.size() == 2);
    CHECK(all.events[0].key->str() == "doc");
    CHECK(all.events[0].change.status == Status::scheduled);
    CHECK_FALSE(all.events[1].key);
    CHECK(all.cursor == all.events[1].cursor);

    CHECK(events("limit=1").cursor == all.events[0].cursor);
    const std::string first = std::to_string(all.events[0].cursor);
    CHECK(events("since=" + first).events.size() == 1);
    CHECK(events("since=" + iso_time(begin)).events.size() == 2);
    CHECK(events("since=" + iso_time(all.cursor + 1)).events.empty());
    CHECK(events("since=now").events.empty());
    CHECK(events("since=now").cursor == all.cursor);
    for (const char* bad : {"since=", "since=-1", "since=yesterday", "wait=61", "wait=x",
                            "wait=", "wait=-1", "limit=0", "limit=1001"}) {
        CAPTURE(bad);
        CHECK(served.refused("GET", path, "", bad) == ErrorCode::invalid_request);
    }
    CHECK(served.refused("GET", "/v2/account/acme/events") == ErrorCode::forbidden);
}

TEST_CASE("the history of a key is told by key and service") {
    Served served;
    const char* path = "/v2/account/local/history";
    served.ask("POST", connect_path, R"({"key":"a & b"})");
    const auto history = [&](const char* query) {
        return KeyHistory::from_json(served.ask("GET", path, "", query).body).value().backends;
    };
    REQUIRE(history("key=a+%26+b").size() == 1);
    CHECK(history("key=a+%26+b")[0].key.str() == "a & b");
    CHECK(history("key=a+%26+b&service=default").size() == 1);
    CHECK(history("key=a+%26+b&service=editor").empty());
    CHECK(history("key=other").empty());
    CHECK(served.refused("GET", path) == ErrorCode::invalid_request);
    CHECK(served.refused("GET", path, "", "key=") == ErrorCode::invalid_key);
    CHECK(served.refused("GET", path, "", "key=k&service=/") == ErrorCode::invalid_request);
    CHECK(served.refused("GET", path, "", "key=k&limit=0") == ErrorCode::invalid_request);
    CHECK(served.refused("GET", "/v2/account/acme/history", "", "key=k") == ErrorCode::forbidden);
}

TEST_CASE("running backends are listed with their whole status, as the npm CLI reads it") {
    Served served;
    served.ask("POST", connect_path, R"({"key":"doc"})");
    const Response list = served.ask("GET", "/v2/account/-/backends");
    CHECK(list.status == 200);
    CHECK(list.body.starts_with(R"({"running_backends":[{"id":")"));
    CHECK(
        list.body.find(R"("service_name":"default","cluster_name":"local","account_name":"local",)"
                       R"("status":{"status":"scheduled","time":")") != std::string::npos);
    CHECK(list.body.find(R"("key":"doc")") != std::string::npos);
    CHECK(list.body.find("null") == std::string::npos);
    CHECK(served.refused("GET", "/v2/account/acme/backends") == ErrorCode::forbidden);
}

TEST_CASE("whoever may ask is told which accounts there are") {
    Served served;
    CHECK(served.ask("GET", "/auth").body ==
          R"({"status":"ok","accounts":["local"],"is_admin":false})");
}

TEST_CASE("the backends of a service are ended together, or only counted") {
    Served served;
    served.ask("POST", connect_path, R"({"key":"doc"})");
    const char* path = "/service/local/default/terminate-backends";
    const auto end = [&](const char* body) { return served.ask("POST", path, body).body; };
    CHECK(end(R"({"before":"2999-01-01T00:00:00.000Z","hard":false,"dry_run":true})") ==
          R"({"backend_count":1,"terminated_count":0,"is_complete":false})");
    CHECK(end(R"({"before":"2999-01-01T00:00:00.000Z","hard":true,"dry_run":false})") ==
          R"({"backend_count":1,"terminated_count":1,"is_complete":true})");
    CHECK(end(R"({"before":"2020-01-01T00:00:00.000Z"})") ==
          R"({"backend_count":0,"terminated_count":0,"is_complete":true})");
    for (const char* bad : {"", "{}", R"({"before":"yesterday"})", R"({"before":5})",
                            R"({"before":"2999-01-01T00:00:00Z","dry_run":1})"}) {
        CAPTURE(bad);
        CHECK(served.refused("POST", path, bad) == ErrorCode::invalid_request);
    }
    CHECK(served.refused("POST", "/service/local/nothing/terminate-backends",
                         R"({"before":"2999-01-01T00:00:00Z"})") == ErrorCode::service_not_found);
}

TEST_CASE("tokens are revoked by themselves or by their user") {
    Served served;
    const auto connected = ConnectResponse::from_json(
        served.ask("POST", connect_path, R"({"key":"doc","user":"ann"})").body);
    const std::string path = "/v2/backend/" + connected->backend_id.str() + "/revoke";
    const auto revoke = [&](const std::string& body) {
        return served.ask("POST", path.c_str(), body.c_str()).body;
    };
    CHECK(revoke(R"({"user":"ann"})") == R"({"status":"ok","revoked":1})");
    CHECK(revoke(R"({"token":")" + connected->token + R"(","close":false})") ==
          R"({"status":"ok","revoked":0})");
    CHECK(served.refused("POST", path.c_str(), "") == ErrorCode::invalid_request);
    CHECK(served.refused("POST", path.c_str(), R"({"token":"x"})") == ErrorCode::invalid_request);
    CHECK(served.refused("POST", "/v2/backend/nobody/revoke", R"({"user":"ann"})") ==
          ErrorCode::backend_not_found);
}

TEST_CASE("a status stream is for everybody, and of a backend that was") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id.str();
    const Response stream = served.ask("GET", ("/v2/backend/" + id + "/status/stream").c_str());
    CHECK(stream.status == 200);
    CHECK(stream.events);
    CHECK(*find_header(stream.headers, "content-type") == "text/event-stream");
    CHECK(*find_header(stream.headers, "access-control-allow-origin") == "*");
    CHECK(served.refused("GET", "/v2/backend/nobody/status/stream") ==
          ErrorCode::backend_not_found);
}

TEST_CASE("a hold is a status stream during which its backend counts as used, once for each") {
    Served served;
    const BackendId id =
        ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id;
    const std::string path = "/v2/backend/" + id.str() + "/hold";
    const auto connections = [&] { return served.registry.backend(id)->connections; };
    {
        const Response first = served.ask("GET", path.c_str());
        CHECK(first.events);
        CHECK(*find_header(first.headers, "content-type") == "text/event-stream");
        CHECK_FALSE(find_header(first.headers, "access-control-allow-origin"));
        CHECK(connections() == 1);
        const Response second = served.ask("GET", path.c_str());
        CHECK(connections() == 2);
        CHECK(served.refused("GET", path.c_str()) == ErrorCode::usage_limit);
        CHECK(connections() == 2);
    }
    CHECK(connections() == 0);
    CHECK(served.ask_tcp("GET", path, {}).status == 401);
    CHECK(served.refused("GET", "/v2/backend/nobody/hold") == ErrorCode::backend_not_found);
    served.registry.on_event({.id = id, .change = {.status = Status::terminating}});
    CHECK(served.refused("GET", path.c_str()) == ErrorCode::backend_not_running);
}

TEST_CASE("a log stream is of a backend that was, and for no other origin's page") {
    Served served;
    const std::string id =
        ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id.str();
    const Response stream = served.ask("GET", ("/v2/backend/" + id + "/logs/stream").c_str());
    CHECK(stream.status == 200);
    CHECK(stream.events);
    CHECK(*find_header(stream.headers, "content-type") == "text/event-stream");
    CHECK_FALSE(find_header(stream.headers, "access-control-allow-origin"));
    CHECK(served.refused("GET", "/v2/backend/nobody/logs/stream") == ErrorCode::backend_not_found);
}

TEST_CASE("the text for Prometheus is no JSON") {
    Served served;
    const Response response = served.ask("GET", "/metrics");
    CHECK(response.body == "jamsock_keys_held 1\n");
    CHECK(*find_header(response.headers, "content-type") ==
          "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("one status stream too many is refused until another one ends") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id.str();
    const std::string path = "/v2/backend/" + id + "/status/stream";
    const Response first = served.ask("GET", path.c_str());
    {
        const Response second = served.ask("GET", path.c_str());
        CHECK(second.events);
        const Response third = served.ask("GET", path.c_str());
        CHECK(third.status == 429);
        CHECK(error_from_json(third.body, 429).code == ErrorCode::usage_limit);
        CHECK(error_from_json(third.body, 429).hint == "jamsock list");
    }
    CHECK(served.ask("GET", path.c_str()).events);
    CHECK(served.ask("GET", path.c_str()).events);
}

TEST_CASE("version 1 gives a backend by its lock, under other names") {
    Served served;
    const auto spawn = [&](const char* path) {
        const Response response = served.ask(
            "POST", path, R"({"lock":"doc","env":{"A":"1"},"grace_period_seconds":60,"tag":"t"})");
        CHECK(response.status == 200);
        return response.body;
    };
    const std::string first = spawn("/v1/user/local/service/default/spawn");
    CHECK(first.starts_with(R"({"name":")"));
    CHECK(first.ends_with(R"("spawned":true,"status":"Loading"})"));
    const std::string again = spawn("/user/-/service/-/spawn");
    CHECK(again.ends_with(R"("spawned":false,"status":"Loading"})"));
    const auto keys = KeyList::from_json(served.ask("GET", "/v2/account/local/keys").body)->keys;
    REQUIRE(keys.size() == 1);
    const std::string id = keys[0].backend_id.str();
    CHECK(keys[0].key->str() == "doc");
    CHECK(first.find(R"("status_url":"http://127.0.0.1:8080/backend/)" + id + R"(/status")") !=
          std::string::npos);
    CHECK(first.find(R"("ready_url":"http://127.0.0.1:8080/ready/)" + id + "/") !=
          std::string::npos);
    CHECK(BackendInfo::from_json(served.ask("GET", ("/v2/backend/" + id).c_str()).body)
              ->max_idle_seconds == 60);

    const Response status = served.ask("GET", ("/backend/" + id + "/status").c_str());
    CHECK(status.body.starts_with(R"({"state":"Loading","time":")"));
    CHECK(status.body.ends_with(R"("backend":")" + id + "\"}"));
    CHECK(*find_header(status.headers, "access-control-allow-origin") == "*");
    const Response stream = served.ask("GET", ("/backend/" + id + "/status/stream").c_str());
    CHECK(stream.events);
    CHECK(served.ask("POST", ("/backend/" + id + "/terminate").c_str()).body ==
          R"({"status":"ok"})");
}

TEST_CASE("version 1 refuses as version 2 does") {
    Served served;
    const char* spawn = "/v1/user/local/service/default/spawn";
    CHECK(served.refused("POST", spawn, R"({"lock":""})") == ErrorCode::invalid_key);
    CHECK(served.refused("POST", spawn, R"({"env":{"PORT":"1"}})") == ErrorCode::reserved_env_var);
    CHECK(served.refused("POST", spawn, R"({"service_environment":"none"})") ==
          ErrorCode::service_not_found);
    CHECK(served.refused("POST", "/user/acme/service/default/spawn") == ErrorCode::forbidden);
    CHECK(served.refused("GET", "/backend/nobody/status") == ErrorCode::backend_not_found);
    CHECK(served.refused("GET", "/backend/nobody/status/stream") == ErrorCode::backend_not_found);
    CHECK(served.refused("POST", "/backend/nobody/terminate") == ErrorCode::backend_not_found);
}

TEST_CASE("the page that waits keeps its token to itself") {
    Served served;
    const auto connected = ConnectResponse::from_json(served.ask("POST", connect_path).body);
    const std::string path = "/ready/" + connected->backend_id.str() + "/" + connected->token + "/";
    const Response page = served.ask("GET", path.c_str());
    CHECK(page.status == 200);
    CHECK(page.body.starts_with("<!doctype html>"));
    CHECK(page.body.find(connected->url) != std::string::npos);
    CHECK(*find_header(page.headers, "content-type") == "text/html; charset=utf-8");
    CHECK(*find_header(page.headers, "referrer-policy") == "no-referrer");
    CHECK(*find_header(page.headers, "cache-control") == "no-store");
    const std::string policy = *find_header(page.headers, "content-security-policy");
    CHECK(policy.starts_with("default-src 'none'; script-src 'nonce-"));
    const std::string again =
        *find_header(served.ask("GET", path.c_str()).headers, "content-security-policy");
    CHECK(again != policy);
}

TEST_CASE("a page that waits needs a token of its own backend") {
    Served served;
    const auto one = ConnectResponse::from_json(served.ask("POST", connect_path).body);
    const auto two = ConnectResponse::from_json(served.ask("POST", connect_path).body);
    const auto refused = [&](const std::string& id, const std::string& token) {
        return served.refused("GET", ("/ready/" + id + "/" + token + "/").c_str());
    };
    const std::string id = one->backend_id.str();
    CHECK(refused(id, two->token) == ErrorCode::backend_not_found);
    CHECK(refused(id, "x") == ErrorCode::backend_not_found);
    CHECK(refused("nobody", one->token) == ErrorCode::backend_not_found);
    const std::string body = R"({"token":")" + one->token + "\"}";
    served.ask("POST", ("/v2/backend/" + id + "/revoke").c_str(), body.c_str());
    CHECK(refused(id, one->token) == ErrorCode::backend_gone);
}

TEST_CASE("a body may be absent, blank or without a Content-Type") {
    Served served;
    for (const char* body : {"", " ", "\r\n\t ", "{}", " {} "}) {
        CAPTURE(body);
        CHECK(served.ask("POST", connect_path, body).status == 200);
        CHECK(served.ask("POST", "/v1/user/local/service/default/spawn", body).status == 200);
    }
}

TEST_CASE("cache-buster queries, also one that ends in a brace, are passed over") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path, "{}", "k3j5h2l").body)
            ->backend_id.str();
    for (const char* query : {"8f3kd02ks}", "}", "%", "a=%zz&=&&", "wait"}) {
        CAPTURE(query);
        CHECK(served.ask("GET", ("/v2/backend/" + id + "/status").c_str(), "", query).status ==
              200);
        CHECK(
            served.ask("GET", ("/v2/backend/" + id + "/status/stream").c_str(), "", query).events);
        CHECK(served.ask("GET", "/v2/account/local/backends", "", query).status == 200);
    }
}

TEST_CASE("a status has its path with and without a last slash") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id.str();
    for (const char* path : {"/status", "/status/", "/status/stream", "/status/stream/"}) {
        CAPTURE(path);
        CHECK(served.ask("GET", ("/v2/backend/" + id + path).c_str()).status == 200);
        CHECK(served.ask("GET", ("/backend/" + id + path).c_str()).status == 200);
    }
    CHECK(served.refused("GET", ("/v2/backend/" + id + "/status//").c_str()) ==
          ErrorCode::route_not_found);
}

TEST_CASE("path parts are decoded, each for itself") {
    Served served;
    CHECK(served.ask("POST", "/v2/service/loc%61l/%64efault/connect").status == 200);
    CHECK(served.ask("POST", "/v2/service/%2D/%2d/connect").status == 200);
    CHECK(served.refused("POST", "/v2/service/local/a%2Fb/connect") == ErrorCode::invalid_request);
}

TEST_CASE("every path answers a wrong method with 405, the right ones and an error's shape") {
    Served served;
    for (const Endpoint& endpoint : served.api.endpoints()) {
        const std::string path = path_of(endpoint);
        CAPTURE(path);
        const Response response = served.ask("PATCH", path.c_str());
        CHECK(response.status == 405);
        CHECK(error_from_json(response.body, 405).code == ErrorCode::method_not_allowed);
        REQUIRE(find_header(response.headers, "allow"));
        CHECK(find_header(response.headers, "allow")->find(endpoint.method) != std::string::npos);
    }
}

TEST_CASE(
    "a backend's description has all that the npm CLI shows, and a service's dates can be read") {
    Served served;
    const auto id =
        ConnectResponse::from_json(served.ask("POST", connect_path, R"({"key":"doc"})").body)
            ->backend_id.str();
    const std::string backend = served.ask("GET", ("/v2/backend/" + id).c_str()).body;
    for (const char* field :
         {R"("id":")", R"("created_at":")", R"("service_name":"default")",
          R"("cluster_name":"local")", R"("account_name":"local")", R"("statuses":[{)",
          R"("image_digest":")", R"("key":"doc")", R"("environment_name":"default")"}) {
        CHECK_MESSAGE(backend.find(field) != std::string::npos, field);
    }
    CHECK(backend.find("null") == std::string::npos);
    const std::string service = served.ask("GET", "/v2/service/local/default").body;
    CHECK(service.find("null") == std::string::npos);
    const auto info = ServiceInfo::from_json(service);
    REQUIRE(info);
    REQUIRE(info->environments.size() == 1);
    CHECK(info->environments[0].last_spawned_at.value_or(0) >= 1'700'000'000'000);
    for (const char* field : {R"("image_tag":")", R"("cluster":"local")", R"("image_name":")"})
        CHECK_MESSAGE(service.find(field) != std::string::npos, field);
}

TEST_CASE("the log names an endpoint without what a path holds") {
    Served served;
    const auto named = [&](const char* method, const char* path) {
        return served.api.endpoint_of({.method = method, .path = path});
    };
    CHECK(named("GET", "/ready/knrv5/secret/") == "GET /ready/{id}/{token}/");
    CHECK(named("HEAD", "/v2/backend/knrv5") == "GET /v2/backend/{id}");
    CHECK(named("GET", "/ready/knrv5/secret") == "no endpoint");
}

TEST_CASE("the API's description is that of daemon/api/openapi.json") {
    Served served;
    const Response response = served.ask_tcp("GET", "/openapi.json", {});
    CHECK(response.status == 200);
    std::ostringstream kept;
    kept << std::ifstream(JAMSOCK_OPENAPI_FILE).rdbuf();
    const bool is_kept = response.body == kept.str();
    CHECK_MESSAGE(is_kept,
                  "The table of endpoints or common/api_schemas.json has changed; run: "
                  "build/dev/tests/unit_tests --no-skip -tc='daemon/api/openapi.json is written'");
    const bool is_the_same_again = served.ask("GET", "/openapi.json").body == response.body;
    CHECK(is_the_same_again);
}

TEST_CASE("every endpoint is in the API's description, which has nothing else and all it names") {
    Served served;
    const Json document = Json::parse(served.ask("GET", "/openapi.json").body);
    std::size_t operations = 0;
    for (const auto& path : document["paths"])
        operations += path.size();
    CHECK(operations == served.api.endpoints().size());
    std::set<std::string> components;
    for (const auto& [kind, entries] : document["components"].items()) {
        for (const auto& [name, entry] : entries.items())
            components.insert("/components/" + kind + "/" + name);
    }
    CHECK(references_in(document) == components);
}

TEST_CASE("daemon/api/openapi.json is written" * doctest::skip()) {
    Served served;
    std::ofstream(JAMSOCK_OPENAPI_FILE) << served.ask("GET", "/openapi.json").body;
}

TEST_CASE("no two endpoints are the same, and each says what it is for") {
    Served served;
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const Endpoint& endpoint : served.api.endpoints()) {
        CHECK(seen.emplace(endpoint.method, endpoint.pattern).second);
        CHECK_FALSE(endpoint.summary.empty());
    }
}

TEST_CASE("over TCP the API answers who has its token") {
    Served served;
    const Headers bearer{{"Authorization", std::string("Bearer ") + api_token}};
    const char* const list = "/v2/account/local/keys";
    CHECK(served.ask_tcp("GET", list, bearer).status == 200);
    const Response refused = served.ask_tcp("GET", list, {});
    CHECK(refused.status == 401);
    CHECK(error_from_json(refused.body, 401).code == ErrorCode::invalid_auth);
    CHECK(*find_header(refused.headers, "www-authenticate") == "Bearer");
    CHECK(served.ask_tcp("GET", "/v3", {}).status == 401);
    CHECK(served.ask_tcp("GET", "/healthz", {}).status == 200);
}

TEST_CASE("over TCP a body is taken from who has the token alone, whatever the path") {
    Served served;
    const auto turned_away = [&](const std::string& path, Headers headers, Peer peer) {
        headers.emplace_back("Host", "127.0.0.1:8080");
        return served.api.turns_away({"POST", path, "", std::move(headers), "", peer});
    };
    const Headers bearer{{"Authorization", std::string("Bearer ") + api_token}};
    for (const char* path : {connect_path, "/v2/backend/nobody/status", "/healthz", "/v3"}) {
        CAPTURE(path);
        CHECK_FALSE(turned_away(path, bearer, Peer::anyone));
        CHECK_FALSE(turned_away(path, {}, Peer::same_user));
        const auto refused = turned_away(path, {}, Peer::anyone);
        REQUIRE(refused);
        CHECK(refused->status == 401);
        CHECK(*find_header(refused->headers, "www-authenticate") == "Bearer");
        CHECK(error_from_json(refused->body, 401).code == ErrorCode::invalid_auth);
    }
    const Headers own{{"Host", "127.0.0.1:8080"}};
    CHECK_FALSE(served.api.turns_away({"GET", "/healthz", "", own, "", Peer::anyone}));
    Headers foreign = bearer;
    foreign.emplace_back("Origin", "https://example.org");
    CHECK(turned_away(connect_path, foreign, Peer::anyone)->status == 403);
}

TEST_CASE("what explains an end is for this user alone, as it may name paths and processes") {
    Served served;
    const Response connected = served.ask("POST", connect_path, R"({"key":"doc"})");
    const BackendId id = ConnectResponse::from_json(connected.body)->backend_id;
    const auto check_told = [&](const std::string& path, const std::string& query) {
        CAPTURE(path);
        const Headers headers{{"Authorization", std::string("Bearer ") + api_token},
                              {"Host", "127.0.0.1:8080"}};
        const Response here = served.ask({"GET", path, query, {}, ""});
        const Response over_tcp = served.ask({"GET", path, query, headers, "", Peer::anyone});
        CHECK(here.body.find("/home/ann") != std::string::npos);
        CHECK(over_tcp.status == 200);
        CHECK(over_tcp.body.find(id.str()) != std::string::npos);
        CHECK(over_tcp.body.find("diagnosis") == std::string::npos);
        CHECK(over_tcp.body.find("/home/ann") == std::string::npos);
    };
    const std::string diagnosis = "The file /home/ann/up never came.";
    served.registry.on_event(
        {id, {.status = Status::terminating, .time = 1, .diagnosis = diagnosis}, {}});
    check_told("/v2/account/local/backends", "");
    served.registry.on_event(
        {id, {.status = Status::terminated, .time = 2, .diagnosis = diagnosis}, {}});
    check_told("/v2/backend/" + id.str(), "");
    check_told("/v2/account/local/events", "");
    check_told("/v2/account/local/history", "key=doc");
}

TEST_CASE("a page of any origin reads what is public, also what is wrong with its request") {
    Served served;
    const auto id = ConnectResponse::from_json(served.ask("POST", connect_path).body)->backend_id;
    const Headers foreign{{"Origin", "https://example.org"}};
    const std::string status = "/v2/backend/" + id.str() + "/status";
    for (const std::string& path : {status, std::string("/v2/backend/nobody/status")}) {
        const Response response = served.ask_tcp("GET", path, foreign);
        CHECK(*find_header(response.headers, "access-control-allow-origin") == "*");
    }
    const Response preflight = served.ask_tcp("OPTIONS", status, foreign);
    CHECK(preflight.status == 204);
    CHECK(*find_header(preflight.headers, "access-control-allow-methods") == "GET, HEAD");
    const Response control = served.ask_tcp("OPTIONS", connect_path, foreign);
    CHECK(control.status == 403);
    CHECK(find_header(control.headers, "access-control-allow-origin") == nullptr);
}

TEST_CASE("pages of other origins read the four calls of a public status, and nothing else") {
    Served served;
    const Headers foreign{{"Origin", "https://example.org"}};
    std::set<std::string_view> readable;
    std::set<std::string_view> without_token;
    for (const Endpoint& endpoint : served.api.endpoints()) {
        const std::string path = path_of(endpoint);
        CAPTURE(path);
        const Response response = served.ask_tcp(std::string(endpoint.method).c_str(), path, {});
        if (response.status != 401) without_token.insert(endpoint.pattern);
        const Response preflight = served.ask_tcp("OPTIONS", path, foreign);
        const bool is_readable = find_header(response.headers, "access-control-allow-origin");
        CHECK((preflight.status == 204) == is_readable);
        CHECK((find_header(preflight.headers, "access-control-allow-origin") != nullptr) ==
              is_readable);
        if (is_readable) readable.insert(endpoint.pattern);
    }
    CHECK(readable ==
          std::set<std::string_view>{"/v2/backend/{id}/status", "/v2/backend/{id}/status/stream",
                                     "/backend/{id}/status", "/backend/{id}/status/stream"});
    without_token.erase("/healthz");
    without_token.erase("/openapi.json");
    without_token.erase("/ready/{id}/{token}/");
    CHECK(without_token == readable);
}

TEST_CASE(
    "what somebody asks for over TCP is told as it was written, also if it looks like a path") {
    Served served;
    const Headers bearer{{"Authorization", std::string("Bearer ") + api_token}};
    const char* const look_up = R"({"key":"/docs/readme","spawn":false})";
    const Response over_tcp = served.ask_tcp("POST", connect_path, bearer, look_up);
    const Error error = error_from_json(over_tcp.body, over_tcp.status);
    CHECK(error.message == "No backend holds the key '/docs/readme'.");
    CHECK(error.hint == "jamsock connect --key /docs/readme");
    const Response unknown = served.ask_tcp("GET", "/v3/docs", bearer);
    CHECK(error_from_json(unknown.body, 404).message == "The API has no path '/v3/docs'.");
}

TEST_CASE("what never became a request is told why") {
    CHECK(error_from_json(Api::refuse(Peer::anyone, 500, "A bug.").body, 500).message == "A bug.");
    CHECK(error_from_json(Api::refuse(Peer::anyone, 503, "Too late.").body, 503).message == "Too late.");
}

TEST_CASE("a bug is told of in the log, with the request's id, and to nobody else") {
    Served served;
    const LogLines log;
    const std::string secret = "/ready/abc12/" + std::string(43, 't') + "/";
    const Response response = served.api.met_bug({.method = "GET", .path = secret}, "no such cell");
    CHECK(response.status == 500);
    const Json error = Json::parse(response.body)["error"];
    CHECK(error["message"] == "The request met a bug in the daemon.");
    CHECK(response.body.find("cell") == std::string::npos);
    CHECK(log.text() ==
          fmt::format("error request {} failed: Internal: The request met a bug in the daemon. "
                      "(GET /ready/{{id}}/{{token}}/: no such cell)\n",
                      error["id"].get<std::string>()));
}

TEST_CASE("over TCP nobody says which program to run") {
    Served served;
    const Headers bearer{{"Authorization", std::string("Bearer ") + api_token}};
    const char* const command = R"({"spawn":{"executable":{"command":["/bin/true"],"cwd":"/"}}})";
    CHECK(served.ask_tcp("POST", connect_path, bearer, command).status == 403);
    const char* const variables = R"({"spawn":{"executable":{"base_env":{"PATH":"/tmp"}}}})";
    CHECK(served.ask_tcp("POST", connect_path, bearer, variables).status == 403);
    CHECK(served
              .ask_tcp("POST", "/v2/account/local/service", bearer,
                       R"({"name":"editor","command":["/bin/true"],"cwd":"/"})")
              .status == 403);
    CHECK(served
              .ask_tcp("POST", "/v2/account/local/service", bearer,
                       R"({"name":"editor","ready_exec":"true"})")
              .status == 403);
    CHECK(
        served
            .ask_tcp("POST", "/v2/service/local/default/update", bearer, R"({"ready_exec":"true"})")
            .status == 403);
    CHECK(served.ask("POST", connect_path, command).status == 200);
}
