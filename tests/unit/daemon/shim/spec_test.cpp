#include "daemon/shim/spec.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

ShimSpec good_spec() {
    return {.backend_id = "knrv5",
            .lock_name = "0f3a",
            .fencing_token = 1700000000001,
            .argv = {"/bin/sh", "-c", "", "a b=c"},
            .env = {"PORT=1234", "EMPTY=", "EQUALS=a=b"},
            .cwd = "/srv",
            .grace_milliseconds = 250,
            .ready_try_milliseconds = 300,
            .ready_exec = "test -e up",
            .has_listener = true,
            .lifetime_end = 1'000'000'000'000,
            .startup_milliseconds = 31'000,
            .descriptor_limit = 4096,
            .cpu_seconds = 7,
            .cgroup = "/sys/fs/cgroup/x"};
}

bool decodes(const ShimSpec& spec) {
    return ShimSpec::decode(spec.encode()).has_value();
}

}  // namespace

TEST_CASE("a specification survives its way to the shim") {
    const ShimSpec spec = good_spec();
    const auto decoded = ShimSpec::decode(spec.encode());
    REQUIRE(decoded);
    CHECK(decoded->backend_id == spec.backend_id);
    CHECK(decoded->lock_name == spec.lock_name);
    CHECK(decoded->fencing_token == spec.fencing_token);
    CHECK(decoded->argv == spec.argv);
    CHECK(decoded->env == spec.env);
    CHECK(decoded->cwd == spec.cwd);
    CHECK(decoded->grace_milliseconds == 250);
    CHECK(decoded->lifetime_end == 1'000'000'000'000);
    CHECK(decoded->startup_milliseconds == 31'000);
    CHECK(decoded->descriptor_limit == 4096);
    CHECK(decoded->ready_exec == spec.ready_exec);
    CHECK(decoded->ready_try_milliseconds == 300);
    CHECK(decoded->has_listener);
    CHECK(decoded->cpu_seconds == 7);
    CHECK(decoded->cgroup == "/sys/fs/cgroup/x");
}

TEST_CASE("a specification that can't start anything is refused") {
    REQUIRE(decodes(good_spec()));
    const auto without = [](auto spoil) {
        ShimSpec spec = good_spec();
        spoil(spec);
        return spec;
    };
    CHECK(!decodes(without([](ShimSpec& spec) { spec.backend_id.clear(); })));
    CHECK(!decodes(without([](ShimSpec& spec) { spec.fencing_token = 0; })));
    CHECK(!decodes(without([](ShimSpec& spec) { spec.argv.clear(); })));
    CHECK(!decodes(without([](ShimSpec& spec) { spec.argv.front() = "sh"; })));
    CHECK(!decodes(without([](ShimSpec& spec) { spec.cwd = "srv"; })));
    for (const char* name : {"", ".", "..", "../record", "a/b"}) {
        CHECK(!decodes(without([name](ShimSpec& spec) { spec.lock_name = name; })));
    }
    CHECK(!ShimSpec::decode("spec"));
    CHECK(!ShimSpec::decode(""));
}
