#include "daemon/registry/services.h"

#include <doctest/doctest.h>

#include "tests/support/result_of.h"

using namespace jamsock;

namespace {

const Command demo{{"/usr/bin/demo"}, "/"};
const Command node{{"/usr/bin/node", "server.js"}, "/srv"};

ServiceName named(const char* text) {
    return ServiceName::parse(text).value();
}

struct World {
    Store store = Store::open(":memory:").value();
    StoreWriter writer{store};
    bool programs_run = true;
    Services services = fresh();

    // As after a restart of the daemon.
    Services fresh() {
        return Services(store, writer, store.services().value(), demo,
                        [this](const Command&) -> Task<Result<>> {
                            if (programs_run) co_return Result<>();
                            co_return fail(ErrorCode::invalid_request, "No such program.");
                        });
    }
    Result<> create(const ServiceName& name, const ServiceDefinition& definition) {
        return test::result_of(services.create(name, definition));
    }
    Result<> update(const ServiceName& name, const ServiceUpdateRequest& change) {
        return test::result_of(services.update(name, change));
    }
};

}  // namespace

TEST_CASE("the default service is always there and runs the demo until it is changed") {
    World world;
    CHECK(world.services.list().services == std::vector<std::string>{"default"});
    CHECK(world.services.definition(named("default"))->command == demo);
    CHECK(world.create(named("default"), {.command = node}).error().code == ErrorCode::conflict);
    REQUIRE(world.update(named("default"), {.command = node}));
    CHECK(world.services.definition(named("default"))->command == node);
    {
        auto deletion = world.services.begin_deletion(named("default"));
        REQUIRE(test::result_of(deletion->finish()));
    }
    CHECK(world.services.definition(named("default"))->command == demo);
}

TEST_CASE("services outlive the daemon") {
    World world;
    const ServiceDefinition definition{.command = node,
                                       .base_environment = {{"PATH", "/opt/bin"}},
                                       .env = {{"A", "1=2"}, {"EMPTY", ""}},
                                       .limits = {.max_idle = 0, .startup = 7}};
    REQUIRE(world.create(named("editor"), definition));
    REQUIRE(world.create(named("editor/staging"), {.env = {{"A", "3"}}}));
    const Services again = world.fresh();
    CHECK(again.list().services == std::vector<std::string>{"default", "editor"});
    CHECK(again.definition(named("editor")).value() == definition);
    CHECK(again.definition(named("editor/staging"))->env.at("A") == "3");
    CHECK(again.definition(named("editor/staging"))->env.at("EMPTY").empty());
}

TEST_CASE("an environment inherits what it doesn't set, also what changes later") {
    World world;
    REQUIRE(world.create(named("editor"), {.command = demo, .env = {{"A", "1"}}}));
    REQUIRE(world.create(named("editor/staging"), {.env = {{"B", "2"}}}));
    REQUIRE(world.update(named("editor"), {.command = std::optional(node), .grace = 5}));
    const auto staging = world.services.definition(named("editor/staging")).value();
    CHECK(staging.command == node);
    CHECK(staging.env == EnvironmentMap{{"A", "1"}, {"B", "2"}});
    CHECK(staging.limits.grace == 5);
}

TEST_CASE("an environment that gives up its own command has its service's again") {
    World world;
    REQUIRE(world.create(named("editor"), {.command = node}));
    REQUIRE(world.create(named("editor/staging"), {.command = demo}));
    CHECK(world.services.definition(named("editor/staging"))->command == demo);
    const auto give_up = ServiceUpdateRequest::from_json(R"({"command":null})").value();
    REQUIRE(world.update(named("editor/staging"), give_up));
    CHECK(world.services.definition(named("editor/staging"))->command == node);
}

TEST_CASE("what can't be made or changed is refused, and nothing is") {
    World world;
    REQUIRE(world.create(named("editor"), {.command = node}));
    CHECK(world.create(named("editor"), {.command = demo}).error().code == ErrorCode::conflict);
    CHECK(world.create(named("other/staging"), {}).error().code == ErrorCode::service_not_found);
    CHECK(world.update(named("other"), {}).error().code == ErrorCode::service_not_found);
    CHECK(world.create(named("x"), {.command = node, .env = {{"PORT", "1"}}}).error().code ==
          ErrorCode::reserved_env_var);
    world.programs_run = false;
    CHECK(world.create(named("x"), {.command = node}).error().code == ErrorCode::invalid_request);
    CHECK(world.update(named("editor"), {.command = demo}).error().code ==
          ErrorCode::invalid_request);
    // A program that is gone since doesn't forbid another change.
    CHECK(world.update(named("editor"), {.grace = 3}));
    CHECK(world.services.list().services == std::vector<std::string>{"default", "editor"});
    CHECK(world.services.definition(named("editor"))->command == node);
}

TEST_CASE("a service is told with its environments, the default one first") {
    World world;
    REQUIRE(world.create(named("editor"), {.command = node}));
    REQUIRE(world.create(named("editor/alpha"), {.limits = {.grace = 1}}));
    const ServiceInfo info = world.services.info(named("editor")).value();
    REQUIRE(info.environments.size() == 2);
    CHECK(info.environments[0].name == "default");
    CHECK(info.environments[0].definition.command == node);
    CHECK_FALSE(info.environments[0].last_spawned_at);
    CHECK(info.environments[1].name == "alpha");
    CHECK_FALSE(info.environments[1].definition.command);
    CHECK(world.services.info(named("nobody")).error().code == ErrorCode::service_not_found);
    CHECK(world.services.info(named("default"))->environments[0].definition.command == demo);
}

TEST_CASE("an abandoned deletion leaves the service as it was") {
    World world;
    REQUIRE(world.create(named("editor"), {.command = node}));
    {
        const auto deletion = world.services.begin_deletion(named("editor"));
        REQUIRE(deletion);
        CHECK(world.services.definition(named("editor")).error().code == ErrorCode::conflict);
    }
    CHECK(world.services.definition(named("editor")));
}
