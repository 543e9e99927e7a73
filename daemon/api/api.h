// The HTTP API (CONTRACT, Endpoints): one table lists every endpoint, and each handler decodes,
// asks the registry and encodes. No rule, SQL or signal here; JSON names are in common/api_types.
// Control thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/api_types.h"
#include "daemon/api/tcp_access.h"
#include "daemon/http/router.h"
#include "daemon/registry/registry.h"

namespace jamsock {

// Longer than any backend may take to become ready, or to end after that: its own limits end the
// wait before.
inline constexpr std::chrono::seconds longest_wait{limit_range::startup.most +
                                                   limit_range::grace.most};

// A connect, as either version's call says it.
struct WantedConnect {
    ServiceName service;
    ConnectRequest request;
    std::optional<Patience> ready_by = {};
    Caller* caller = nullptr;  // null: nobody who may leave
};

class Api {
  public:
    // What a stream sends of a backend, until its end or the subscriber's.
    using Feed = std::function<Task<>(const BackendId&, EventStream&)>;
    struct Streams {
        std::size_t most;  // at a time; one more is refused
        Feed logs = {};
        Feed metrics = {};
    };
    // `metrics`: the text for Prometheus.
    Api(Registry& registry, Services& services, std::function<VersionInfo()> version,
        TcpAccess access, Streams streams, std::function<std::string()> metrics);

    // Answers any request; a failed one is logged with the id that its answer carries.
    Task<Response> serve(const Request& request);

    // The answer to a request with a body that may not be read: over TCP only who has the token, or
    // asks what needs none, makes the daemon keep one.
    std::optional<Response> turns_away(const Request& head) const;

    // The answer to what never became a request: a malformed head, a body that is too large.
    static Response refuse(Peer peer, int http_status, std::string sentence);

    // For the log: "GET /v2/backend/{id}". The path itself may hold a token.
    std::string endpoint_of(const Request& request) const;

    // The answer to a request whose handler threw; the log has its id with `what` was thrown.
    Response met_bug(const Request& request, const std::string& what) const;

    bool is_known(const Request& head) const { return access_.shows_token(head); }
    std::size_t open_streams() const { return *streams_open_; }
    const std::vector<Endpoint>& endpoints() const { return router_.endpoints(); }

  private:
    Response finished(Response response, const Match& match) const;
    Task<Result<Response>> answer(const Request& request, const Match& match);
    // Also a refused one is counted.
    Task<Result<ConnectResponse>> counted_connect(const Result<WantedConnect>& wanted);
    Task<Result<Response>> connect(const Request& request, const PathParameters& path);
    Task<Result<Response>> keys(const Request& request, const PathParameters& path);
    Task<Result<Response>> running_backends(const Request& request, const PathParameters& path);
    Task<Result<Response>> events(const Request& request, const PathParameters& path);
    Task<Result<Response>> history(const Request& request, const PathParameters& path);
    Task<Result<Response>> backend(const Request& request, const PathParameters& path);
    Task<Result<Response>> backend_status(const Request& request, const PathParameters& path);
    Task<Result<Response>> backend_status_stream(const Request& request,
                                                 const PathParameters& path);
    Result<std::int64_t> cursor_in(const Request& request) const;
    Result<std::string> public_status(const BackendId& id) const;
    Task<Result<Response>> hold(const Request& request, const PathParameters& path);
    Result<Response> hold_stream(const PathParameters& path);
    // What a stream tells of the next status; empty: nothing.
    using StatusText = std::function<std::optional<std::string>(const StatusChange& next)>;
    Result<Response> status_stream(const PathParameters& path, StatusText text);
    Task<> send_statuses(const BackendId& id, const StatusText& text, EventStream& stream);
    Task<Result<Response>> backend_log_stream(const Request& request, const PathParameters& path);
    Task<Result<Response>> backend_metrics_stream(const Request& request,
                                                  const PathParameters& path);
    Result<Response> stream(const PathParameters& path, Feed feed);
    Task<Result<Response>> terminate(const Request& request, const PathParameters& path);
    Task<Result<Response>> terminate_backends(const Request& request, const PathParameters& path);
    Task<Result<Response>> revoke(const Request& request, const PathParameters& path);
    Task<Result<Response>> create_service(const Request& request, const PathParameters& path);
    Task<Result<Response>> services(const Request& request, const PathParameters& path);
    Task<Result<Response>> service(const Request& request, const PathParameters& path);
    Task<Result<Response>> update_service(const Request& request, const PathParameters& path);
    Task<Result<Response>> delete_service(const Request& request, const PathParameters& path);
    Task<Result<Response>> images(const Request& request, const PathParameters& path);
    Task<Result<Response>> image_name(const Request& request, const PathParameters& path);
    Task<Result<Response>> auth(const Request& request, const PathParameters& path);
    Task<Result<Response>> healthz(const Request& request, const PathParameters& path);
    Task<Result<Response>> version(const Request& request, const PathParameters& path);
    Task<Result<Response>> metrics(const Request& request, const PathParameters& path);
    Task<Result<Response>> openapi(const Request& request, const PathParameters& path);

    // In v1.cpp.
    Task<Result<Response>> v1_spawn(const Request& request, const PathParameters& path);
    Task<Result<Response>> v1_status(const Request& request, const PathParameters& path);
    Task<Result<Response>> v1_status_stream(const Request& request, const PathParameters& path);
    Task<Result<Response>> v1_terminate(const Request& request, const PathParameters& path);
    // In ready.cpp.
    Task<Result<Response>> ready(const Request& request, const PathParameters& path);

    std::vector<Endpoint> table();

    class StreamPlace;

    Registry& registry_;
    Services& services_;
    std::function<VersionInfo()> version_;
    TcpAccess access_;
    std::function<std::string()> metrics_;
    Streams streams_;
    std::shared_ptr<std::size_t> streams_open_ = std::make_shared<std::size_t>(0);
    Router router_;
    std::string description_;  // made when it is first asked for
};

}  // namespace jamsock
