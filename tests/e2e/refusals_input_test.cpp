// What bad input gets: words of the command line, keys, variables, and bodies of the API.
#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <filesystem>

#include "tests/e2e/refusals.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* connect_path = "/v2/service/local/default/connect";
constexpr std::size_t largest_body = 1 << 20;

void check_nothing_was_made(const Home& home) {
    CHECK(fs::is_empty(home.path()));
    CHECK(keepers_of(home.path()).empty());
}

std::string quoted(const std::string& text) {
    return '"' + text + '"';
}

std::string nested(std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
}

// {"spawn":{"executable":<inner>}} with a key that nobody holds.
std::string with_executable(const std::string& inner) {
    return R"({"key":"new","spawn":{"executable":)" + inner + "}}";
}

struct BadBody {
    std::string body;
    Words words;
    ErrorCode code = ErrorCode::invalid_request;
};

}  // namespace

TEST_CASE("an unknown command or option is wrong use, with the nearest name") {
    const Home home;
    const std::vector<std::tuple<std::vector<std::string>, Words, std::string>> cases{
        {{"conect", "--key", "k"}, {"'conect'", "Did you mean 'connect'?"}, "jamsock --help"},
        {{"lokup", "--key", "k"}, {"'lokup'", "Did you mean 'lookup'?"}, "jamsock --help"},
        {{"--vresion"}, {"no option '--vresion'"}, "jamsock --help"},
        {{"frobnicate"}, {"There is no command 'frobnicate'."}, "jamsock --help"},
        {{"daemon", "statr"}, {"'daemon' has no command 'statr'"}, "jamsock daemon --help"},
        {{"connect", "--kye", "k"},
         {"no option '--kye'", "Did you mean '--key'?"},
         "jamsock connect --help"},
        {{"connect", "--key", "k", "--timout=3"},
         {"Did you mean '--timeout'?"},
         "jamsock connect --help"},
        {{"terminate", "--key", "k", "--hrad"},
         {"Did you mean '--hard'?"},
         "jamsock terminate --help"},
        {{"list", "--jsno"}, {"Did you mean '--json'?"}, "jamsock list --help"},
        {{"connect", "--key"}, {"--key needs a value"}, "jamsock connect --help"},
        {{"connect", "--key", "a", "--key", "b"},
         {"--key is given twice"},
         "jamsock connect --help"},
        {{"connect", "--key", "k", "--timeout", "soon"}, {"'soon'"}, "jamsock connect --help"},
    };
    for (const auto& [arguments, words, hint] : cases) {
        CAPTURE(fmt::format("{}", fmt::join(arguments, " ")));
        check_refused(home.jamsock(arguments), 2, words, hint);
    }
    check_nothing_was_made(home);
}

TEST_CASE("an unknown option of jamsockd is wrong use as well") {
    const Home home;
    check_refused(run_daemon(home.options(), {"--proxi-port", "0"}), 2,
                  {"no option '--proxi-port'", "Did you mean '--proxy-port'?"}, "jamsockd --help");
    check_refused(run_daemon(home.options(), {"--proxy-port", "seventy"}), 2, {"proxy-port"});
    check_nothing_was_made(home);
}

TEST_CASE("a bad key is refused alike by every command, before anything is made") {
    const Home home;
    const std::vector<std::pair<std::string, Words>> keys{
        {"", {"is empty", "1 to 128 characters"}},
        {std::string(129, 'x'), {"129 characters", "128", "character 129"}},
        {"a\xff", {"not valid UTF-8", "byte 2", "0xff"}},
        {"\xed\xa0\x80", {"not valid UTF-8", "byte 1"}},
    };
    for (const auto& [key, words] : keys) {
        for (const char* verb : {"connect", "lookup", "status", "terminate"}) {
            CAPTURE(verb);
            check_refused(home.jamsock({verb, "--key", key}), 2, words,
                          fmt::format("jamsock {} --help", verb));
        }
        RunOptions options = home.options();
        if (key.empty()) continue;  // an empty variable is none
        options.environment["JAMSOCK_KEY"] = key;
        check_refused(home.jamsock({"connect"}, options), 2, words);
    }
    check_nothing_was_made(home);
}

TEST_CASE("a bad key is refused by the API as by the command line") {
    const Bystander bystander;
    for (const auto& [json, words] : std::vector<std::pair<std::string, Words>>{
             {R"("")", {"is empty"}},
             {quoted(std::string(129, 'x')), {"129 characters", "128"}},
             {R"("a\u0000b")", {"U+0000", "byte 2"}}}) {
        const Answer answer = bystander.home.post(connect_path, R"({"key":)" + json + "}");
        check_refused(bystander.home, answer, ErrorCode::invalid_key, words);
    }
    bystander.check();
}

TEST_CASE("128 characters of four bytes each are a key") {
    const Home home;
    std::string key;
    for (int i = 0; i < 128; ++i)
        key += "🎈";
    home.output_of({"connect", "--key", key});
    CHECK(home.keys().at(0).key->str() == key);
}

TEST_CASE("a variable that is reserved, or is no NAME=VALUE, is wrong use") {
    const Home home;
    for (const char* name : {"PORT", "HOST", "SESSION_BACKEND_ID", "SESSION_BACKEND_KEY",
                             "SESSION_BACKEND_FENCING_TOKEN", "SESSION_BACKEND_STATIC_TOKEN",
                             "JAMSOCKET_SERVICE", "JAMSOCK_MARK"}) {
        CAPTURE(name);
        check_refused(home.jamsock({"connect", "--key", "k", "-e", std::string(name) + "=1"}), 2,
                      {std::string(name), "set by jamsock itself"}, "jamsock connect --help");
    }
    for (const char* text : {"NAME", "=value", ""}) {
        CAPTURE(text);
        check_refused(home.jamsock({"connect", "--key", "k", "-e", text}), 2,
                      {"--env needs NAME=VALUE", "'" + std::string(text) + "'"},
                      "jamsock connect --help");
    }
    check_refused(home.jamsock({"connect", "--key", "k", "-e", "A=\xff"}), 2, {"not valid UTF-8"});
    check_nothing_was_made(home);
}

TEST_CASE("a reserved variable is refused by the API, too, wherever it stands") {
    const Bystander bystander;
    for (const char* place : {"env", "base_env"}) {
        const std::string body = with_executable(fmt::format(R"({{"{}":{{"PORT":"1"}}}})", place));
        check_refused(bystander.home, bystander.home.post(connect_path, body),
                      ErrorCode::reserved_env_var, {"'PORT'", "set by jamsock itself"});
    }
    bystander.check();
}

TEST_CASE("JSON that can't be read is refused with the place") {
    const Bystander bystander;
    const std::vector<BadBody> bodies{
        {"{", {"not valid JSON", "byte 2"}},
        {R"({"key" 1})", {"not valid JSON", "byte 8"}},
        {R"({"key":"k"} x)", {"not valid JSON", "byte 13"}},
        {R"({"key":"k",})", {"not valid JSON", "byte 12"}},
        {R"({"key":"\ud800"})", {"not valid JSON"}},
        {R"({"key":"\udc00x"})", {"not valid JSON"}},
        {"{\"key\":\"\xff\"}", {"not valid JSON", "byte 9"}},
        {"{\"key\":\"\xed\xa0\x80\"}", {"not valid JSON"}},
        {std::string("{\"key\":\"a\0b\"}", 13), {"not valid JSON", "byte 10"}},
        {"[]", {"must be an object"}},
        {"7", {"must be an object"}},
        {"null", {"must be an object"}},
        {"[" + std::string(100'000, '['), {"more than 64 levels"}},
        {nested(100'000), {"more than 64 levels"}},
        {R"({"auth":{"a":)" + nested(100'000) + "}}", {"more than 64 levels"}},
        {R"({"key":"a","key":"b"})", {"'key'", "given twice"}},
        {R"({"auth":{"n":1e999}})", {"out of range"}},
    };
    for (const BadBody& bad : bodies) {
        CAPTURE(bad.body.substr(0, 40));
        check_refused(bystander.home, bystander.home.post(connect_path, bad.body), bad.code,
                      bad.words);
    }
    bystander.check();
}

TEST_CASE("every field of a connect is refused by its name when it has the wrong type") {
    const Bystander bystander;
    const std::vector<BadBody> bodies{
        {R"({"key":7})", {"'key'", "a string"}},
        {R"({"key":["k"]})", {"'key'", "a string"}},
        {R"({"key":"new","spawn":"yes"})", {"'spawn'"}},
        {R"({"key":"new","spawn":1})", {"'spawn'"}},
        {R"({"key":"new","spawn":[]})", {"'spawn'"}},
        {R"({"spawn":false})", {"'spawn'", "needs a 'key'"}},
        {R"({"key":"new","user":1})", {"'user'", "a string"}},
        {R"({"key":"new","user":"a\nb"})", {"'user'", "control character"}},
        {R"({"key":"new","user":" root"})", {"'user'", "blank"}},
        {R"({"key":"new","user":"root "})", {"'user'", "blank"}},
        {R"({"key":"new","user":" "})", {"'user'", "blank"}},
        {R"({"key":"new","auth":[]})", {"'auth'", "an object"}},
        {R"({"key":"new","auth":"x"})", {"'auth'", "an object"}},
        {R"({"key":"new","spawn":{"tag":1}})", {"'spawn.tag'", "a string"}},
        {R"({"key":"new","spawn":{"cluster":1}})", {"'spawn.cluster'"}},
        {R"({"key":"new","spawn":{"cluster":"moon"}})", {"'spawn.cluster'", "'local'"}},
        {R"({"key":"new","spawn":{"executable":[]}})", {"'spawn.executable'", "an object"}},
        {with_executable(R"({"env":[]})"), {"'spawn.executable.env'", "object of strings"}},
        {with_executable(R"({"env":{"A":1}})"), {"'spawn.executable.env'"}},
        {with_executable(R"({"env":{"A=B":"1"}})"), {"'spawn.executable.env'", "'='"}},
        {with_executable(R"({"env":{"":"1"}})"), {"'spawn.executable.env'"}},
        {with_executable(R"({"env":{"A":"\u0000"}})"), {"'spawn.executable.env'", "U+0000"}},
        {with_executable(R"({"base_env":1})"), {"'spawn.executable.base_env'"}},
        {with_executable(R"({"command":"ls"})"), {"'spawn.executable.command'", "an array"}},
        {with_executable(R"({"command":[1]})"), {"'spawn.executable.command'", "strings"}},
        {with_executable(R"({"command":[]})"), {"'spawn.executable.command'", "not empty"}},
        {with_executable(R"({"command":["/bin/\u0000"]})"), {"'spawn.executable.command'"}},
        {with_executable(R"({"command":[""],"cwd":"/"})"), {"absolute path"}},
        {with_executable(R"({"command":["ls"],"cwd":"/"})"), {"absolute path"}},
        {with_executable(R"({"command":["/bin/ls"],"cwd":"tmp"})"), {"absolute path"}},
        {with_executable(R"({"command":["/bin/ls"],"cwd":1})"), {"'spawn.executable.cwd'"}},
        {with_executable(R"({"command":["/bin/ls"],"cwd":"/\u0000x"})"),
         {"'spawn.executable.cwd'", "U+0000"}},
        {with_executable(R"({"cwd":"/"})"), {"'spawn.executable.cwd'", "'command'"}},
        {with_executable(R"({"mount":{}})"), {"'spawn.executable.mount'"}},
        {with_executable(R"({"resource_limits":1})"), {"'spawn.executable.resource_limits'"}},
    };
    for (const BadBody& bad : bodies) {
        CAPTURE(bad.body);
        check_refused(bystander.home, bystander.home.post(connect_path, bad.body), bad.code,
                      bad.words);
    }
    bystander.check();
}

TEST_CASE("every field of a terminate is refused by its name when it has the wrong type") {
    const Bystander bystander;
    const std::string path =
        "/v2/backend/" + bystander.home.keys().at(0).backend_id.str() + "/terminate";
    const std::vector<BadBody> bodies{
        {R"({"hard":1})", {"'hard'", "true or false"}},
        {R"({"hard":"true"})", {"'hard'", "true or false"}},
        {R"({"grace_seconds":"1"})", {"'grace_seconds'", "a whole number"}},
        {R"({"grace_seconds":1.5})", {"'grace_seconds'", "a whole number"}},
        {R"({"grace_seconds":-1})", {"'grace_seconds'", "0 to 86400"}},
        {R"({"grace_seconds":86401})", {"'grace_seconds'", "0 to 86400"}},
        {R"({"grace_seconds":9223372036854775808})", {"'grace_seconds'", "a whole number"}},
        {R"({"grace_seconds":18446744073709551616})", {"'grace_seconds'", "a whole number"}},
        {R"({"grace_seconds":1e999})", {"out of range"}},
        {R"({"hard":)" + nested(100'000) + "}", {"more than 64 levels"}},
        {"[true]", {"must be an object"}},
    };
    for (const BadBody& bad : bodies) {
        CAPTURE(bad.body.substr(0, 60));
        check_refused(bystander.home, bystander.home.post(path, bad.body), bad.code, bad.words);
    }
    bystander.check();
}

TEST_CASE("an unknown field is named where it would be missed, and passed over elsewhere") {
    const Bystander bystander;
    const std::vector<BadBody> bodies{
        {with_executable(R"({"envs":{"A":"1"}})"), {"'spawn.executable'", "'envs'", "'env'"}},
        {with_executable(R"({"resource_limits":{"memory":1}})"),
         {"'spawn.executable.resource_limits'", "'memory'", "'memory_limit_bytes'"}},
        {with_executable(R"({"resource_limits":{"disk_limit_bytes":1}})"),
         {"'disk_limit_bytes'"},
         ErrorCode::unsupported},
        {with_executable(R"({"resource_limits":{"cpu_period":1}})"), {"'cpu_period'", "1000"}},
        {with_executable(R"({"image":"debian:12"})"), {"'image'"}, ErrorCode::unsupported},
        {with_executable(R"({"mount":"../up"})"), {"'../up'", "relative path"}},
    };
    for (const BadBody& bad : bodies) {
        CAPTURE(bad.body);
        check_refused(bystander.home, bystander.home.post(connect_path, bad.body), bad.code,
                      bad.words);
    }
    bystander.check();

    const Answer taken = bystander.home.post(
        connect_path, fmt::format(R"({{"key":"{}","lastStatus":null,"sdk":{{"v":1}},"spawn":{{)"
                                  R"("some_day":1}}}})",
                                  bystander.key));
    CHECK(taken.status == 200);
    bystander.check();
}

TEST_CASE("a body over 1 MiB is PayloadTooLarge, and the next client is served") {
    const Bystander bystander;
    const std::string huge = R"({"auth":{"a":")" + std::string(largest_body, 'x') + R"("}})";
    check_refused(bystander.home, bystander.home.post(connect_path, huge),
                  ErrorCode::payload_too_large, {"1048576 bytes"});

    // Without a length to see it coming.
    const auto client = bystander.home.client();
    const auto chunked = client->Post(
        connect_path,
        [&](std::size_t offset, httplib::DataSink& sink) {
            const std::size_t size = std::min<std::size_t>(huge.size() - offset, 65536);
            sink.write(huge.data() + offset, size);
            if (offset + size == huge.size()) sink.done();
            return true;
        },
        "application/json");
    REQUIRE(chunked);
    check_refused(bystander.home, {chunked->status, chunked->body}, ErrorCode::payload_too_large,
                  {"1048576 bytes"});
    bystander.check();

    const std::string just_fits = R"({"key":")" + bystander.key + R"(","x":")";
    const std::string filler(largest_body - just_fits.size() - 2, 'x');
    CHECK(bystander.home.post(connect_path, just_fits + filler + R"("})").status == 200);
}

TEST_CASE("a path, a method or a wait that the API doesn't know is refused with its name") {
    const Bystander bystander;
    const Home& home = bystander.home;
    check_refused(home, home.get("/v2/nothing"), ErrorCode::route_not_found, {"'/v2/nothing'"});
    check_refused(home, home.get(connect_path), ErrorCode::method_not_allowed, {"'GET'"});
    check_refused(home, home.post(std::string(connect_path) + "?wait=soon", "{}"),
                  ErrorCode::invalid_request, {"'soon'", "'ready'"});
    check_refused(home, home.post("/v2/service/other/default/connect", "{}"), ErrorCode::forbidden,
                  {"'other'", "'local'"});
    check_refused(home, home.get("/v2/backend/UPPER"), ErrorCode::invalid_request, {"'UPPER'"});
    check_refused(home, home.get("/v2/backend/nobody"), ErrorCode::backend_not_found, {"'nobody'"});
    bystander.check();
}
