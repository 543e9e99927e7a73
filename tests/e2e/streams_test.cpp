// Streams of events by the thousand, and what the daemon's and the backends' figures say.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/proc.h"
#include "tests/support/sanitized.h"

using namespace jamsock;
using namespace jamsock::test;
using Json = nlohmann::json;

namespace {

constexpr std::size_t wanted = 2000;
constexpr std::size_t most_kept = 4 * 1024 * 1024;
constexpr std::size_t most_each = 8 * 1024;
constexpr std::chrono::seconds until_all_are_closed{30};

// The daemon gives an eighth of its descriptors to the API, and most of these to streams.
std::size_t allowed_streams() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t shared = limit.rlim_max / 8;
    const std::size_t room = shared - std::min<std::size_t>(shared / 2, 256);
    if (room < wanted) MESSAGE("only ", room, " streams: the limit is ", limit.rlim_max);
    return std::min(wanted, room);
}

ConnectRequest request_for(const std::string& key, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), test_backend());
    return {.key = Key::parse(key).value(), .command = Command{arguments, "/"}};
}

std::string target_of(const BackendId& id, const char* what) {
    return fmt::format("/v2/backend/{}/{}/stream", id.str(), what);
}

// `over`: the port of the API, or the home whose socket is meant.
template <class Way>
std::vector<EventStream> subscribed(const Way& over, const std::string& target, std::size_t count) {
    std::vector<EventStream> streams;
    for (std::size_t i = 0; i < count; ++i)
        streams.emplace_back(over, target);
    for (EventStream& stream : streams)
        REQUIRE(stream.is_accepted());
    return streams;
}

std::string status_in(const std::optional<std::string>& event) {
    return event ? Json::parse(*event).at("status").get<std::string>() : "";
}

}  // namespace

TEST_CASE(
    "thousands of status streams over TCP each get every status, hinder nobody, and leave "
    "nothing") {
    const Home home;
    home.output_of({"daemon", "start"});
    const std::string key = home.own_key("watched");
    const BackendId id = home.connect(request_for(key)).value().backend_id;
    const std::string target = target_of(id, "status");
    const pid_t worker = home.worker();
    const std::uint16_t port = home.version()->api_port;
    subscribed(port, target, 100);
    const std::size_t descriptors = descriptors_of(worker).size();
    const auto memory = [&] { return resident_memory(worker); };
    const std::size_t memory_before = memory();

    const std::size_t count = allowed_streams();
    std::vector<EventStream> streams = subscribed(port, target, count);
    for (EventStream& stream : streams) {
        for (const char* status : {"scheduled", "loading", "starting", "waiting", "ready"})
            REQUIRE(status_in(stream.next()) == status);
    }
    if (!is_sanitized) {
        const std::size_t each = (memory() - std::min(memory(), memory_before)) / count;
        MESSAGE(each, " bytes of the daemon's memory for each stream");
        CHECK(each <= most_each);
    }
    CHECK_FALSE(home.connect(request_for(key)).value().spawned);
    CHECK(home.connect(request_for(home.own_key("another"))).value().spawned);

    home.output_of({"terminate", id.str()});
    for (EventStream& stream : streams) {
        REQUIRE(status_in(stream.next()) == "terminating");
        REQUIRE(status_in(stream.next()) == "terminated");
        REQUIRE_FALSE(stream.next());
    }
    streams.clear();
    const auto comes_back = [](auto measured, std::size_t most) {
        return eventually([&] { return measured() <= most; }, until_all_are_closed);
    };
    CHECK(comes_back([&] { return descriptors_of(worker).size(); }, descriptors + 8));
    if (!is_sanitized) CHECK(comes_back(memory, memory_before + most_kept));
}

TEST_CASE("subscribers who vanish are noticed while nothing is sent") {
    const Home home;
    home.output_of({"daemon", "start"});
    const BackendId id = home.connect(request_for(home.own_key("watched"))).value().backend_id;
    const pid_t worker = home.worker();
    const auto descriptors = [&] { return descriptors_of(worker).size(); };
    const std::size_t before = descriptors();
    for (const char* what : {"status", "logs"}) {
        CAPTURE(what);
        auto streams = subscribed(home, target_of(id, what), 50);
        CHECK(descriptors() >= before + 40);  // `before` may have had a passing one or two
        streams.clear();
        CHECK(eventually([&] { return descriptors() <= before + 1; }));
    }
}

TEST_CASE("a metrics stream has what all processes of a backend use, and ends with it") {
    const Home home;
    home.output_of({"daemon", "start"});
    ConnectRequest request = request_for(home.own_key("busy"));
    request.command =
        Command{{"/bin/sh", "-c", "(while :; do :; done) & exec \"$0\"", test_backend()}, "/"};
    const BackendId id = home.connect(request).value().backend_id;
    EventStream stream(home, target_of(id, "metrics"));
    REQUIRE(stream.is_accepted());
    std::uint64_t used = 0;
    const auto uses_cpu = [&] {
        const Json event = Json::parse(stream.next().value());
        REQUIRE(event.size() == 6);
        REQUIRE(event.at("cluster") == "local");
        REQUIRE(event.at("backend_id") == id.str());
        REQUIRE(event.at("mem_used").get<std::uint64_t>() > 100'000);
        REQUIRE(event.at("mem_available").get<std::uint64_t>() > 0);
        REQUIRE(event.at("sys_cpu").get<std::uint64_t>() > 500'000'000);
        used += event.at("cpu_used").get<std::uint64_t>();
        return used > 0;
    };
    CHECK(eventually(uses_cpu));
    home.post("/v2/backend/" + id.str() + "/terminate", R"({"hard":true})");
    while (stream.next())
        continue;
    EventStream ended(home, target_of(id, "metrics"));
    CHECK(ended.is_accepted());
    CHECK_FALSE(ended.next());
}

TEST_CASE("the daemon tells Prometheus what it has and what was done") {
    const Home home;
    home.output_of({"daemon", "start"});
    const ConnectRequest request = request_for(home.own_key("counted"));
    const std::string url = home.connect(request).value().url;
    home.connect(request).value();
    home.post("/v2/service/local/default/connect", R"({"key":"nobody","spawn":false})");
    REQUIRE(fetch(url).status == 200);
    const std::string text = home.get("/metrics").body;
    const auto has = [&](const std::string& line) {
        return text.find("\n" + line + "\n") != std::string::npos;
    };
    CAPTURE(text);
    CHECK(has("jamsock_backends{status=\"ready\"} 1"));
    CHECK(has("jamsock_backends{status=\"terminating\"} 0"));
    CHECK(has("jamsock_keys_held 1"));
    CHECK(has("jamsock_connects_total{outcome=\"spawned\"} 1"));
    CHECK(has("jamsock_connects_total{outcome=\"held\"} 1"));
    CHECK(has("jamsock_connects_total{outcome=\"KeyUnheldNoSpawnConfig\"} 1"));
    CHECK(has("jamsock_spawn_to_ready_seconds_count 1"));
    CHECK(has("jamsock_proxy_requests_total 1"));
    CHECK_FALSE(has("jamsock_proxy_bytes_total 0"));
    CHECK_FALSE(has("jamsock_store_write_seconds_count 0"));
    CHECK_FALSE(has("process_open_fds 0"));
}
