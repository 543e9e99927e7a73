// Version 1 of Jamsocket's API ("locks"), as types, and their JSON (CONTRACT, The rest): the same
// backends under older words. What is absent is left out of the JSON, never null.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/api_types.h"

namespace jamsock {

enum class V1State {
    loading,
    starting,
    ready,
    terminated,  // by the API
    lost,
    swept,
    error_loading,
    error_starting,
    timed_out_before_ready,
    exited,  // by itself, with code 0
    failed,
};

// "Loading", "TimedOutBeforeReady".
std::string_view word(V1State state);

// The state map of CONTRACT. `last_live`: of a backend that has ended, the last status before it
// began to end.
V1State v1_state(const StatusChange& change, Status last_live);

// A backend's statuses as version 1 tells them, one after the other.
class V1Statuses {
  public:
    explicit V1Statuses(BackendId id) : id_(std::move(id)) {}

    // What `next` means, {"state":…,"time":…,"backend":…}. Nothing if it is the state before.
    std::optional<std::string> json(const StatusChange& next);

  private:
    BackendId id_;
    Status last_live_ = Status::scheduled;
    std::optional<V1State> last_;
};

// POST …/spawn. A lock is a key; the grace period is how long nobody may use the backend.
struct V1SpawnRequest {
    std::string environment;  // empty: the default one
    ConnectRequest connect;

    static Result<V1SpawnRequest> from_json(std::string_view json);
};

// … and its answer. `status_url`: that of version 1.
std::string v1_spawn_json(const ConnectResponse& response, std::string_view status_url);

}  // namespace jamsock
