#include "common/v1_types.h"

#include <array>

#include "common/clock.h"
#include "common/json_fields.h"

namespace jamsock {

namespace {

using namespace json;

constexpr std::array<std::string_view, 11> state_words{
    "Loading", "Starting",     "Ready",         "Terminated",          "Lost",
    "Swept",   "ErrorLoading", "ErrorStarting", "TimedOutBeforeReady", "Exited",
    "Failed"};

V1State state_of_live(Status status) {
    if (status <= Status::loading) return V1State::loading;
    if (status <= Status::waiting) return V1State::starting;
    return V1State::ready;
}

// Of a backend that ended by itself, or was ended since it never came up.
V1State state_of_failure(const StatusChange& end, Status last_live) {
    const bool timed_out = end.reason == TerminationReason::startuptimeout;
    if (last_live <= Status::loading) return V1State::error_loading;
    if (last_live == Status::waiting && timed_out) return V1State::timed_out_before_ready;
    if (last_live <= Status::waiting) return V1State::error_starting;
    return end.exit && end.exit->code == 0 ? V1State::exited : V1State::failed;
}

V1State state_of_end(const StatusChange& end, Status last_live) {
    if (!end.reason) return state_of_failure(end, last_live);
    switch (*end.reason) {
        case TerminationReason::external:
            return V1State::terminated;
        case TerminationReason::internalerror:
        case TerminationReason::lost:
            return V1State::lost;
        case TerminationReason::swept:
        case TerminationReason::keyexpired:
            return V1State::swept;
        case TerminationReason::startuptimeout:
            break;
    }
    return state_of_failure(end, last_live);
}

}  // namespace

std::string_view word(V1State state) {
    return state_words[static_cast<std::size_t>(state)];
}

V1State v1_state(const StatusChange& change, Status last_live) {
    return change.status == Status::terminated ? state_of_end(change, last_live)
                                               : state_of_live(change.status);
}

std::optional<std::string> V1Statuses::json(const StatusChange& next) {
    if (is_live(next.status)) last_live_ = next.status;
    const V1State state = v1_state(next, last_live_);
    if (state == last_) return std::nullopt;
    last_ = state;
    return dump({{"state", word(state)}, {"time", iso_time(next.time)}, {"backend", id_.str()}});
}

Result<V1SpawnRequest> V1SpawnRequest::from_json(std::string_view json) {
    return read<V1SpawnRequest>(json, [](const Json& object) {
        V1SpawnRequest request{.environment = text(object, "service_environment").value_or("")};
        ConnectRequest& connect = request.connect;
        if (const auto lock = text(object, "lock")) connect.key = value_of(Key::parse(*lock));
        if (const Json* env = find(object, "env")) connect.env = variables(*env, "env");
        connect.tag = plain_text(object, "tag", "tag");
        connect.limits.max_idle =
            number_between(object, "grace_period_seconds", limit_range::max_idle.least,
                           limit_range::max_idle.most);
        return request;
    });
}

std::string v1_spawn_json(const ConnectResponse& response, std::string_view status_url) {
    const V1State state = state_of_live(response.status);
    return dump({{"name", response.backend_id.str()},
                 {"url", response.url},
                 {"ready_url", response.ready_url},
                 {"status_url", status_url},
                 {"spawned", response.spawned},
                 {"status", word(state)}});
}

}  // namespace jamsock
