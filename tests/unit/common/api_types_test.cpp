#include "common/api_types.h"

#include <doctest/doctest.h>

#include "common/clock.h"

using namespace jamsock;

namespace {

ErrorCode refused(std::string_view json) {
    const auto request = ConnectRequest::from_json(json);
    REQUIRE_FALSE(request);
    return request.error().code;
}

}  // namespace

TEST_CASE("an empty connect body asks for a new backend without a key") {
    for (const char* body :
         {"", " ", "\r\n\t ", "{}", " {} ", R"({"spawn":true,"unknown":1,"key":null})"}) {
        const auto request = ConnectRequest::from_json(body);
        REQUIRE(request);
        CHECK(request->spawn);
        CHECK_FALSE(request->key);
    }
}

TEST_CASE("a connect request survives its own JSON") {
    ConnectRequest request{.key = *Key::parse("dö\"c\n1")};
    request.tag = "t";
    request.env = {{"A", "1"}, {"B", "two words"}};
    request.command = Command{{"/bin/server", "--x", ""}, "/srv"};
    request.base_environment = EnvironmentMap{{"PATH", "/bin"}};
    request.user = "ann";
    request.auth = R"({"role":"editor"})";
    const auto again = ConnectRequest::from_json(request.to_json());
    REQUIRE(again);
    CHECK(again->key == request.key);
    CHECK(again->spawn);
    CHECK(again->tag == request.tag);
    CHECK(again->env == request.env);
    CHECK(again->command == request.command);
    CHECK(again->base_environment == request.base_environment);
    CHECK(again->user == request.user);
    CHECK(again->auth == request.auth);
}

TEST_CASE("auth data is kept as ASCII JSON, fit for a header") {
    const auto request = ConnectRequest::from_json(R"({"auth":{"name":"Zoë\n"}})");
    REQUIRE(request);
    CHECK(request->auth == R"({"name":"Zo\u00eb\n"})");
}

TEST_CASE("a look-up needs a key") {
    CHECK(refused(R"({"spawn":false})") == ErrorCode::invalid_request);
    CHECK_FALSE(ConnectRequest::from_json(R"({"spawn":false,"key":"k"})")->spawn);
}

TEST_CASE("a bad key is refused by the same parse as everywhere") {
    CHECK(refused(R"({"key":""})") == ErrorCode::invalid_key);
    CHECK(refused(R"({"key":"a\u0000b"})") == ErrorCode::invalid_key);
    CHECK(refused("{\"key\":\"\xff\"}") == ErrorCode::invalid_request);
}

TEST_CASE("wrong types are named by their field") {
    for (const auto& [body, field] :
         {std::pair{R"({"key":7})", "'key'"}, std::pair{R"({"spawn":"yes"})", "'spawn'"},
          std::pair{R"({"spawn":{"tag":1}})", "'spawn.tag'"},
          std::pair{R"({"spawn":{"tag":"a\u0000b"}})", "'spawn.tag'"},
          std::pair{R"({"spawn":{"cluster":[]}})", "'spawn.cluster'"},
          std::pair{R"({"spawn":{"cluster":"elsewhere"}})", "'spawn.cluster'"},
          std::pair{R"({"spawn":{"executable":[]}})", "'spawn.executable'"},
          std::pair{R"({"spawn":{"executable":{"env":{"A":1}}}})", "'spawn.executable.env'"},
          std::pair{R"({"spawn":{"executable":{"base_env":[]}}})", "'spawn.executable.base_env'"},
          std::pair{R"({"spawn":{"executable":{"command":"ls"}}})", "'spawn.executable.command'"},
          std::pair{R"({"spawn":{"executable":{"command":[]}}})", "'spawn.executable.command'"},
          std::pair{R"({"spawn":{"executable":{"command":["a\u0000"]}}})",
                    "'spawn.executable.command'"},
          std::pair{R"({"spawn":{"executable":{"command":["/a"],"cwd":"/\u0000"}}})",
                    "'spawn.executable.cwd'"},
          std::pair{R"({"spawn":{"executable":{"command":["/a"],"cwd":1}}})",
                    "'spawn.executable.cwd'"},
          std::pair{R"({"spawn":{"executable":{"mount":{}}}})", "'spawn.executable.mount'"},
          std::pair{R"({"spawn":{"executable":{"resource_limits":7}}})",
                    "'spawn.executable.resource_limits'"},
          std::pair{R"({"auth":[]})", "'auth'"}, std::pair{R"({"user":{}})", "'user'"}}) {
        const auto request = ConnectRequest::from_json(body);
        REQUIRE_FALSE(request);
        CHECK(request.error().code == ErrorCode::invalid_request);
        CHECK_MESSAGE(request.error().message.find(field) != std::string::npos,
                      request.error().message);
    }
}

TEST_CASE("an unknown field is passed over where clients add their own, and named elsewhere") {
    CHECK(ConnectRequest::from_json(R"({"lastBackend":"x","spawn":{"added":1}})"));
    CHECK(TerminateRequest::from_json(R"({"why":"bored"})"));
    const auto mistyped = ConnectRequest::from_json(R"({"spawn":{"executable":{"envs":{}}}})");
    REQUIRE_FALSE(mistyped);
    CHECK(mistyped.error().code == ErrorCode::invalid_request);
    CHECK(mistyped.error().message ==
          "The field 'spawn.executable' has no 'envs'; it has 'env', 'command', 'cwd', 'base_env', "
          "'mount', 'resource_limits'.");
    const auto limit =
        ConnectRequest::from_json(R"({"spawn":{"executable":{"resource_limits":{"memory":1}}}})");
    REQUIRE_FALSE(limit);
    CHECK(limit.error().message.find("has no 'memory'; it has 'cpu_period'") != std::string::npos);
}

TEST_CASE("a body nested too deeply is refused while it is read") {
    const auto nested = [](std::size_t levels) {
        return R"({"auth":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
    };
    CHECK(refused(nested(100'000)) == ErrorCode::invalid_request);
    CHECK(ConnectRequest::from_json(R"({"auth":{"a":)" + std::string(62, '[') +
                                    std::string(62, ']') + "}}"));
    const auto one_more = ConnectRequest::from_json(R"({"auth":{"a":)" + std::string(63, '[') +
                                                    std::string(63, ']') + "}}");
    REQUIRE_FALSE(one_more);
    CHECK(one_more.error().message == "The JSON body is nested more than 64 levels deep.");
}

TEST_CASE("an object of very many fields is refused before it is read") {
    std::string body = "{";
    for (int i = 0; i < 100'000; ++i)
        body += "\"" + std::to_string(i) + "\":0,";
    body += "\"key\":\"k\"}";
    const auto many = ConnectRequest::from_json(body);
    REQUIRE_FALSE(many);
    CHECK(many.error().message == "An object in the JSON body has more than 1024 fields.");
}

TEST_CASE("a list of very many keys is read") {
    const KeyEntry entry{.key = Key::parse("doc").value(),
                         .backend_id = BackendId::parse("knrv5").value()};
    const KeyList list{std::vector<KeyEntry>(5'000, entry)};
    const auto read = KeyList::from_json(list.to_json());
    REQUIRE(read);
    CHECK(read->keys.size() == 5'000);
}

TEST_CASE("colons and brackets in texts are no fields") {
    const auto request = ConnectRequest::from_json(
        R"({"key":"a:b\"c:{[","auth":{"a":[{"b":":"},{"b":":"}],"c\\":1}})");
    REQUIRE(request);
    CHECK(request->key->str() == "a:b\"c:{[");
}

TEST_CASE("a field that is given twice is refused: either could be meant") {
    const auto twice = ConnectRequest::from_json(R"({"key":"a","auth":{"key":1},"key":"b"})");
    REQUIRE_FALSE(twice);
    CHECK(twice.error().message == "The field 'key' is given twice.");
    CHECK(ConnectRequest::from_json(R"({"key":"a","auth":{"key":{"key":[{"key":1}]}}})"));
}

TEST_CASE("text that no UTF-8 can be is refused as no JSON") {
    CHECK(refused(R"({"key":"\ud800"})") == ErrorCode::invalid_request);
    CHECK(refused(R"({"key":"\udc00x"})") == ErrorCode::invalid_request);
    CHECK(refused("{\"user\":\"\xed\xa0\x80\"}") == ErrorCode::invalid_request);
}

TEST_CASE("what is no JSON object is refused, with the place but without a library's words") {
    for (const char* body : {"{", "[]", "7", "\"x\"", "{\"key\":\"a\"} x"}) {
        CHECK(refused(body) == ErrorCode::invalid_request);
    }
    CHECK(ConnectRequest::from_json("{\"a\" 1}").error().message ==
          "The body is not valid JSON at byte 6.");
}

TEST_CASE("what this version can't do is refused, never ignored") {
    for (const char* body :
         {R"({"spawn":{"executable":{"image":"debian"}}})",
          R"({"spawn":{"executable":{"resource_limits":{"disk_limit_bytes":1}}}})"}) {
        CHECK(refused(body) == ErrorCode::unsupported);
    }
}

TEST_CASE("resource limits are whole numbers in their range") {
    const auto request = ConnectRequest::from_json(
        R"({"spawn":{"executable":{"resource_limits":{"cpu_period":1000,"cpu_period_percent":250,)"
        R"("cpu_time_limit":1,"memory_limit_bytes":1048576,"disk_limit_bytes":null}}}})");
    REQUIRE(request);
    CHECK(
        request->resources ==
        ResourceLimits{.cpu_time = 1, .memory = 1'048'576, .cpu_period = 1000, .cpu_percent = 250});
    CHECK(ConnectRequest::from_json(request->to_json())->resources == request->resources);
    for (const char* limit :
         {R"("cpu_time_limit":0)", R"("cpu_time_limit":"1")", R"("cpu_time_limit":1.5)",
          R"("memory_limit_bytes":-1)", R"("cpu_period":999)", R"("cpu_period":1000001)",
          R"("cpu_period_percent":0)", R"("cpu_period":1000,"cpu_period_percent":99)"}) {
        CAPTURE(limit);
        CHECK(refused(std::string(R"({"spawn":{"executable":{"resource_limits":{)") + limit +
                      "}}}}") == ErrorCode::invalid_request);
    }
}

TEST_CASE("a mount is the key's own, a named one, or none") {
    const auto mount = [](const std::string& value) {
        const auto request =
            ConnectRequest::from_json(R"({"spawn":{"executable":{"mount":)" + value + "}}}");
        REQUIRE(request);
        CHECK(ConnectRequest::from_json(request->to_json())->mount == request->mount);
        return request->mount;
    };
    CHECK(mount("true") == Mount::own());
    CHECK(mount("\"a/b\"")->path() == "a/b");
    CHECK_FALSE(mount("false"));
    CHECK_FALSE(mount("null"));
    for (const char* value : {"\"\"", "\"/etc\"", "\"../a\"", "1", "[]"}) {
        CHECK(refused(std::string(R"({"spawn":{"executable":{"mount":)") + value + "}}}") ==
              ErrorCode::invalid_request);
    }
}

TEST_CASE("a connect's limits are whole numbers in their range") {
    const auto request =
        ConnectRequest::from_json(R"({"spawn":{"max_idle_seconds":0,"lifetime_limit_seconds":1}})");
    REQUIRE(request);
    CHECK(request->limits == Limits{.max_idle = 0, .lifetime = 1});
    CHECK(ConnectRequest::from_json(request->to_json())->limits == request->limits);
    for (const char* body :
         {R"({"spawn":{"max_idle_seconds":-1}})", R"({"spawn":{"lifetime_limit_seconds":0}})",
          R"({"spawn":{"max_idle_seconds":1.5}})", R"({"spawn":{"max_idle_seconds":true}})"}) {
        CHECK(refused(body) == ErrorCode::invalid_request);
    }
}

TEST_CASE("the documented defaults are taken, and a directory without a command is not ignored") {
    CHECK(ConnectRequest::from_json(
        R"({"spawn":{"executable":{"resource_limits":{},"mount":false,"env":{}}}})"));
    CHECK(refused(R"({"spawn":{"executable":{"cwd":"/srv"}}})") == ErrorCode::invalid_request);
}

TEST_CASE("log lines that are no UTF-8 reach the reader with what can't be shown replaced") {
    const Error error{ErrorCode::backend_ended_before_ready, "Ended.", {}, {"\xff bad"}};
    CHECK(error_from_json(error_json(error, "id"), 502).log_tail ==
          std::vector<std::string>{"\uFFFD bad"});
}

TEST_CASE("a backend's description survives its own JSON") {
    BackendInfo info{.id = *BackendId::parse("abc12"),
                     .service = ServiceName::standard(),
                     .key = *Key::parse("k"),
                     .created_at = 1764000000125};
    info.statuses = {{.status = Status::scheduled, .time = 1764000000125},
                     {.status = Status::terminated,
                      .time = 1764000001000,
                      .reason = TerminationReason::external,
                      .kind = TerminationKind::hard,
                      .exit = ProcessExit{std::nullopt, 9}}};
    info.command = {{"/bin/x", "y"}, "/"};
    info.fencing_token = 1764000000126;
    info.port = 12345;
    info.pid = 77;
    const std::string json = info.to_json();
    const auto again = BackendInfo::from_json(json);
    REQUIRE(again);
    CHECK(again->id == info.id);
    CHECK(again->key == info.key);
    CHECK(again->created_at == info.created_at);
    CHECK(again->statuses == info.statuses);
    CHECK(again->command == info.command);
    CHECK(again->fencing_token == info.fencing_token);
    CHECK(again->port == info.port);
    CHECK(again->pid == info.pid);
    CHECK(json.find(R"("exit_code":137)") != std::string::npos);
    CHECK(json.find(R"("last_status":"scheduled")") != std::string::npos);
    CHECK(json.find("dropped_log_bytes") == std::string::npos);
    info.dropped_log_bytes = 12345;
    CHECK(BackendInfo::from_json(info.to_json())->dropped_log_bytes == 12345);
}

TEST_CASE("the public status says that it failed, not how, and leaves out what is absent") {
    CHECK(public_status_json({.status = Status::ready, .time = 0}) ==
          R"({"status":"ready","time":"1970-01-01T00:00:00.000Z"})");
    CHECK(public_status_json(
              {.status = Status::terminated, .time = 0, .exit = ProcessExit{3, std::nullopt}}) ==
          R"({"status":"terminated","time":"1970-01-01T00:00:00.000Z","exit_error":true})");
}

TEST_CASE("an ending that nobody asked for is not told in public before it is over") {
    CHECK_FALSE(public_status_json({.status = Status::terminating}));
    CHECK_FALSE(public_status_json({.status = Status::hard_terminating}));
    CHECK(public_status_json({.status = Status::terminating, .reason = TerminationReason::swept}));
    CHECK(public_status_json({.status = Status::terminated}));
}

TEST_CASE("the list of keys survives its own JSON, keyless backends too") {
    KeyList list;
    list.keys.push_back({.key = *Key::parse("a"),
                         .backend_id = *BackendId::parse("b1"),
                         .status = Status::ready,
                         .fencing_token = 5,
                         .created_at = 1000,
                         .connections = 2,
                         .idle_seconds = 3});
    list.keys.push_back({.backend_id = *BackendId::parse("b2")});
    const auto again = KeyList::from_json(list.to_json());
    REQUIRE(again);
    REQUIRE(again->keys.size() == 2);
    CHECK(again->keys[0].key == list.keys[0].key);
    CHECK(again->keys[0].connections == 2);
    CHECK(again->keys[0].idle_seconds == 3);
    CHECK_FALSE(again->keys[1].key);
    CHECK(list.to_json().find("null") == std::string::npos);
}

TEST_CASE("the list of keys tells where it goes on, if it does") {
    CHECK(KeyList{}.to_json() == R"({"keys":[]})");
    const KeyList list{.keys = {}, .next_cursor = "knrv5.ZG9j"};
    CHECK(list.to_json() == R"({"keys":[],"next_cursor":"knrv5.ZG9j"})");
    CHECK(KeyList::from_json(list.to_json())->next_cursor == "knrv5.ZG9j");
}

TEST_CASE("what is to end is told by a time, and what came of it by numbers") {
    const auto request = TerminateBackendsRequest::from_json(
        R"({"before":"1970-01-01T01:00:00.5+01:00","hard":true,"dry_run":true})");
    REQUIRE(request);
    CHECK(request->before == 500);
    CHECK(request->kind == TerminationKind::hard);
    CHECK(request->dry_run);
    const auto plain = TerminateBackendsRequest::from_json(R"({"before":"1970-01-01T00:00:00Z"})");
    REQUIRE(plain);
    CHECK(plain->kind == TerminationKind::soft);
    CHECK_FALSE(plain->dry_run);
    CHECK(TerminateBackendsRequest::from_json(R"({"before":"yesterday"})").error().message ==
          "The field 'before' must be a time such as 2026-11-23T09:30:00Z.");
    CHECK(TerminateBackendsResponse{.found = 3, .terminated = 2}.to_json() ==
          R"({"backend_count":3,"terminated_count":2,"is_complete":false})");
}

TEST_CASE("an error survives its way over the API") {
    const Error error{ErrorCode::key_held, "Held.", "jamsock list", {"line 1", "line 2"}};
    const std::string json = error_json(error, "e8f2k1");
    CHECK(json ==
          R"({"error":{"message":"Held.","status":"Conflict","code":"KeyHeld","id":"e8f2k1",)"
          R"("hint":"jamsock list","log_tail":["line 1","line 2"]}})");
    const Error again = error_from_json(json, 409);
    CHECK(again.code == error.code);
    CHECK(again.message == error.message);
    CHECK(again.hint == error.hint);
    CHECK(again.log_tail == error.log_tail);
}

TEST_CASE("an answer that is no error body still gives a sentence") {
    CHECK(error_from_json("<html>", 502).message ==
          "The daemon answered with HTTP status 502 and no reason.");
}

TEST_CASE("a terminate request is soft unless it says hard") {
    CHECK(TerminateRequest::from_json("")->kind == TerminationKind::soft);
    CHECK(TerminateRequest::from_json(R"({"hard":true})")->kind == TerminationKind::hard);
    CHECK(TerminateRequest::from_json(R"({"grace_seconds":0})")->grace_seconds == 0);
    CHECK_FALSE(TerminateRequest::from_json(R"({"grace_seconds":-1})"));
    CHECK_FALSE(TerminateRequest::from_json(R"({"grace_seconds":9223372036854775807})"));
    for (const char* body :
         {R"({"grace_seconds":18446744073709551615})", R"({"grace_seconds":1e999})",
          R"({"grace_seconds":18446744073709551616})", R"({"grace_seconds":1.5})",
          R"({"grace_seconds":"1"})", R"({"hard":1})", R"({"hard":"true"})"}) {
        CAPTURE(body);
        const auto request = TerminateRequest::from_json(body);
        REQUIRE_FALSE(request);
        CHECK(request.error().code == ErrorCode::invalid_request);
    }
}

TEST_CASE("a revocation names a user or a token, and says whether connections end") {
    for (const RevokeRequest& in :
         {RevokeRequest{RevokeRequest::By::user, "ann \"1\"", true},
          RevokeRequest{RevokeRequest::By::user, "", false},
          RevokeRequest{RevokeRequest::By::token, std::string(43, 'A'), false}}) {
        const auto out = RevokeRequest::from_json(in.to_json());
        REQUIRE(out);
        CHECK(out->by == in.by);
        CHECK(out->value == in.value);
        CHECK(out->close == in.close);
    }
    const auto refused = [](const char* body) {
        const auto request = RevokeRequest::from_json(body);
        REQUIRE_FALSE(request);
        CHECK(request.error().code == ErrorCode::invalid_request);
        return request.error().message;
    };
    const char* one_of_two = "A revocation needs a 'user' or a 'token', and not both.";
    CHECK(refused("") == one_of_two);
    CHECK(refused(R"({"close":true})") == one_of_two);
    CHECK(refused(R"({"user":"ann","token":"t"})") == one_of_two);
    CHECK(refused(R"({"user":null})") == one_of_two);
    CHECK(refused(R"({"user":1})").find("'user'") != std::string::npos);
    CHECK(refused(R"({"user":"ann","close":"yes"})").find("'close'") != std::string::npos);
    CHECK(refused(R"({"user":"ann","clsoe":true})").find("'clsoe'") != std::string::npos);
    CHECK(RevokeResponse{3}.to_json() == R"({"status":"ok","revoked":3})");
    CHECK(RevokeResponse::from_json(RevokeResponse{3}.to_json())->revoked == 3);
}

TEST_CASE("times are ISO 8601 in UTC with milliseconds") {
    CHECK(iso_time(1795426200125) == "2026-11-23T09:30:00.125Z");
}
