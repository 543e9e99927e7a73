// Holds through the real programs: who is held isn't idle.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <optional>

#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

BackendId soon_idle(const Home& home, const char* key) {
    ConnectRequest request{.key = Key::parse(key).value(),
                           .command = Command{{test_backend()}, "/"}};
    request.limits.max_idle = 1;
    return home.connect(request).value().backend_id;
}

bool is_swept(const Home& home, const BackendId& id) {
    const StatusChange last = home.backend(id).statuses.back();
    return last.status == Status::terminated && last.reason == TerminationReason::swept;
}

std::string hold_of(const BackendId& id) {
    return fmt::format("/v2/backend/{}/hold", id.str());
}

}  // namespace

TEST_CASE("a backend lives while it is held, and its idle time begins when the last hold ends") {
    const Home home;
    home.output_of({"daemon", "start"});
    const BackendId held = soon_idle(home, "held");
    std::optional<EventStream> first(std::in_place, home, hold_of(held));
    REQUIRE(first->is_accepted());
    EventStream second(home, hold_of(held));
    REQUIRE(second.is_accepted());
    first.reset();
    CHECK(eventually([&] { return home.backend(held).connections == 1; }));

    const BackendId unheld = soon_idle(home, "unheld");
    CHECK(eventually([&] { return is_swept(home, unheld); }));
    CHECK(home.backend(held).statuses.back().status == Status::ready);
    CHECK(home.backend(held).idle_seconds == 0);
    CHECK(home.get(hold_of(unheld)).status == 409);

    second.socket().close();
    CHECK(eventually([&] { return is_swept(home, held); }));
}

TEST_CASE("a hold tells how its backend ends, and ends with it") {
    const Home home;
    home.output_of({"daemon", "start"});
    const BackendId id = soon_idle(home, "held");
    EventStream hold(home, hold_of(id));
    REQUIRE(hold.is_accepted());
    home.output_of({"terminate", id.str()});
    CHECK(hold.rest().find(R"({"status":"terminated")") != std::string::npos);
    CHECK(home.backend(id).connections == 0);
}
