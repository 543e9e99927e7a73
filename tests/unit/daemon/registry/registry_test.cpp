#include "daemon/registry/registry.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <numeric>

#include "common/clock.h"
#include "tests/support/result_of.h"

using namespace jamsock;
using namespace std::chrono_literals;

namespace {

// Remembers what it was asked; the test says what happens to the backends.
struct FakeBackends final : Backends {
    struct Started {
        BackendRecord record;
        EnvironmentMap environment;
    };
    std::vector<Started> started;
    std::vector<std::pair<BackendId, Termination>> terminated;
    std::map<std::string, std::int64_t> lock_tokens;
    bool has_room = true;

    std::optional<Error> cant_limit;
    std::vector<StartSettings> settings;

    Result<> check_room(std::size_t) const override {
        if (has_room) return {};
        return fail(ErrorCode::usage_limit, "Too many.", "jamsock list");
    }
    Result<> can_limit(const ResourceLimits&) const override {
        if (cant_limit) return tl::unexpected(*cant_limit);
        return {};
    }
    void start(const BackendRecord& record, const StartSettings& start) override {
        started.push_back({record, start.environment});
        settings.push_back(start);
    }
    void terminate(const BackendId& id, const Termination& termination) override {
        terminated.emplace_back(id, termination);
    }
    Result<std::int64_t> recorded_token(const std::string& lock_name) const override {
        const auto found = lock_tokens.find(lock_name);
        return found == lock_tokens.end() ? 0 : found->second;
    }
    std::optional<pid_t> pid(const BackendId&) const override { return 77; }
    std::vector<std::string> log_tail(const BackendId&, std::size_t) const override {
        return {"last words"};
    }
    Task<std::vector<std::optional<Usage>>> usage(
        const std::vector<BackendId>& ids) const override {
        co_return std::vector<std::optional<Usage>>(ids.size(), Usage{.memory = 4096});
    }
    Task<BackendCondition> condition(const BackendId&) const override {
        co_return BackendCondition{.note = "held up", .dropped_log_bytes = 12};
    }
};

const Command demo{{"/usr/bin/demo"}, "/"};

// The registry's clock: stands still until the test lets time pass.
BootClock::time_point frozen_now;
BootClock::time_point now() {
    return frozen_now;
}
void pass(std::chrono::seconds time) {
    frozen_now += time;
}

struct World {
    Store store = Store::open(":memory:").value();
    FakeBackends backends;
    std::vector<std::shared_ptr<const Route>> published;
    std::vector<std::uint64_t> removed;
    std::vector<std::pair<std::uint64_t, std::size_t>> cut;  // how many were published before
    StoreWriter writer{store};
    Services services{
        store, writer, {}, demo, [](const Command&) -> Task<Result<>> { co_return Result<>(); }};
    Registry registry{
        store,
        writer,
        services,
        backends,
        {[this](auto route) { published.push_back(std::move(route)); },
         [this](std::uint64_t serial) { removed.push_back(serial); },
         [this](std::uint64_t serial) { cut.emplace_back(serial, published.size()); }},
        {"http://127.0.0.1:9090/", "http://127.0.0.1:8080", "/state/mounts", &now}};
    asio::io_context loop;

    World() { asio::co_spawn(loop, registry.keep_recording(), asio::detached); }

    Result<> create_service(const ServiceName& name, const ServiceDefinition& definition) {
        return test::result_of(loop, services.create(name, definition));
    }
    Result<> update_service(const ServiceName& name, const ServiceUpdateRequest& change) {
        return test::result_of(loop, services.update(name, change));
    }

    using Connected = std::shared_ptr<std::optional<Result<ConnectResponse>>>;

    // Begins a connect and runs all that can run; the answer is empty while it waits.
    Connected begin_connect(ConnectRequest request, bool wait = false,
                            ServiceName service = ServiceName::standard()) {
        auto answer = std::make_shared<std::optional<Result<ConnectResponse>>>();
        asio::co_spawn(
            loop,
            [this, request = std::move(request), wait, service, answer]() mutable -> Task<> {
                std::optional<Deadline> ready_by;
                if (wait) ready_by = after(std::chrono::seconds(10));
                auto connected = co_await registry.connect(service, request, ready_by);
                *answer = std::move(connected);
            },
            asio::detached);
        settle();
        return answer;
    }

    // … for somebody who may leave.
    Connected begin_connect_for(Caller& caller, ConnectRequest request, bool wait = true) {
        auto answer = std::make_shared<std::optional<Result<ConnectResponse>>>();
        asio::co_spawn(
            loop,
            [this, &caller, request = std::move(request), wait, answer]() mutable -> Task<> {
                std::optional<Patience> limit;
                if (wait) limit.emplace(after(std::chrono::seconds(10)), &caller);
                const ServiceName service = ServiceName::standard();
                auto connected = co_await registry.connect(service, request, limit, &caller);
                *answer = std::move(connected);
            },
            asio::detached);
        settle();
        return answer;
    }

    Result<ConnectResponse> connect(ConnectRequest request, const char* service = "default") {
        const auto answer =
            begin_connect(std::move(request), false, ServiceName::parse(service).value());
        REQUIRE(answer->has_value());
        return **answer;
    }

    Result<RevokeResponse> revoke(const BackendId& id, const RevokeRequest& request) {
        return test::result_of(loop, registry.revoke(id, request));
    }
    StatusChange take_in(const BackendRecord& record, const std::optional<ReadyMark>& ready) {
        const StatusChange last = test::result_of(loop, registry.take_in(record, ready));
        settle();
        return last;
    }

    // The answer is empty while it waits.
    std::shared_ptr<std::optional<Result<>>> begin_deletion(const char* service, bool force) {
        auto answer = std::make_shared<std::optional<Result<>>>();
        asio::co_spawn(
            loop,
            [this, name = ServiceName::parse(service).value(), force, answer]() -> Task<> {
                const ServiceDeleteRequest request{force};
                auto deleted = co_await registry.delete_service(name, request);
                *answer = std::move(deleted);
            },
            asio::detached);
        settle();
        return answer;
    }

    // The newest backend ends before it is ready, because of its port.
    void newest_loses_its_port() {
        const BackendId id = backends.started.back().record.id;
        registry.on_event({id,
                           {.status = Status::terminated, .time = 1},
                           Error{ErrorCode::backend_ended_before_ready, "Robbed.", {}, {}},
                           true});
        settle();
    }

    void happens(const BackendId& id, StatusChange change, std::optional<Error> failure = {}) {
        change.time = 1;
        registry.on_event({id, change, std::move(failure)});
        settle();
    }

    using Events = std::shared_ptr<std::optional<Result<EventList>>>;

    // The answer is empty while it waits.
    Events begin_events(std::int64_t cursor, std::chrono::seconds wait = 10s,
                        Caller* caller = nullptr, std::size_t most = 100) {
        auto answer = std::make_shared<std::optional<Result<EventList>>>();
        asio::co_spawn(
            loop,
            [this, cursor, wait, caller, most, answer]() -> Task<> {
                const Patience limit(after(wait), caller);
                auto events = co_await registry.events_after(cursor, most, limit);
                *answer = std::move(events);
            },
            asio::detached);
        settle();
        return answer;
    }

    EventList events(std::int64_t cursor) {
        const auto answer = begin_events(cursor, 0s);
        REQUIRE(answer->has_value());
        return (*answer)->value();
    }

    void settle() {
        loop.restart();
        loop.poll();
    }
};

ConnectRequest for_key(const char* key) {
    return {.key = *Key::parse(key)};
}

ConnectRequest look_up(const char* key) {
    return {.key = *Key::parse(key), .spawn = false};
}

// A file that the test may open, too.
struct FileWorld : World {
    std::string directory = "/tmp/jamsock-registry-XXXXXX";

    FileWorld() {
        REQUIRE(::mkdtemp(directory.data()));
        store = Store::open(path()).value();
    }
    ~FileWorld() { std::filesystem::remove_all(directory); }
    std::string path() const { return directory + "/jamsock.db"; }
    void execute(const char* sql) const {
        SQLite::Database(path(), SQLite::OPEN_READWRITE, 1000).exec(sql);
    }
};

// "doc ready"
std::vector<std::string> told(const EventList& list) {
    std::vector<std::string> lines;
    for (const StatusEvent& event : list.events) {
        lines.push_back((event.key ? event.key->str() : "-") + " " +
                        std::string(word(event.change.status)));
    }
    return lines;
}

}  // namespace

TEST_CASE("the first connect to a key spawns, all others find that backend") {
    World world;
    const auto first = world.connect(for_key("doc")).value();
    CHECK(first.spawned);
    CHECK(first.status == Status::scheduled);
    for (int i = 0; i < 1000; ++i) {
        const auto next = world.connect(for_key("doc")).value();
        CHECK_FALSE(next.spawned);
        CHECK(next.backend_id == first.backend_id);
        CHECK(next.token != first.token);
    }
    CHECK(world.backends.started.size() == 1);
}

TEST_CASE("no two statuses of a backend have the same time") {
    World world;
    const BackendId id = world.connect(for_key("doc"))->backend_id;
    const auto statuses = [&] { return world.registry.backend(id)->statuses; };
    const std::int64_t start = statuses().back().time;
    for (const Status status : {Status::loading, Status::starting, Status::ready}) {
        world.happens(id, {.status = status, .time = start});
    }
    std::int64_t last = start - 1;
    for (const StatusChange& change : statuses()) {
        CHECK(change.time == last + 1);
        last = change.time;
    }
    CHECK(last == start + 3);
}

TEST_CASE("the row is committed before anything is started") {
    World world;
    const auto first = world.connect(for_key("doc")).value();
    const auto row = world.store.find_backend(first.backend_id);
    REQUIRE(row);
    CHECK(row->key == Key::parse("doc").value());
    CHECK(row->fencing_token == world.backends.started[0].record.fencing_token);
}

TEST_CASE("where there is no room new keys are refused without a trace, and held ones are found") {
    World world;
    const auto held = world.connect(for_key("held")).value();
    world.backends.has_room = false;
    const auto refused = world.connect(for_key("new"));
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::usage_limit);
    CHECK(world.connect(for_key("held")).value().backend_id == held.backend_id);
    CHECK(world.registry.keys({}).keys.size() == 1);
    CHECK(world.backends.started.size() == 1);
    world.backends.has_room = true;
    CHECK(world.connect(for_key("new")).value().spawned);
}

TEST_CASE("a connect without a key always spawns") {
    World world;
    CHECK(world.connect({})->spawned);
    CHECK(world.connect({})->spawned);
    CHECK(world.backends.started.size() == 2);
    CHECK(world.backends.started[0].environment.at("SESSION_BACKEND_KEY") !=
          world.backends.started[1].environment.at("SESSION_BACKEND_KEY"));
}

TEST_CASE("a look-up starts nothing and finds what is held") {
    World world;
    const auto none = world.connect(look_up("doc"));
    REQUIRE_FALSE(none);
    CHECK(none.error().code == ErrorCode::key_unheld_no_spawn_config);
    CHECK(none.error().hint == "jamsock connect --key doc");
    CHECK(world.backends.started.empty());

    const auto held = world.connect(for_key("doc")).value();
    CHECK(world.connect(look_up("doc"))->backend_id == held.backend_id);
}

TEST_CASE("the URL is the connection token behind the proxy's address, with the last slash") {
    World world;
    const auto response = world.connect(for_key("doc")).value();
    CHECK(response.token.size() == 43);
    CHECK(response.url == "http://127.0.0.1:9090/" + response.token + "/");
    CHECK(response.secret_token.size() == 43);
    CHECK(response.secret_token != response.token);
}

TEST_CASE("a backend gets the contract's environment") {
    World world;
    ConnectRequest request = for_key("doc");
    request.env = {{"MODE", "test"}};
    request.base_environment = EnvironmentMap{{"PATH", "/my/bin"}};
    const auto response = world.connect(request).value();
    const auto [record, environment] = world.backends.started.at(0);
    CHECK(environment ==
          EnvironmentMap{
              {"HOST", "127.0.0.1"},
              {"PORT", std::to_string(record.port)},
              {"SESSION_BACKEND_ID", response.backend_id.str()},
              {"SESSION_BACKEND_KEY", "doc"},
              {"SESSION_BACKEND_FENCING_TOKEN", std::to_string(record.fencing_token)},
              {"JAMSOCKET_SERVICE", "local/default"},
              {"JAMSOCK_MARK", record.mark},
              {"PATH", "/my/bin"},
              {"MODE", "test"},
          });
}

TEST_CASE("a backend that lost its port is started on another one for who waits, thrice at most") {
    World world;
    const auto first = world.begin_connect(for_key("doc"), /*wait=*/true);
    const auto second = world.begin_connect(for_key("doc"), /*wait=*/true);
    world.newest_loses_its_port();
    CHECK_FALSE(first->has_value());
    REQUIRE(world.backends.started.size() == 2);
    CHECK(world.backends.started[1].record.port != world.backends.started[0].record.port);
    CHECK(world.backends.started[1].record.fencing_token >
          world.backends.started[0].record.fencing_token);
    world.newest_loses_its_port();
    const auto late = world.begin_connect(for_key("doc"), /*wait=*/true);
    REQUIRE(world.backends.started.size() == 3);

    SUBCASE("the third may live") {
        const BackendId id = world.backends.started.back().record.id;
        world.happens(id, {.status = Status::ready});
        for (const auto& answer : {first, second, late})
            CHECK(answer->value().value().backend_id == id);
        CHECK(first->value()->spawned);
        CHECK_FALSE(late->value()->spawned);
    }
    SUBCASE("or its error is told") {
        world.newest_loses_its_port();
        CHECK(world.backends.started.size() == 3);
        for (const auto& answer : {first, second, late})
            CHECK(answer->value().error().message == "Robbed.");
    }
}

TEST_CASE("a backend that lost its port is not started again for who doesn't wait, or only looks") {
    World world;
    world.connect(for_key("doc")).value();
    const auto looking = [&] {
        ConnectRequest request = look_up("doc");
        return world.begin_connect(request, /*wait=*/true);
    }();
    world.newest_loses_its_port();
    CHECK(world.backends.started.size() == 1);
    CHECK(looking->value().error().message == "Robbed.");
}

TEST_CASE("a backend's record has what its service waits for") {
    World world;
    const ReadinessRule rule{.sign = ReadySign::parse(ReadySign::Kind::path, "/up", "").value(),
                             .listen_fd = true};
    REQUIRE(world.create_service(ServiceName::parse("editor").value(),
                                 {.command = demo, .readiness = rule}));
    world.connect(for_key("doc"), "editor").value();
    CHECK(world.backends.started.at(0).record.readiness == rule);
}

TEST_CASE("a service's rule on origins is its backends' from their start to their end") {
    World world;
    const auto editor = ServiceName::parse("editor").value();
    REQUIRE(world.create_service(editor, {.command = demo, .allow_origins = OriginRule::strict}));
    const auto strict = world.connect(for_key("doc"), "editor").value();
    CHECK(world.published.back()->refuses_foreign_origins);
    REQUIRE(world.update_service(editor, {.allow_origins = OriginRule::any}));
    world.happens(strict.backend_id, {.status = Status::ready});
    CHECK(world.published.back()->refuses_foreign_origins);
    world.connect(for_key("other"), "editor").value();
    CHECK_FALSE(world.published.back()->refuses_foreign_origins);
    REQUIRE(world.update_service(editor, {.allow_origins = std::optional<OriginRule>()}));
    world.connect(for_key("third"), "editor").value();
    CHECK_FALSE(world.published.back()->refuses_foreign_origins);
}

TEST_CASE("a reserved variable is refused and nothing changes") {
    World world;
    ConnectRequest request = for_key("doc");
    request.env = {{"PORT", "80"}};
    const auto refused = world.connect(request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::reserved_env_var);
    CHECK(world.registry.keys({}).keys.empty());
}

TEST_CASE("fencing tokens rise above the row, the lock file and the clock") {
    World world;
    const auto first = world.connect(for_key("doc")).value();
    const BackendRecord record = world.backends.started[0].record;
    const std::int64_t first_token = record.fencing_token;
    world.happens(first.backend_id, {.status = Status::terminated});

    world.connect(for_key("doc")).value();
    CHECK(world.backends.started[1].record.fencing_token > first_token);
    world.happens(world.backends.started[1].record.id, {.status = Status::terminated});

    const std::int64_t from_the_future = first_token + 1'000'000'000;
    world.backends.lock_tokens[record.lock_name] = from_the_future;
    world.connect(for_key("doc")).value();
    CHECK(world.backends.started[2].record.fencing_token == from_the_future + 1);
}

TEST_CASE("a key held by another program is KeyHeld, with both commands named") {
    World world;
    ConnectRequest request = for_key("doc");
    request.command = Command{{"/bin/one", "a b"}, "/srv"};
    world.connect(request).value();

    CHECK(world.connect(request));
    CHECK(world.connect(for_key("doc")));
    request.command = Command{{"/bin/two"}, "/srv"};
    const auto refused = world.connect(request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::key_held);
    CHECK(refused.error().message.find("/bin/one 'a b'") != std::string::npos);
    CHECK(refused.error().message.find("/bin/two") != std::string::npos);
    CHECK(told_to_others(refused.error()).message.ends_with("which runs another command."));

    request.command = Command{{"/bin/one", "a b"}, "/elsewhere"};
    CHECK(world.connect(request).error().code == ErrorCode::key_held);
}

TEST_CASE("a key held under another tag is KeyHeld") {
    World world;
    ConnectRequest request = for_key("doc");
    request.tag = "blue";
    world.connect(request).value();
    CHECK(world.connect(request));
    request.tag = "green";
    CHECK(world.connect(request).error().code == ErrorCode::key_held);
}

TEST_CASE("waiting for ready answers at ready, with the status of that time") {
    World world;
    const auto waiting = world.begin_connect(for_key("doc"), true);
    REQUIRE_FALSE(waiting->has_value());
    const BackendId id = world.backends.started.at(0).record.id;
    world.happens(id, {.status = Status::waiting});
    REQUIRE_FALSE(waiting->has_value());
    world.happens(id, {.status = Status::ready});
    REQUIRE(waiting->has_value());
    CHECK((*waiting)->value().status == Status::ready);
    CHECK((*waiting)->value().spawned);
}

TEST_CASE("a wait ends when its caller leaves, and the backend goes on starting") {
    World world;
    Caller caller;
    const auto answer = world.begin_connect_for(caller, for_key("k"));
    CHECK_FALSE(answer->has_value());
    caller.leave();
    world.settle();
    REQUIRE(answer->has_value());
    CHECK((*answer)->error().code == ErrorCode::timed_out);
    const auto again = world.begin_connect_for(caller, for_key("k"));
    CHECK(again->has_value());
    CHECK(world.registry.keys({}).keys.size() == 1);
}

TEST_CASE("waiting for a backend that ends first says how it ended, and its last words") {
    World world;
    const auto waiting = world.begin_connect(for_key("doc"), true);
    world.happens(world.backends.started.at(0).record.id,
                  {.status = Status::terminated, .exit = ProcessExit{3, std::nullopt}});
    REQUIRE(waiting->has_value());
    const Error error = (*waiting)->error();
    CHECK(error.code == ErrorCode::backend_ended_before_ready);
    CHECK(error.message.find("exited with code 3") != std::string::npos);
    CHECK(told_to_others(error).message == error.message);
    CHECK(told_to_others(error).hint == error.hint);
    CHECK(error.log_tail == std::vector<std::string>{"last words"});
}

TEST_CASE("a spawn that failed is told to all who wait") {
    World world;
    const auto one = world.begin_connect(for_key("doc"), true);
    const auto two = world.begin_connect(for_key("doc"), true);
    world.happens(world.backends.started.at(0).record.id,
                  {.status = Status::terminated, .reason = TerminationReason::internalerror},
                  Error{ErrorCode::spawn_failed, "No such file.", {}, {}});
    for (const auto& waiting : {one, two}) {
        REQUIRE(waiting->has_value());
        CHECK((*waiting)->error().code == ErrorCode::spawn_failed);
        CHECK((*waiting)->error().message == "No such file.");
    }
}

TEST_CASE("a connect that meets a dying holder waits for its end and then spawns") {
    World world;
    const auto dying = world.connect(for_key("doc")).value();
    world.happens(dying.backend_id, {.status = Status::terminating});
    const auto waiting = world.begin_connect(for_key("doc"));
    CHECK_FALSE(waiting->has_value());
    CHECK(world.backends.started.size() == 1);

    world.happens(dying.backend_id, {.status = Status::hard_terminating});
    CHECK_FALSE(waiting->has_value());
    world.happens(dying.backend_id, {.status = Status::terminated});
    REQUIRE(waiting->has_value());
    CHECK((*waiting)->value().spawned);
    CHECK((*waiting)->value().backend_id != dying.backend_id);
    CHECK(world.backends.started.size() == 2);
}

TEST_CASE("who leaves while the holder of a key dies gets no new backend") {
    for (const auto& [wait, leaves_last] :
         {std::pair{false, false}, {false, true}, {true, false}, {true, true}}) {
        World world;
        Caller caller;
        const auto dying = world.connect(for_key("doc")).value();
        world.happens(dying.backend_id, {.status = Status::terminating});
        const auto waiting = world.begin_connect_for(caller, for_key("doc"), wait);
        CHECK_FALSE(waiting->has_value());
        if (leaves_last) {
            const StatusChange end{.status = Status::terminated, .time = 1};
            world.registry.on_event({dying.backend_id, end, {}});
        }
        caller.leave();
        world.settle();
        REQUIRE(waiting->has_value());
        CHECK_FALSE((*waiting)->has_value());
        CHECK(world.backends.started.size() == 1);
    }
}

TEST_CASE("who leaves while waiting for an end is missed") {
    World world;
    Caller caller;
    const auto backend = world.connect(for_key("doc")).value();
    std::optional<Result<>> answer;
    const TerminateRequest softly{.kind = TerminationKind::soft};
    asio::co_spawn(
        world.loop,
        [&]() -> Task<> {
            auto ended =
                co_await world.registry.terminate(backend.backend_id, softly, true, &caller);
            answer = std::move(ended);
        },
        asio::detached);
    world.settle();
    CHECK_FALSE(answer);
    caller.leave();
    world.settle();
    REQUIRE(answer);
    CHECK(answer->error().code == ErrorCode::conflict);
    CHECK(world.backends.terminated.size() == 1);
}

TEST_CASE("many who wait for one dying holder get one new backend") {
    World world;
    const auto dying = world.connect(for_key("doc")).value();
    world.happens(dying.backend_id, {.status = Status::terminating});
    std::vector<World::Connected> waiting;
    for (int i = 0; i < 50; ++i)
        waiting.push_back(world.begin_connect(for_key("doc")));
    world.happens(dying.backend_id, {.status = Status::terminated});
    int spawned = 0;
    for (const auto& answer : waiting) {
        REQUIRE(answer->has_value());
        if ((*answer)->value().spawned) ++spawned;
    }
    CHECK(spawned == 1);
    CHECK(world.backends.started.size() == 2);
}

TEST_CASE("a look-up of a dying holder is answered with it as it is") {
    World world;
    const auto dying = world.connect(for_key("doc")).value();
    world.happens(dying.backend_id, {.status = Status::terminating});
    const auto found = world.connect(look_up("doc")).value();
    CHECK(found.backend_id == dying.backend_id);
    CHECK(found.status == Status::terminating);
}

TEST_CASE("an ending backend takes no new request, and its route goes at the end") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    CHECK(world.published.back()->state == Route::State::pending);
    world.happens(backend.backend_id, {.status = Status::ready});
    CHECK(world.published.back()->state == Route::State::ready);
    const auto activity = world.published.back()->activity;
    REQUIRE(activity->enter());
    activity->leave();

    world.happens(backend.backend_id,
                  {.status = Status::terminating, .reason = TerminationReason::startuptimeout});
    CHECK(world.published.back()->state == Route::State::ending);
    CHECK(world.published.back()->startup_limit_passed);
    CHECK_FALSE(activity->enter());
    CHECK(world.removed.empty());

    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK(world.removed == std::vector{world.published.back()->serial});
}

TEST_CASE("a terminate is passed on once, with its grace, and the end is remembered") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    const TerminateRequest softly{.kind = TerminationKind::soft, .grace_seconds = 3};
    asio::co_spawn(world.loop, world.registry.terminate(backend.backend_id, softly, false),
                   asio::detached);
    world.settle();
    REQUIRE(world.backends.terminated.size() == 1);
    CHECK(world.backends.terminated[0].second.grace == std::chrono::seconds(3));

    world.happens(backend.backend_id, {.status = Status::terminated,
                                       .reason = TerminationReason::external,
                                       .kind = TerminationKind::soft,
                                       .exit = ProcessExit{0, std::nullopt}});
    CHECK(world.registry.keys({}).keys.empty());
    const auto info = world.registry.backend(backend.backend_id).value();
    CHECK(info.statuses.back().status == Status::terminated);
    CHECK(info.statuses.back().exit == ProcessExit{0, std::nullopt});
    CHECK_FALSE(info.pid);
}

TEST_CASE("ids that never were are not found, ended ones are not running") {
    World world;
    const BackendId stranger = BackendId::parse("nobody").value();
    CHECK(world.registry.backend(stranger).error().code == ErrorCode::backend_not_found);
    CHECK(world.registry.statuses(stranger).error().code == ErrorCode::backend_not_found);

    const auto backend = world.connect(for_key("doc")).value();
    CHECK(world.registry.statuses(backend.backend_id)->size() == 1);
    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK(world.registry.statuses(backend.backend_id)->back().status == Status::terminated);
    std::optional<Result<>> answer;
    asio::co_spawn(
        world.loop,
        [&]() -> Task<> {
            const TerminateRequest request;
            answer = co_await world.registry.terminate(backend.backend_id, request, true);
        },
        asio::detached);
    world.settle();
    REQUIRE(answer);
    CHECK(answer->error().code == ErrorCode::backend_not_running);
}

TEST_CASE("the list is ordered by key, keyless backends first") {
    World world;
    world.connect(for_key("b")).value();
    world.connect(for_key("a")).value();
    world.connect({}).value();
    const auto list = world.registry.keys({}).keys;
    REQUIRE(list.size() == 3);
    CHECK_FALSE(list[0].key);
    CHECK(list[1].key->str() == "a");
    CHECK(list[2].key->str() == "b");
}

TEST_CASE("the list can be of one service, or of keys with a prefix") {
    World world;
    world.connect(for_key("doc-1")).value();
    world.connect(for_key("doc-2")).value();
    world.connect(for_key("room-1")).value();
    world.connect({}).value();
    CHECK(world.registry.keys({.prefix = "doc-"}).keys.size() == 2);
    CHECK(world.registry.keys({.service = "default"}).keys.size() == 4);
    CHECK(world.registry.keys({.service = "editor"}).keys.empty());
}

TEST_CASE("a user whom a header would make another one is refused") {
    World world;
    for (const char* user : {" root", "root ", " ", "  root  ", "a\tb", "\troot"}) {
        ConnectRequest request = for_key("doc");
        request.user = user;
        CHECK(world.connect(request).error().code == ErrorCode::invalid_request);
    }
    CHECK(world.backends.started.empty());
    for (const char* user : {"root", "ann smith", "josé", ""}) {
        ConnectRequest request = for_key("doc");
        request.user = user;
        CHECK(world.connect(request));
    }
}

TEST_CASE("user and auth data are remembered for their token alone") {
    World world;
    ConnectRequest request = for_key("doc");
    request.user = "ann";
    request.auth = R"({"role":"editor"})";
    const auto with = ConnectionToken::decode(world.connect(request)->token).value();
    const auto without = ConnectionToken::decode(world.connect(for_key("doc"))->token).value();
    CHECK(with.has_identity());
    CHECK_FALSE(without.has_identity());
    const auto identity = world.registry.identity(with.hash());
    REQUIRE(identity);
    CHECK(identity->user == "ann");
    CHECK(identity->auth == R"({"role":"editor"})");
    CHECK_FALSE(world.registry.identity(without.hash()));
}

TEST_CASE("at shutdown every waiting request is told so") {
    World world;
    const auto waiting = world.begin_connect(for_key("doc"), true);
    world.registry.stop();
    world.settle();
    REQUIRE(waiting->has_value());
    CHECK((*waiting)->error().code == ErrorCode::shutting_down);
    CHECK(world.connect(for_key("other")).error().code == ErrorCode::shutting_down);
}

TEST_CASE("a backend is told with what its processes and files show, also after its end") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    const auto inspected = [&] {
        std::optional<Result<BackendInfo>> answer;
        const auto inspect = [&]() -> Task<> {
            auto info = co_await world.registry.inspect(backend.backend_id);
            answer = std::move(info);
        };
        asio::co_spawn(world.loop, inspect(), asio::detached);
        world.settle();
        REQUIRE(answer);
        REQUIRE(*answer);
        return **answer;
    };
    CHECK(inspected().note == "held up");
    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK(inspected().dropped_log_bytes == 12);
    CHECK(inspected().statuses.back().status == Status::terminated);
}

TEST_CASE("connects are counted by their outcome, and starts by their time") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    REQUIRE(world.connect(for_key("doc")));
    ConnectRequest lookup = for_key("nobody");
    lookup.spawn = false;
    REQUIRE_FALSE(world.connect(lookup));
    const std::map<std::string_view, std::uint64_t> counted{
        {"spawned", 1}, {"held", 1}, {"KeyUnheldNoSpawnConfig", 1}};
    CHECK((world.registry.counts().connects == counted));
    CHECK(world.registry.keys_held() == 1);
    const auto starts = [&] {
        const auto& buckets = world.registry.counts().spawn_to_ready.counts();
        return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
    };
    world.happens(backend.backend_id, {.status = Status::waiting});
    CHECK(starts() == 0);
    world.happens(backend.backend_id, {.status = Status::ready});
    CHECK(starts() == 1);
    CHECK((world.registry.live_by_status() == std::map<Status, std::size_t>{{Status::ready, 1}}));
}

TEST_CASE("whoever follows a backend's statuses gets each once, in order, also after its end") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    std::vector<Status> seen;
    bool ended = false;
    asio::steady_timer patience(world.loop, 10s);
    const auto follow = [&]() -> Task<> {
        while (seen.empty() || seen.back() != Status::terminated) {
            const auto next =
                co_await world.registry.statuses_after(backend.backend_id, seen.size(), patience);
            REQUIRE(next);
            REQUIRE_FALSE(next->empty());
            for (const StatusChange& change : *next)
                seen.push_back(change.status);
        }
        ended = true;
    };
    asio::co_spawn(world.loop, follow(), asio::detached);
    world.settle();
    CHECK(seen == std::vector{Status::scheduled});
    world.happens(backend.backend_id, {.status = Status::loading});
    CHECK(seen == std::vector{Status::scheduled, Status::loading});
    world.registry.on_event({backend.backend_id, {.status = Status::waiting}, {}});
    world.happens(backend.backend_id, {.status = Status::terminated});
    const std::vector whole{Status::scheduled, Status::loading, Status::waiting,
                            Status::terminated};
    CHECK(seen == whole);
    CHECK(ended);

    seen.clear();
    asio::co_spawn(world.loop, follow(), asio::detached);
    world.settle();
    CHECK(seen == whole);
}

namespace {

ConnectionToken token_in(const ConnectResponse& response) {
    return ConnectionToken::decode(response.token).value();
}

ConnectRequest for_user(const char* user, const char* key = "doc") {
    return {.key = *Key::parse(key), .user = user};
}

RevokeRequest of_token(const ConnectResponse& response) {
    return {RevokeRequest::By::token, response.token};
}

bool is_revoked(const World& world, const ConnectResponse& response) {
    const auto& revoked = world.published.back()->revoked;
    return revoked && revoked->contains(token_in(response));
}

}  // namespace

TEST_CASE(
    "a revoked token is in the backend's route from then on, and in the store, and no other") {
    World world;
    const auto one = world.connect(for_key("doc")).value();
    const auto other = world.connect(for_key("doc")).value();
    CHECK_FALSE(world.published.back()->revoked);
    CHECK(world.revoke(one.backend_id, of_token(one))->revoked == 1);
    CHECK(is_revoked(world, one));
    CHECK_FALSE(is_revoked(world, other));
    CHECK(world.store.revoked(0).value().at(one.backend_id) == std::vector{token_in(one).hash()});
    CHECK(world.revoke(one.backend_id, of_token(one))->revoked == 0);
    CHECK(world.revoke(one.backend_id, of_token(other))->revoked == 1);
    world.happens(one.backend_id, {.status = Status::ready});
    CHECK(is_revoked(world, one));
    CHECK(is_revoked(world, other));
    CHECK_FALSE(is_revoked(world, world.connect(for_key("doc")).value()));
    CHECK(world.cut.empty());
}

TEST_CASE("a user's tokens for one backend are revoked, and later ones are good") {
    World world;
    const auto first = world.connect(for_user("ann")).value();
    const auto second = world.connect(for_user("ann")).value();
    const auto bobs = world.connect(for_user("bob")).value();
    const auto elsewhere = world.connect(for_user("ann", "other")).value();
    const RevokeRequest ann{RevokeRequest::By::user, "ann"};
    CHECK(world.revoke(first.backend_id, ann)->revoked == 2);
    CHECK(world.published.back()->id == first.backend_id);
    CHECK(is_revoked(world, first));
    CHECK(is_revoked(world, second));
    CHECK_FALSE(is_revoked(world, bobs));
    CHECK_FALSE(is_revoked(world, world.connect(for_user("ann")).value()));
    CHECK(world.revoke(first.backend_id, ann)->revoked == 1);
    CHECK(world.revoke(elsewhere.backend_id, ann)->revoked == 1);
    CHECK(world.revoke(first.backend_id, {RevokeRequest::By::user, "eve"})->revoked == 0);
}

TEST_CASE(
    "with `close` the connections are cut once the route says why, whatever was revoked before") {
    World world;
    const auto backend = world.connect(for_user("ann")).value();
    const std::uint64_t serial = world.published.back()->serial;
    CHECK(world.revoke(backend.backend_id, of_token(backend))->revoked == 1);
    CHECK(world.cut.empty());
    RevokeRequest closing = of_token(backend);
    closing.close = true;
    CHECK(world.revoke(backend.backend_id, closing)->revoked == 0);
    closing = {RevokeRequest::By::user, "ann", true};
    CHECK(world.revoke(backend.backend_id, closing)->revoked == 0);
    CHECK(world.cut ==
          std::vector{std::pair{serial, std::size_t{3}}, std::pair{serial, std::size_t{4}}});
}

TEST_CASE("a token that has expired is revoked for the connections that it opened") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    const BackendRecord& record = world.backends.started[0].record;
    const auto long_ago = static_cast<std::uint32_t>(wall_milliseconds() / 1000 - 3600);
    const auto old = ConnectionToken::issue(record.mac_key, record.serial, long_ago, true);
    const RevokeRequest request{RevokeRequest::By::token, old.reveal()};
    CHECK(world.revoke(backend.backend_id, request)->revoked == 0);
    CHECK(world.published.back()->revoked->contains(old));
    CHECK(world.store.revoked(0).value().empty());

    const auto older = ConnectionToken::issue(record.mac_key, record.serial, long_ago - 5, true);
    CHECK_FALSE(world.published.back()->revoked->contains(older, "ann"));
    REQUIRE(world.revoke(backend.backend_id, {RevokeRequest::By::user, "ann"}));
    CHECK(world.published.back()->revoked->contains(older, "ann"));
    CHECK_FALSE(world.published.back()->revoked->contains(older, "bob"));
}

TEST_CASE("what can't be revoked is refused, and changes no route") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    const auto other = world.connect(for_key("other")).value();
    const std::size_t published = world.published.size();
    const auto refused = [&](const BackendId& id, RevokeRequest request) {
        request.close = true;
        const auto answer = world.revoke(id, request);
        REQUIRE_FALSE(answer);
        return answer.error();
    };
    const RevokeRequest user{RevokeRequest::By::user, "ann"};
    const BackendId stranger = BackendId::parse("nobody").value();
    CHECK(refused(stranger, user).code == ErrorCode::backend_not_found);
    for (const std::string& text :
         {other.token, other.secret_token, backend.secret_token, backend.url, std::string()}) {
        const Error error = refused(backend.backend_id, {RevokeRequest::By::token, text});
        CHECK(error.code == ErrorCode::invalid_request);
        CHECK(error.message == "The token is none that was issued for the backend " +
                                   backend.backend_id.str() + ".");
    }
    CHECK(world.published.size() == published);
    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK(refused(backend.backend_id, of_token(backend)).code == ErrorCode::backend_not_running);
    CHECK(world.published.size() == published);
    CHECK(world.cut.empty());
    CHECK(world.store.revoked(0).value().empty());
}

TEST_CASE("a daemon that starts anew knows what was revoked before it serves") {
    World world;
    const auto revoked = world.connect(for_user("ann")).value();
    const auto good = world.connect(for_key("doc")).value();
    const auto ended = world.connect(for_key("ended")).value();
    REQUIRE(world.revoke(ended.backend_id, of_token(ended)));
    world.happens(ended.backend_id, {.status = Status::terminated});
    REQUIRE(world.revoke(revoked.backend_id, {RevokeRequest::By::user, "ann"}));
    std::vector<std::shared_ptr<const Route>> published;
    Registry next(
        world.store, world.writer, world.services, world.backends,
        {[&](auto route) { published.push_back(std::move(route)); }, [](auto) {}, [](auto) {}},
        {"http://x/"});
    const auto live = next.recorded_live().value();
    for (const BackendRecord& record : live)
        test::result_of(world.loop, next.take_in(record, std::nullopt));
    REQUIRE(next.recall_revoked());
    REQUIRE(published.back()->revoked);
    CHECK(published.back()->id == revoked.backend_id);
    CHECK(published.back()->revoked->contains(token_in(revoked)));
    CHECK_FALSE(published.back()->revoked->contains(token_in(good)));
}

TEST_CASE("recovery takes a backend that the database forgot, and keeps its key held") {
    World before;
    const auto backend = before.connect(for_key("doc")).value();
    const BackendRecord record = before.backends.started[0].record;

    World after_loss;
    const StatusChange last = after_loss.take_in(record, ReadyMark{});
    CHECK(last.status == Status::ready);
    const auto found = after_loss.connect(look_up("doc")).value();
    CHECK(found.backend_id == backend.backend_id);
    CHECK(after_loss.published.back()->state == Route::State::ready);
    CHECK(after_loss.store.find_backend(record.id)->fencing_token == record.fencing_token);
}

TEST_CASE("a route says where its backend listens, from ready on and after recovery") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    world.registry.on_event({backend.backend_id, {.status = Status::waiting}});
    CHECK_FALSE(world.published.back()->is_ipv6);
    world.registry.on_event({.id = backend.backend_id,
                             .change = {.status = Status::ready},
                             .ready = {.is_ipv6 = true}});
    CHECK(world.published.back()->is_ipv6);
    world.registry.on_event({backend.backend_id, {.status = Status::terminating}});
    CHECK(world.published.back()->is_ipv6);

    for (const bool is_ipv6 : {true, false}) {
        World next;
        next.take_in(world.backends.started[0].record, ReadyMark{.is_ipv6 = is_ipv6});
        CHECK(next.published.back()->is_ipv6 == is_ipv6);
    }
}

TEST_CASE("a route says which socket its backend listens with, from ready on and after recovery") {
    constexpr KnownListener listener{1000, 7};
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    world.registry.on_event({.id = backend.backend_id,
                             .change = {.status = Status::ready},
                             .ready = {.listener = listener}});
    CHECK(world.published.back()->listener == listener);
    World next;
    next.take_in(world.backends.started[0].record, ReadyMark{.listener = listener});
    CHECK(next.published.back()->listener == listener);
}

TEST_CASE("no request enters a backend from the moment on that its main process has exited") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    world.registry.on_event({.id = backend.backend_id, .change = {.status = Status::ready}});
    const auto activity = world.published.back()->activity;
    const auto inside = Admission::enter(activity);
    REQUIRE(inside);
    world.registry.on_exit(backend.backend_id);
    CHECK_FALSE(Admission::enter(activity));
    CHECK(activity->in_flight() == 1);
    world.registry.on_exit(BackendId::parse("other").value());
}

TEST_CASE("recovery goes on from what the database says") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    world.happens(backend.backend_id, {.status = Status::waiting});
    Registry next(world.store, world.writer, world.services, world.backends,
                  {[](auto) {}, [](auto) {}, [](auto) {}}, {"http://x/"});
    const auto live = next.recorded_live().value();
    for (const BackendRecord& record : live) {
        const StatusChange last = test::result_of(world.loop, next.take_in(record, std::nullopt));
        CHECK(last.status == Status::waiting);
    }
    CHECK(next.live_count() == 1);
}

TEST_CASE("services have their own keys, programs, variables and limits") {
    World world;
    const auto name = [](const char* text) { return ServiceName::parse(text).value(); };
    REQUIRE(world.create_service(name("editor"),
                                 {.command = Command{{"/usr/bin/node", "server.js"}, "/srv"},
                                  .base_environment = {{"PATH", "/opt/bin"}},
                                  .env = {{"MODE", "prod"}, {"LEVEL", "1"}},
                                  .limits = {.max_idle = 60, .grace = 3}}));
    REQUIRE(world.create_service(name("editor/staging"),
                                 {.env = {{"MODE", "stage"}}, .limits = {.max_idle = 5}}));

    const auto standard = world.connect(for_key("doc")).value();
    const auto editor = world.connect(for_key("doc"), "editor").value();
    CHECK(editor.spawned);
    CHECK(editor.backend_id != standard.backend_id);
    const auto started = world.backends.started.back();
    CHECK(started.record.command == Command{{"/usr/bin/node", "server.js"}, "/srv"});
    CHECK(started.record.limits.max_idle == std::chrono::seconds(60));
    CHECK(started.record.limits.grace == std::chrono::seconds(3));
    CHECK(started.record.limits.startup == std::chrono::seconds(30));
    CHECK(started.environment.at("PATH") == "/opt/bin");
    CHECK(started.environment.at("MODE") == "prod");
    CHECK(started.environment.at("JAMSOCKET_SERVICE") == "local/editor");

    ConnectRequest staging = for_key("other");
    staging.env = {{"LEVEL", "2"}};
    staging.limits.lifetime = 100;
    REQUIRE(world.connect(staging, "editor/staging"));
    const auto variant = world.backends.started.back();
    CHECK(variant.record.command == started.record.command);
    CHECK(variant.environment.at("MODE") == "stage");
    CHECK(variant.environment.at("LEVEL") == "2");
    CHECK(variant.record.limits.max_idle == std::chrono::seconds(5));
    CHECK(variant.record.limits.grace == std::chrono::seconds(3));
    CHECK(variant.record.limits.lifetime == std::chrono::seconds(100));
    CHECK(variant.record.expires_at_boot.has_value());
}

TEST_CASE("a key held in one environment of a service is not given in another") {
    World world;
    const auto name = [](const char* text) { return ServiceName::parse(text).value(); };
    REQUIRE(world.create_service(name("editor"), {.command = demo}));
    REQUIRE(world.create_service(name("editor/staging"), {}));
    const auto held = world.connect(for_key("doc"), "editor").value();
    for (const ConnectRequest& request : {for_key("doc"), look_up("doc")}) {
        const auto refused = world.connect(request, "editor/staging");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::key_held);
        CHECK(refused.error().message.find("'editor/staging'") != std::string::npos);
        CHECK(refused.error().hint == "jamsock connect editor --key doc");
    }
    CHECK(world.backends.started.size() == 1);
}

TEST_CASE("a service that isn't there, or has no command, starts nothing") {
    World world;
    CHECK(world.connect(for_key("doc"), "editor").error().code == ErrorCode::service_not_found);
    CHECK(world.connect(look_up("doc"), "editor").error().code == ErrorCode::service_not_found);
    REQUIRE(world.create_service(ServiceName::parse("editor").value(), {}));
    const auto without_command = world.connect(for_key("doc"), "editor");
    CHECK(without_command.error().code == ErrorCode::spawn_failed);
    CHECK(without_command.error().message ==
          "The service 'editor' has no command to run; give it one with: "
          "jamsock service update editor -- COMMAND");
    CHECK(without_command.error().hint == "jamsock service update editor -- COMMAND");
    CHECK(told_to_others(without_command.error()).message == without_command.error().message);
    CHECK(world.backends.started.empty());
    ConnectRequest in_place = for_key("doc");
    in_place.command = demo;
    CHECK(world.connect(in_place, "editor")->spawned);
}

TEST_CASE("a service with running backends is deleted only by force, once they have ended") {
    World world;
    const auto editor = ServiceName::parse("editor").value();
    REQUIRE(world.create_service(editor, {.command = demo, .limits = {.grace = 4}}));
    const auto backend = world.connect(for_key("doc"), "editor").value();
    world.happens(backend.backend_id, {.status = Status::ready});

    const auto refused = world.begin_deletion("editor", false);
    CHECK((*refused)->error().code == ErrorCode::conflict);
    CHECK((*refused)->error().hint == "jamsock service delete editor --force");
    CHECK(world.backends.terminated.empty());
    CHECK(world.services.definition(editor));

    const auto forced = world.begin_deletion("editor", true);
    CHECK_FALSE(forced->has_value());
    REQUIRE(world.backends.terminated.size() == 1);
    CHECK(world.backends.terminated[0].second.kind == TerminationKind::soft);
    CHECK(world.backends.terminated[0].second.grace == std::chrono::seconds(4));
    // Meanwhile nobody starts another one, nor deletes it a second time.
    CHECK(world.connect(for_key("new"), "editor").error().code == ErrorCode::conflict);
    CHECK((*world.begin_deletion("editor", true))->error().code == ErrorCode::conflict);

    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK((*forced)->has_value());
    CHECK(world.connect(for_key("new"), "editor").error().code == ErrorCode::service_not_found);
}

TEST_CASE("deleting an environment leaves the service and its other backends alone") {
    World world;
    const auto name = [](const char* text) { return ServiceName::parse(text).value(); };
    REQUIRE(world.create_service(name("editor"), {.command = demo}));
    REQUIRE(world.create_service(name("editor/staging"), {}));
    REQUIRE(world.connect(for_key("doc"), "editor"));
    CHECK((*world.begin_deletion("editor/staging", false))->has_value());
    CHECK(world.services.definition(name("editor")));
    CHECK_FALSE(world.services.definition(name("editor/staging")));
}

TEST_CASE("a backend that nobody uses for its idle limit is swept, with its own grace") {
    World world;
    ConnectRequest request = for_key("doc");
    request.limits.max_idle = 60;
    const auto backend = world.connect(request).value();
    const auto activity = world.published.back()->activity;
    world.connect(for_key("other")).value();
    const auto is_swept = [&] {
        world.registry.look_after();
        return !world.backends.terminated.empty();
    };
    world.happens(backend.backend_id, {.status = Status::waiting});
    pass(600s);
    CHECK_FALSE(is_swept());  // it isn't ready yet

    world.happens(backend.backend_id, {.status = Status::ready});
    pass(59s);
    CHECK_FALSE(is_swept());
    REQUIRE(world.connect(look_up("doc")));
    pass(59s);
    CHECK_FALSE(is_swept());  // its URL was given out

    REQUIRE(activity->enter());
    pass(600s);
    CHECK_FALSE(is_swept());
    activity->leave();
    pass(59s);
    CHECK_FALSE(is_swept());
    CHECK(activity->idle_seconds() == 59);
    pass(1s);
    REQUIRE(is_swept());
    CHECK(world.backends.terminated.size() == 1);
    CHECK(world.backends.terminated[0].first == backend.backend_id);
    CHECK(world.backends.terminated[0].second.reason == TerminationReason::swept);
    CHECK(world.backends.terminated[0].second.cause == EndCause::idle);
    CHECK(world.backends.terminated[0].second.grace == std::chrono::seconds(10));
    CHECK_FALSE(activity->enter());
}

TEST_CASE("a backend that is held in use is not idle, and can be held until it is closed") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    const auto activity = world.published.back()->activity;
    {
        const auto held = world.registry.hold_in_use(backend.backend_id);
        REQUIRE(held);
        CHECK(activity->in_flight() == 1);
        world.happens(backend.backend_id, {.status = Status::ready});
        pass(600s);
        world.registry.look_after();
        CHECK(world.backends.terminated.empty());
    }
    CHECK(activity->in_flight() == 0);
    pass(300s);
    world.registry.look_after();
    CHECK(world.backends.terminated.size() == 1);

    const auto refused = [&](const BackendId& id) {
        const auto held = world.registry.hold_in_use(id);
        REQUIRE_FALSE(held);
        return held.error().code;
    };
    CHECK(refused(backend.backend_id) == ErrorCode::backend_not_running);
    world.happens(backend.backend_id, {.status = Status::terminated});
    CHECK(refused(backend.backend_id) == ErrorCode::backend_not_running);
    CHECK(refused(BackendId::parse("nobody").value()) == ErrorCode::backend_not_found);
}

TEST_CASE("the idle limit is 300 seconds where none is set") {
    World world;
    const auto backend = world.connect(for_key("doc")).value();
    world.happens(backend.backend_id, {.status = Status::ready});
    pass(299s);
    world.registry.look_after();
    CHECK(world.backends.terminated.empty());
    pass(1s);
    world.registry.look_after();
    CHECK(world.backends.terminated.size() == 1);
}

TEST_CASE("an idle limit of 0 leaves time to use a URL that was given out") {
    World world;
    ConnectRequest request = for_key("doc");
    request.limits.max_idle = 0;
    const auto backend = world.connect(request).value();
    world.happens(backend.backend_id, {.status = Status::ready});
    const auto activity = world.published.back()->activity;
    REQUIRE(activity->enter());
    activity->leave();
    pass(4s);
    world.registry.look_after();
    CHECK(world.backends.terminated.empty());
    pass(1s);
    world.registry.look_after();
    CHECK(world.backends.terminated.size() == 1);
}

TEST_CASE("a daemon that starts anew gives an adopted backend its whole idle time") {
    World world;
    const auto first = world.connect(for_key("doc")).value();
    world.happens(first.backend_id, {.status = Status::ready});
    const BackendRecord record = world.backends.started[0].record;
    pass(3600s);
    World next;
    next.take_in(record, ReadyMark{});
    pass(299s);
    next.registry.look_after();
    CHECK(next.backends.terminated.empty());
    pass(1s);
    next.registry.look_after();
    CHECK(next.backends.terminated.size() == 1);
}

TEST_CASE("a lifetime is counted from scheduled, on the clock that nobody can set") {
    World world;
    ConnectRequest request = for_key("doc");
    request.limits.lifetime = 90;
    const auto backend = world.connect(request).value();
    const BackendRecord& record = world.backends.started.at(0).record;
    CHECK(record.expires_at_boot == milliseconds_since_boot(frozen_now + 90s));
    const auto info = world.registry.backend(backend.backend_id).value();
    CHECK(info.expires_at == info.created_at + 90'000);
    CHECK(world.connect(for_key("other")));
    CHECK_FALSE(world.backends.started.at(1).record.expires_at_boot);
}

TEST_CASE("a status that contradicts the database keeps no other from being recorded") {
    World world;
    const auto holder = world.connect(for_key("doc")).value();
    BackendRecord older = world.backends.started[0].record;
    older.id = BackendId::parse("older").value();
    older.serial += 1;
    world.take_in(older, std::nullopt);  // its key is another's, so it gets no row

    world.happens(holder.backend_id, {.status = Status::ready});
    CHECK(world.store.statuses(holder.backend_id).back().status == Status::ready);
    CHECK(world.connect(for_key("other"))->spawned);
}

TEST_CASE("a status that the schema doesn't allow blocks no start, and frees its key at the end") {
    World world;
    const auto holder = world.connect(for_key("doc")).value();
    const auto no_reason = static_cast<TerminationReason>(77);
    world.happens(holder.backend_id, {.status = Status::terminating, .reason = no_reason});
    CHECK(world.connect(for_key("other"))->spawned);
    world.happens(holder.backend_id, {.status = Status::terminated, .reason = no_reason});
    CHECK(world.store.statuses(holder.backend_id).back().status == Status::terminated);
    CHECK(world.connect(for_key("doc"))->spawned);
}

TEST_CASE("a key whose holder nothing but a row that makes no sense knows of is given again") {
    FileWorld world;
    const auto lost = world.connect(for_key("doc")).value();
    const auto held = world.connect(for_key("held")).value();
    world.execute("UPDATE backend SET mac_key = zeroblob(32), service = '/' WHERE key = 'doc'");
    Registry next(world.store, world.writer, world.services, world.backends,
                  {[](auto) {}, [](auto) {}, [](auto) {}}, {"http://x/"});
    const auto live = next.recorded_live().value();
    for (const BackendRecord& record : live)
        test::result_of(world.loop, next.take_in(record, std::nullopt));
    const auto connect = [&](const char* key) {
        std::optional<Result<ConnectResponse>> answer;
        const ConnectRequest request = for_key(key);
        const auto asking = [&]() -> Task<> {
            auto connected = co_await next.connect(ServiceName::standard(), request, std::nullopt);
            answer = std::move(connected);
        };
        asio::co_spawn(world.loop, asking(), asio::detached);
        world.settle();
        return answer.value().value();
    };
    CHECK(connect("doc").spawned);
    CHECK(connect("held").backend_id == held.backend_id);
}

TEST_CASE("a key's own mount is the same for its next holder, and another key's is another") {
    World world;
    ConnectRequest request = for_key("doc");
    request.mount = Mount::own();
    const auto first = world.connect(request).value();
    world.happens(first.backend_id, {.status = Status::terminated});
    world.connect(request).value();
    request.key = Key::parse("other").value();
    world.connect(request).value();
    const auto& started = world.backends.settings;
    const std::string lock_name = world.backends.started[0].record.lock_name;
    CHECK(started[0].mount == "keys/" + lock_name);
    CHECK(started[0].environment.at("JAMSOCK_MOUNT") == "/state/mounts/keys/" + lock_name);
    CHECK(started[1].mount == started[0].mount);
    CHECK(started[2].mount != started[0].mount);
}

TEST_CASE("a named mount is one for all, and can't be a key's own") {
    World world;
    ConnectRequest request;
    request.mount = Mount::parse("a/b").value();
    world.connect(request).value();
    CHECK(world.backends.settings[0].mount == "named/a/b");
    CHECK(world.backends.settings[0].environment.at("JAMSOCK_MOUNT") == "/state/mounts/named/a/b");
    world.connect({}).value();
    CHECK_FALSE(world.backends.settings[1].mount);
    CHECK_FALSE(world.backends.settings[1].environment.contains("JAMSOCK_MOUNT"));
}

TEST_CASE("a key's own mount without a key is refused, and a variable of its name") {
    World world;
    ConnectRequest request;
    request.mount = Mount::own();
    CHECK(world.connect(request).error().code == ErrorCode::invalid_request);
    request = for_key("doc");
    request.env = {{"JAMSOCK_MOUNT", "/"}};
    CHECK(world.connect(request).error().code == ErrorCode::reserved_env_var);
    CHECK(world.backends.started.empty());
}

TEST_CASE("limits that can't be kept are refused before anything is recorded") {
    World world;
    ConnectRequest request = for_key("doc");
    request.resources.memory = 1;
    world.backends.cant_limit = Error{ErrorCode::unsupported, "No.", {}, {}};
    CHECK(world.connect(request).error().code == ErrorCode::unsupported);
    CHECK(world.registry.keys({}).keys.empty());
    world.backends.cant_limit.reset();
    CHECK(world.connect(request)->spawned);
    CHECK(world.backends.settings[0].resources.memory == 1);
    // Only a new backend would be limited.
    world.backends.cant_limit = Error{ErrorCode::unsupported, "No.", {}, {}};
    CHECK_FALSE(world.connect(request)->spawned);
}

TEST_CASE("a list in pieces has each backend that lives all the while once") {
    World world;
    for (const char* key : {"c", "a", "e", "b", "d"})
        world.connect(for_key(key)).value();
    world.connect({}).value();
    world.connect({}).value();

    std::vector<KeyEntry> seen;
    KeyFilter filter{.limit = 2};
    for (int piece = 0; piece < 3; ++piece) {
        const KeyList list = world.registry.keys(filter);
        REQUIRE(list.keys.size() == 2);
        seen.insert(seen.end(), list.keys.begin(), list.keys.end());
        REQUIRE(list.next_cursor);
        filter.after = KeyCursor::parse(*list.next_cursor).value();
        // The one at the cursor ends, and others come before and behind it.
        world.happens(list.keys.back().backend_id, {.status = Status::terminated});
        if (piece == 1) world.connect(for_key("aa")).value();
    }
    const KeyList rest = world.registry.keys(filter);
    REQUIRE(rest.keys.size() == 1);
    CHECK(rest.keys[0].key->str() == "e");
    CHECK_FALSE(rest.next_cursor);

    CHECK_FALSE(seen[0].key);
    CHECK_FALSE(seen[1].key);
    CHECK(seen[0].backend_id != seen[1].backend_id);
    CHECK(seen[2].key->str() == "a");
    CHECK(seen[3].key->str() == "b");
    CHECK(seen[4].key->str() == "c");
    CHECK(seen[5].key->str() == "d");
}

TEST_CASE("the last piece names no other, also when it is full") {
    World world;
    world.connect(for_key("a")).value();
    world.connect(for_key("b")).value();
    CHECK_FALSE(world.registry.keys({.limit = 2}).next_cursor);
    CHECK_FALSE(world.registry.keys({}).next_cursor);
    CHECK(world.registry.keys({.prefix = "a", .limit = 1}).keys.size() == 1);
    CHECK_FALSE(world.registry.keys({.prefix = "a", .limit = 1}).next_cursor);
}

TEST_CASE("a backend's URLs: its own, and those of the API about it") {
    World world;
    const auto connected = world.connect(for_key("doc")).value();
    const std::string& id = connected.backend_id.str();
    CHECK(connected.url == "http://127.0.0.1:9090/" + connected.token + "/");
    CHECK(connected.status_url == "http://127.0.0.1:8080/v2/backend/" + id + "/status");
    CHECK(connected.ready_url == "http://127.0.0.1:8080/ready/" + id + "/" + connected.token + "/");
}

TEST_CASE("the running backends are those that have not ended, with what they are at") {
    World world;
    const auto first = world.connect(for_key("doc")).value().backend_id;
    const auto second = world.connect({}).value().backend_id;
    const auto third = world.connect(for_key("gone")).value().backend_id;
    world.happens(first, {.status = Status::terminating, .reason = TerminationReason::external});
    world.happens(third, {.status = Status::terminated});
    const auto running = world.registry.running_backends().backends;
    REQUIRE(running.size() == 2);
    const auto& of_key = running[0].id == first ? running[0] : running[1];
    const auto& keyless = running[0].id == second ? running[0] : running[1];
    CHECK(of_key.key->str() == "doc");
    CHECK(of_key.status.status == Status::terminating);
    CHECK(of_key.status.reason == TerminationReason::external);
    CHECK_FALSE(keyless.key);
    CHECK(keyless.status.status == Status::scheduled);
}

TEST_CASE("the backends of a service that are older than a time are told to end, no others") {
    World world;
    REQUIRE(world.create_service(ServiceName::parse("editor").value(), {.command = demo}));
    REQUIRE(world.create_service(ServiceName::parse("editor/staging").value(), {}));
    world.connect(for_key("other")).value();
    const auto plain = world.connect(for_key("a"), "editor").value().backend_id;
    const auto staging = world.connect(for_key("b"), "editor/staging").value().backend_id;
    const auto ended = world.connect(for_key("c"), "editor").value().backend_id;
    world.happens(ended, {.status = Status::terminated});
    const auto editor = ServiceName::parse("editor").value();
    const std::int64_t later = wall_milliseconds() + 1;

    const auto dry = world.registry.terminate_backends(editor, {.before = later, .dry_run = true});
    CHECK(dry->found == 2);
    CHECK(dry->terminated == 0);
    const auto none = world.registry.terminate_backends(editor, {.before = 1});
    CHECK(none->found == 0);
    CHECK(world.backends.terminated.empty());

    const auto told =
        world.registry.terminate_backends(editor, {.before = later, .kind = TerminationKind::hard});
    CHECK(told->found == 2);
    CHECK(told->terminated == 2);
    REQUIRE(world.backends.terminated.size() == 2);
    for (const auto& [id, termination] : world.backends.terminated) {
        CHECK((id == plain || id == staging));
        CHECK(termination.kind == TerminationKind::hard);
        CHECK(termination.reason == TerminationReason::external);
    }
    const auto one = world.registry.terminate_backends(ServiceName::parse("editor/staging").value(),
                                                       {.before = later});
    CHECK(one->terminated == 1);
    const auto unknown =
        world.registry.terminate_backends(ServiceName::parse("nothing").value(), {.before = later});
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == ErrorCode::service_not_found);
}

TEST_CASE("a token gives the URL of its own backend, as long as it is good") {
    World world;
    ConnectRequest request = for_key("doc");
    request.user = "ann";
    const auto of_ann = world.connect(request).value();
    const auto plain = world.connect(for_key("doc")).value();
    const auto other = world.connect(for_key("other")).value();
    const BackendId& id = plain.backend_id;
    const auto refused = [&](const BackendId& backend, const std::string& token) {
        const auto url = world.registry.url(backend, token);
        REQUIRE_FALSE(url);
        return url.error().code;
    };
    CHECK(world.registry.url(id, plain.token).value() == plain.url);
    CHECK(world.registry.url(id, of_ann.token).value() == of_ann.url);
    CHECK(refused(id, other.token) == ErrorCode::backend_not_found);
    CHECK(refused(other.backend_id, plain.token) == ErrorCode::backend_not_found);
    CHECK(refused(BackendId::parse("nobody").value(), plain.token) == ErrorCode::backend_not_found);
    std::string forged = plain.token;
    forged[20] = forged[20] == 'A' ? 'B' : 'A';
    for (const std::string& bad : {std::string(), std::string("x"), plain.token + "A", forged})
        CHECK(refused(id, bad) == ErrorCode::backend_not_found);

    REQUIRE(world.revoke(id, {RevokeRequest::By::user, "ann", false}));
    CHECK(refused(id, of_ann.token) == ErrorCode::backend_gone);
    REQUIRE(world.revoke(id, {RevokeRequest::By::token, plain.token, false}));
    CHECK(refused(id, plain.token) == ErrorCode::backend_gone);
    const auto old = ConnectionToken::issue(world.backends.started[0].record.mac_key,
                                            world.backends.started[0].record.serial, 1000, false);
    CHECK(refused(id, old.reveal()) == ErrorCode::backend_gone);

    world.happens(other.backend_id, {.status = Status::terminated});
    CHECK(world.registry.url(other.backend_id, other.token).value() == other.url);
    CHECK(refused(other.backend_id, plain.token) == ErrorCode::backend_not_found);
}

TEST_CASE("events of all backends come in one order, and who has them waits for the next") {
    World world;
    CHECK(world.events(0).events.empty());
    CHECK(world.events(7).cursor == 7);
    const BackendId doc = world.connect(for_key("doc"))->backend_id;
    world.connect({});
    world.happens(doc, {.status = Status::ready});
    const EventList first = world.events(0);
    CHECK(told(first) == std::vector<std::string>{"doc scheduled", "- scheduled", "doc ready"});
    CHECK(first.cursor == first.events.back().cursor);
    CHECK(first.cursor == world.registry.last_event());

    const auto waiting = world.begin_events(first.cursor);
    const auto another = world.begin_events(first.cursor);
    CHECK_FALSE(waiting->has_value());
    SUBCASE("a status") {
        world.happens(doc, {.status = Status::terminated});
        CHECK(told(waiting->value().value()) == std::vector<std::string>{"doc terminated"});
        CHECK(told(another->value().value()) == std::vector<std::string>{"doc terminated"});
    }
    SUBCASE("a new backend") {
        world.connect(for_key("new"));
        world.settle();
        CHECK(told(waiting->value().value()) == std::vector<std::string>{"new scheduled"});
    }
    SUBCASE("the daemon's stop") {
        world.registry.stop();
        world.settle();
        CHECK(waiting->value().error().code == ErrorCode::shutting_down);
    }
}

TEST_CASE("who leaves while waiting for an event is missed") {
    World world;
    Caller caller;
    const auto waiting = world.begin_events(0, 10s, &caller);
    CHECK_FALSE(waiting->has_value());
    caller.leave();
    world.settle();
    REQUIRE(waiting->has_value());
    CHECK(waiting->value().value().events.empty());
}

TEST_CASE("a page of events that make no sense is passed over") {
    FileWorld world;
    for (const char* key : {"one", "two", "three"})
        world.connect(for_key(key)).value();
    world.execute("UPDATE backend SET service = '/' WHERE key <> 'three'");
    const auto some = world.begin_events(0, 0s, nullptr, 1);
    REQUIRE(some->has_value());
    CHECK(told((*some)->value()) == std::vector<std::string>{"three scheduled"});
    world.execute("UPDATE backend SET service = '/'");
    CHECK(world.events(0).events.empty());
    CHECK(world.events(0).cursor == world.registry.last_event());
}

TEST_CASE("a status that can't be recorded yet is an event once it is, in its order") {
    FileWorld world;
    const BackendId doc = world.connect(for_key("doc"))->backend_id;
    const BackendId room = world.connect(for_key("room"))->backend_id;
    const std::int64_t before = world.registry.last_event();
    world.execute(
        "CREATE TRIGGER full BEFORE INSERT ON backend_status BEGIN SELECT RAISE(ABORT, 'full'); "
        "END");
    const auto waiting = world.begin_events(before);
    world.happens(doc, {.status = Status::ready});
    world.happens(room, {.status = Status::terminated});
    world.happens(doc, {.status = Status::terminated});
    CHECK_FALSE(waiting->has_value());
    CHECK(world.events(before).events.empty());

    world.execute("DROP TRIGGER full");
    world.registry.look_after();
    world.settle();
    const std::vector<std::string> all{"doc ready", "room terminated", "doc terminated"};
    CHECK(told(world.events(before)) == all);
    const EventList came = waiting->value().value();
    CHECK(told(came) == all);
}

TEST_CASE("the history of a key has its backends newest first, each with its last status") {
    FileWorld world;
    const Key key = Key::parse("doc").value();
    const auto history = [&] {
        return world.registry.history(ServiceName::standard(), key, 10)->backends;
    };
    CHECK(history().empty());
    const BackendId first = world.connect(for_key("doc"))->backend_id;
    world.happens(first, {.status = Status::ready});
    world.happens(first, {.status = Status::terminated,
                          .reason = TerminationReason::swept,
                          .cause = EndCause::idle});
    const BackendId second = world.connect(for_key("doc"))->backend_id;
    world.connect(for_key("other"));
    REQUIRE(history().size() == 2);
    CHECK(history()[0].id == second);
    CHECK(history()[0].status.status == Status::scheduled);
    CHECK_FALSE(history()[0].ready_at);
    CHECK(history()[1].id == first);
    CHECK(history()[1].ready_at == history()[1].created_at + 1);
    CHECK(history()[1].lived(0) == 2);
    CHECK(history()[1].status.cause == EndCause::idle);

    world.execute(
        "CREATE TRIGGER full BEFORE INSERT ON backend_status BEGIN SELECT RAISE(ABORT, 'full'); "
        "END");
    world.happens(second, {.status = Status::terminated, .exit = ProcessExit{3, std::nullopt}});
    CHECK(history()[0].status.exit == ProcessExit{3, std::nullopt});

    world.execute("DROP TABLE backend_status");
    const auto newest = world.registry.history(ServiceName::standard(), key, 1);
    const auto all = world.registry.history(ServiceName::standard(), key, 10);
    CHECK(newest.has_value());  // what waits to be recorded is known
    REQUIRE_FALSE(all.has_value());
    CHECK(all.error().message == "The daemon's database could not be read.");
}
