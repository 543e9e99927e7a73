// The handlers of Jamsocket's version 1.
#include "common/v1_types.h"

#include <fmt/format.h>

#include "daemon/api/api.h"
#include "daemon/api/path.h"

namespace jamsock {

namespace {

Result<WantedConnect> wanted_spawn(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known) return pass_on(known);
    auto wanted = V1SpawnRequest::from_json(request.body);
    if (!wanted) return pass_on(wanted);
    auto service = ServiceName::parse(path["account"], path["service"], wanted->environment);
    if (!service) return pass_on(service);
    return WantedConnect{*std::move(service), std::move(wanted->connect), {}, request.caller};
}

}  // namespace

Task<Result<Response>> Api::v1_spawn(const Request& request, const PathParameters& path) {
    const auto wanted = wanted_spawn(request, path);
    const auto held = co_await counted_connect(wanted);
    if (!held) co_return tl::unexpected(held.error());
    const std::string status_url =
        fmt::format("{}/backend/{}/status", registry_.api_base(), held->backend_id.str());
    co_return Response{.body = v1_spawn_json(*held, status_url)};
}

// The last of all states that the backend's statuses mean.
Task<Result<Response>> Api::v1_status(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const auto statuses = registry_.statuses(*id);
    if (!statuses) co_return tl::unexpected(statuses.error());
    V1Statuses states(*id);
    Response response;
    for (const StatusChange& change : *statuses) {
        if (auto told = states.json(change)) response.body = *std::move(told);
    }
    co_return response;
}

Task<Result<Response>> Api::v1_status_stream(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const auto statuses = std::make_shared<V1Statuses>(*id);
    co_return status_stream(path,
                            [statuses](const StatusChange& next) { return statuses->json(next); });
}

Task<Result<Response>> Api::v1_terminate(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const TerminateRequest hard{.kind = TerminationKind::hard};
    const auto ended = co_await registry_.terminate(*id, hard, /*wait=*/false);
    if (!ended) co_return tl::unexpected(ended.error());
    co_return Response{.body = ok_json()};
}

}  // namespace jamsock
