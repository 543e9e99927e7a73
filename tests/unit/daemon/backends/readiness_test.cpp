#include "daemon/backends/readiness.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

constexpr std::int64_t limit = 10'000;

Verdict judged(const Seen& seen, std::int64_t now, PortRule owner = PortRule::tree) {
    return judge({.port_owner = owner}, seen, now, limit);
}

}  // namespace

TEST_CASE("ready takes the sign and a port of its own, whatever the order") {
    for (const auto owner : {PortOwner::nobody, PortOwner::stranger}) {
        CHECK(judged({.has_sign = true, .place = {owner}}, 0) == Verdict::waiting);
        CHECK(judged({.has_sign = false, .place = {owner}}, 0) == Verdict::waiting);
        CHECK(judged({.has_sign = true, .place = {owner}}, 0, PortRule::any) == Verdict::ready);
        CHECK(judged({.has_sign = false, .place = {owner}}, 0, PortRule::any) == Verdict::waiting);
    }
    CHECK(judged({.has_sign = false, .place = {PortOwner::tree}}, 0) == Verdict::waiting);
    CHECK(judged({.has_sign = true, .place = {PortOwner::tree}}, 0) == Verdict::ready);
    CHECK(judge({}, {.has_sign = true, .place = {PortOwner::stranger}}, 0, limit) ==
          Verdict::waiting);
}

TEST_CASE("at the limit it is too late, but for what is ready just then") {
    CHECK(judged({}, limit - 1) == Verdict::waiting);
    CHECK(judged({}, limit) == Verdict::too_late);
    CHECK(judged({.has_sign = true, .place = {PortOwner::stranger}}, limit) == Verdict::too_late);
    CHECK(judged({.has_sign = true, .place = {PortOwner::tree}}, limit) == Verdict::ready);
}

TEST_CASE("the startup limit counts from the process's start, whoever watches it since when") {
    using std::chrono::seconds;
    CHECK(end_of_startup(12'345, 100, seconds(30), 130'000) == 153'450);
    CHECK(end_of_startup(12'345, 100, seconds(30), 990'000) == 153'450);
    CHECK(end_of_startup(12'345, 1000, seconds(1), 12'400) == 13'345);
    CHECK(end_of_startup(0, 100, seconds(30), 130'000) == 160'000);  // unknown
}

TEST_CASE("the status of an answer is read where it is HTTP") {
    CHECK(http_status("HTTP/1.1 204") == 204);
    CHECK(http_status("HTTP/1.0 503 Service Unavailable\r\n") == 503);
    for (const char* other :
         {"", "HTTP/1.1 20", "SSH-2.0-OpenSSH", "HTTP/1.1 abc", "HTTP/1.1-204-x"})
        CHECK(http_status(other) == 0);
}

TEST_CASE("what a shim tells of its command's tries is kept for the sentence at the limit") {
    ReadinessWatch watch({.id = BackendId::parse("abc12").value(), .mac_key = MacKey::generate()});
    watch.heed(Message("hello"));
    CHECK_FALSE(watch.last_look().command);
    watch.heed(Message("not-ready").add("try_code", std::int64_t{3}));
    CHECK(watch.last_look().command->exit == ProcessExit{3, std::nullopt});
    watch.heed(Message("hello").add("try_signal", std::int64_t{9}));
    CHECK(watch.last_look().command->exit == ProcessExit{std::nullopt, 9});
    watch.heed(Message("not-ready").add("try_too_long", std::int64_t{1}));
    CHECK(watch.last_look().command->was_too_long);
}
