#include "common/v1_types.h"

#include <doctest/doctest.h>

#include <set>

using namespace jamsock;

namespace {

constexpr Status live[] = {Status::scheduled, Status::loading, Status::starting, Status::waiting,
                           Status::ready};

StatusChange ended(std::optional<TerminationReason> reason, std::optional<ProcessExit> exit = {}) {
    return {.status = Status::terminated, .time = 0, .reason = reason, .exit = exit};
}

ProcessExit code(int number) {
    return {number, std::nullopt};
}

const BackendId knrv5 = BackendId::parse("knrv5").value();

// The states that a backend of these statuses shows.
std::vector<std::string> told(const std::vector<StatusChange>& changes) {
    V1Statuses statuses(knrv5);
    std::vector<std::string> states;
    for (const StatusChange& change : changes) {
        const auto json = statuses.json(change);
        if (json) states.push_back(json->substr(0, json->find(',')));
    }
    return states;
}

}  // namespace

TEST_CASE("a backend that has not ended is loading, starting or ready, whatever is known of it") {
    for (const Status last : live) {
        for (const auto& [status, state] : {std::pair{Status::scheduled, V1State::loading},
                                            std::pair{Status::loading, V1State::loading},
                                            std::pair{Status::starting, V1State::starting},
                                            std::pair{Status::waiting, V1State::starting},
                                            std::pair{Status::ready, V1State::ready},
                                            std::pair{Status::terminating, V1State::ready},
                                            std::pair{Status::hard_terminating, V1State::ready}}) {
            CHECK(v1_state({.status = status}, last) == state);
            CHECK(v1_state({.status = status, .reason = TerminationReason::lost}, last) == state);
        }
    }
}

TEST_CASE("a backend that was ended is told by the reason, wherever it was and however it exited") {
    for (const Status last : live) {
        for (const auto& exit : {std::optional<ProcessExit>(), std::optional(code(0)),
                                 std::optional(ProcessExit{std::nullopt, 9})}) {
            const auto state = [&](TerminationReason reason) {
                return v1_state(ended(reason, exit), last);
            };
            CHECK(state(TerminationReason::external) == V1State::terminated);
            CHECK(state(TerminationReason::internalerror) == V1State::lost);
            CHECK(state(TerminationReason::lost) == V1State::lost);
            CHECK(state(TerminationReason::swept) == V1State::swept);
            CHECK(state(TerminationReason::keyexpired) == V1State::swept);
        }
    }
}

TEST_CASE("a backend that ended by itself is told by how far it had come") {
    for (const auto& exit : {std::optional<ProcessExit>(), std::optional(code(0)),
                             std::optional(code(3)), std::optional(ProcessExit{std::nullopt, 9})}) {
        CHECK(v1_state(ended({}, exit), Status::scheduled) == V1State::error_loading);
        CHECK(v1_state(ended({}, exit), Status::loading) == V1State::error_loading);
        CHECK(v1_state(ended({}, exit), Status::starting) == V1State::error_starting);
        CHECK(v1_state(ended({}, exit), Status::waiting) == V1State::error_starting);
    }
    CHECK(v1_state(ended({}, code(0)), Status::ready) == V1State::exited);
    CHECK(v1_state(ended({}, code(1)), Status::ready) == V1State::failed);
    CHECK(v1_state(ended({}, ProcessExit{std::nullopt, 9}), Status::ready) == V1State::failed);
    CHECK(v1_state(ended({}), Status::ready) == V1State::failed);
}

TEST_CASE("the startup limit is named only of a backend that was waiting") {
    const auto state = [](Status last) {
        return v1_state(ended(TerminationReason::startuptimeout), last);
    };
    CHECK(state(Status::scheduled) == V1State::error_loading);
    CHECK(state(Status::loading) == V1State::error_loading);
    CHECK(state(Status::starting) == V1State::error_starting);
    CHECK(state(Status::waiting) == V1State::timed_out_before_ready);
    CHECK(state(Status::ready) == V1State::failed);
}

TEST_CASE("every state has a word of its own") {
    std::set<std::string_view> words;
    for (int state = 0; state <= static_cast<int>(V1State::failed); ++state)
        words.insert(word(static_cast<V1State>(state)));
    CHECK(words.size() == 11);
    CHECK(word(V1State::timed_out_before_ready) == "TimedOutBeforeReady");
    CHECK(word(V1State::error_loading) == "ErrorLoading");
    CHECK(word(V1State::failed) == "Failed");
}

TEST_CASE("equal neighbours are told once") {
    std::vector<StatusChange> life;
    for (const Status status : live)
        life.push_back({.status = status});
    CHECK(told(life) == std::vector<std::string>{R"({"state":"Loading")", R"({"state":"Starting")",
                                                 R"({"state":"Ready")"});
    life.push_back({.status = Status::terminating, .reason = TerminationReason::external});
    life.push_back({.status = Status::hard_terminating, .reason = TerminationReason::external});
    life.push_back(ended(TerminationReason::external));
    CHECK(told(life).back() == R"({"state":"Terminated")");
    CHECK(told(life).size() == 4);
}

TEST_CASE("the last status before the ending began counts") {
    CHECK(told({{.status = Status::scheduled},
                {.status = Status::waiting},
                {.status = Status::hard_terminating, .reason = TerminationReason::startuptimeout},
                ended(TerminationReason::startuptimeout)})
              .back() == R"({"state":"TimedOutBeforeReady")");
    CHECK(told({{.status = Status::scheduled}, ended({}, code(1))}) ==
          std::vector<std::string>{R"({"state":"Loading")", R"({"state":"ErrorLoading")"});
}

TEST_CASE("a state is told with its time and its backend") {
    CHECK(V1Statuses(knrv5).json({.status = Status::waiting, .time = 1}) ==
          R"({"state":"Starting","time":"1970-01-01T00:00:00.001Z","backend":"knrv5"})");
}

TEST_CASE("a spawn's lock is the key and its grace period the idle limit") {
    const auto request = V1SpawnRequest::from_json(
        R"({"lock":"döc","env":{"A":"1"},"grace_period_seconds":60,"tag":"t",)"
        R"("service_environment":"staging","port":8080,"require_bearer_token":true})");
    REQUIRE(request);
    CHECK(request->environment == "staging");
    CHECK(request->connect.spawn);
    CHECK(request->connect.key->str() == "döc");
    CHECK(request->connect.env == EnvironmentMap{{"A", "1"}});
    CHECK(request->connect.limits == Limits{.max_idle = 60});
    CHECK(request->connect.tag == "t");
    for (const char* body : {"", "{}", R"({"lock":null,"env":null,"service_environment":null})"}) {
        const auto empty = V1SpawnRequest::from_json(body);
        REQUIRE(empty);
        CHECK_FALSE(empty->connect.key);
        CHECK(empty->connect.env.empty());
        CHECK(empty->environment.empty());
    }
}

TEST_CASE("a spawn's wrong fields are named") {
    CHECK(V1SpawnRequest::from_json(R"({"lock":""})").error().code == ErrorCode::invalid_key);
    for (const auto& [body, field] :
         {std::pair{R"({"lock":7})", "'lock'"}, std::pair{R"({"env":{"A":1}})", "'env'"},
          std::pair{R"({"grace_period_seconds":-1})", "'grace_period_seconds'"},
          std::pair{R"({"tag":[]})", "'tag'"},
          std::pair{R"({"service_environment":1})", "'service_environment'"}}) {
        const auto request = V1SpawnRequest::from_json(body);
        REQUIRE_FALSE(request);
        CHECK(request.error().code == ErrorCode::invalid_request);
        CHECK_MESSAGE(request.error().message.find(field) != std::string::npos,
                      request.error().message);
    }
}

TEST_CASE("a spawn's answer is a connect's under other names") {
    CHECK(v1_spawn_json({.backend_id = knrv5,
                         .spawned = true,
                         .status = Status::scheduled,
                         .token = "t",
                         .url = "u",
                         .secret_token = "s",
                         .status_url = "v2",
                         .ready_url = "r"},
                        "v1") ==
          R"({"name":"knrv5","url":"u","ready_url":"r","status_url":"v1","spawned":true,)"
          R"("status":"Loading"})");
}
