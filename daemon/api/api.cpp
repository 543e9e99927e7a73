#include "daemon/api/api.h"

#include <fmt/format.h>

#include "common/clock.h"
#include "common/hints.h"
#include "common/text.h"
#include "common/timeouts.h"
#include "common/version.h"
#include "daemon/api/metrics_text.h"
#include "daemon/api/openapi.h"
#include "daemon/api/path.h"
#include "daemon/api/told_in_log.h"
#include "daemon/http/event_stream.h"
#include "daemon/log.h"
#include "daemon/random_word.h"

namespace jamsock {

namespace {

constexpr long long most_at_once = 1000;      // in one piece of a list
constexpr std::size_t usual_history = 100;    // backends; each costs a look at the database
constexpr long long longest_event_wait = 60;  // seconds

bool takes_line(const Error& error, Peer peer) {
    const std::string_view name = info(error.code).name;
    if (peer == Peer::same_user) {
        return log::takes_refusal(std::string(name), log::most_refusals_of_users);
    }
    return log::takes_refusal(fmt::format("{} over TCP", name), log::most_refusals_of_strangers);
}

// Over TCP `error` is told as others than this user may know it.
Response failure(const Error& error, Peer peer, int http_status) {
    const std::string id = new_request_id();
    const bool is_ours = error.code == ErrorCode::internal;
    if (takes_line(error, peer)) {
        log::log(is_ours ? log::level::err : log::level::info, "request {} failed: {}", id,
                 told_in_log(error));
    }
    Response response{
        .status = http_status,
        .body = error_json(peer == Peer::anyone ? told_to_others(error) : error, id, http_status)};
    if (const int seconds = info(error.code).retry_after; seconds > 0) {
        response.headers.emplace_back("Retry-After", std::to_string(seconds));
    }
    return response;
}

Response failure(const Error& error, Peer peer) {
    return failure(error, peer, info(error.code).http_status);
}

Error nothing_answers(const Request& request, const Match& match) {
    if (match.allowed.empty()) {
        return {ErrorCode::route_not_found,
                fmt::format("The API has no path {}.", in_quotes(request.path)),
                {},
                {}};
    }
    return {ErrorCode::method_not_allowed,
            fmt::format("{} does not take {}.", in_quotes(request.path), in_quotes(request.method)),
            {},
            {}};
}

// Which daemon answers, so that a command line of another version can say so (RFC 9110, 10.2.4).
void name_version(Response& response) {
    response.headers.emplace_back("Server", fmt::format("jamsock/{}", version()));
}

// Also that of preflights.
std::string methods_of(const Match& match) {
    const char* const preflight = match.access == Access::any_page ? ", OPTIONS" : "";
    return fmt::format("{}{}", fmt::join(match.allowed, ", "), preflight);
}

// What a browser asks before it lets a page ask (Fetch, CORS-preflight).
Response preflight_answer() {
    return {.status = 204,
            .headers = {{"Access-Control-Allow-Methods", "GET, HEAD"},
                        {"Access-Control-Allow-Headers", "*, Authorization"},
                        {"Access-Control-Max-Age", "86400"}}};
}

ErrorCode code_of(int http_status) {
    switch (http_status) {
        case 413:
            return ErrorCode::payload_too_large;
        case 500:
            return ErrorCode::internal;
        case 501:
            return ErrorCode::unsupported;
        case 503:
            return ErrorCode::shutting_down;
        default:
            return ErrorCode::invalid_request;
    }
}

// Who has the API's token may use programs, and who is this user may say which.
Result<> check_may_give_command(const Request& request, bool gives_command) {
    if (!gives_command || request.peer == Peer::same_user) return {};
    return fail(ErrorCode::forbidden,
                "A command can't be given over TCP; make a service of it on this machine.",
                "jamsock service create --help");
}

Result<std::optional<std::size_t>> limit_in(const Request& request) {
    const auto text = query_parameter(request.query, "limit");
    if (!text) return std::nullopt;
    long long limit = 0;
    if (parse_number(*text, limit) && limit >= 1 && limit <= most_at_once) {
        return static_cast<std::size_t>(limit);
    }
    return fail(ErrorCode::invalid_request,
                fmt::format("The parameter 'limit' must be 1 to {}, not {}.", most_at_once,
                            in_quotes(*text)));
}

// Until when a request for events waits where there is none.
Result<Deadline> event_deadline_in(const Request& request) {
    const auto text = query_parameter(request.query, "wait");
    long long seconds = 0;
    if (!text || (parse_number(*text, seconds) && seconds <= longest_event_wait)) {
        return after(std::chrono::seconds(seconds));
    }
    return fail(ErrorCode::invalid_request,
                fmt::format("The parameter 'wait' must be 0 to {} seconds, not {}.",
                            longest_event_wait, in_quotes(*text)));
}

Result<Key> key_in(const Request& request) {
    const auto text = query_parameter(request.query, "key");
    if (text) return Key::parse(*text);
    return fail(ErrorCode::invalid_request, "The parameter 'key' is missing.");
}

Result<KeyFilter> key_filter_in(const Request& request) {
    KeyFilter filter{query_parameter(request.query, "service").value_or(""),
                     query_parameter(request.query, "prefix").value_or("")};
    auto limit = limit_in(request);
    if (!limit) return pass_on(limit);
    filter.limit = *limit;
    if (const auto cursor = query_parameter(request.query, "cursor")) {
        auto after = KeyCursor::parse(*cursor);
        if (!after) return pass_on(after);
        filter.after = *after;
    }
    return filter;
}

Result<std::optional<Patience>> ready_by(const Request& request) {
    if (const auto wait = query_parameter(request.query, "wait")) {
        if (*wait == "ready") return Patience(after(longest_wait), request.caller);
        return fail(ErrorCode::invalid_request,
                    fmt::format("A connect can wait for 'ready', not for {}.", in_quotes(*wait)));
    }
    std::optional<Patience> limit;
    const std::string* prefer = request.header("prefer");  // RFC 7240, 4.3
    for_each_element(prefer ? *prefer : std::string_view(), [&](std::string_view preference) {
        constexpr std::string_view wait_is = "wait=";
        long long seconds = 0;
        if (preference.starts_with(wait_is) &&
            parse_number(preference.substr(wait_is.size()), seconds)) {
            const long long most = std::chrono::seconds(longest_wait).count();
            limit.emplace(after(std::chrono::seconds(std::min(seconds, most))), request.caller);
        }
    });
    return limit;
}

Result<WantedConnect> wanted_connect(const Request& request, const PathParameters& path) {
    auto service = service_in(path);
    if (!service) return pass_on(service);
    auto wanted = ConnectRequest::from_json(request.body);
    if (!wanted) return pass_on(wanted);
    const bool says_how_to_run = wanted->command || wanted->base_environment;
    if (auto may = check_may_give_command(request, says_how_to_run); !may) return pass_on(may);
    auto limit = ready_by(request);
    if (!limit) return pass_on(limit);
    return WantedConnect{*std::move(service), *std::move(wanted), *limit, request.caller};
}

// What explains an end may name paths and processes of this machine: over TCP it is not told.
void leave_out_diagnosis(BackendInfo& backend) {
    for (StatusChange& change : backend.statuses)
        change.diagnosis.reset();
}

void leave_out_diagnosis(RunningBackends& running) {
    for (RunningBackend& backend : running.backends)
        backend.status.diagnosis.reset();
}

void leave_out_diagnosis(EventList& list) {
    for (StatusEvent& event : list.events)
        event.change.diagnosis.reset();
}

void leave_out_diagnosis(KeyHistory& history) {
    for (HistoryEntry& entry : history.backends)
        entry.status.diagnosis.reset();
}

// What a row of the table says of its endpoint (Shapes).
template <class... Names>
Shapes takes(std::string_view request, std::string_view answer, Names... parameters) {
    return {request, answer, {parameters...}};
}

template <class... Names>
Shapes gives(std::string_view answer, Names... parameters) {
    return {{}, answer, {parameters...}};
}

}  // namespace

std::vector<Endpoint> Api::table() {
    const auto handler =
        [this](Task<Result<Response>> (Api::*member)(const Request&, const PathParameters&)) {
            return [this, member](const Request& request, const PathParameters& path) {
                return (this->*member)(request, path);
            };
        };
    return {
        {"POST", "/v2/service/{account}/{service}/connect", handler(&Api::connect),
         "the backend that holds a key, or a new one",
         takes("ConnectRequest", "ConnectResponse", "wait_ready", "prefer_wait")},
        {"POST", "/v2/service/{account}/{service}/{environment}/connect", handler(&Api::connect),
         "the same in an environment of the service",
         takes("ConnectRequest", "ConnectResponse", "wait_ready", "prefer_wait")},
        {"GET", "/v2/account/{account}/keys", handler(&Api::keys),
         "the backends that have not ended",
         gives("KeyList", "of_service", "prefix", "limit", "cursor", "usage")},
        {"GET", "/v2/account/{account}/events", handler(&Api::events),
         "the statuses of all backends in one order",
         gives("EventList", "since", "events_limit", "events_wait")},
        {"GET", "/v2/account/{account}/history", handler(&Api::history),
         "the backends that a key has had",
         gives("KeyHistory", "of_key", "key_of_service", "history_limit")},
        {"GET", "/v2/account/{account}/backends", handler(&Api::running_backends),
         "the same as Jamsocket lists them", gives("RunningBackends")},
        {"GET", "/v2/backend/{id}", handler(&Api::backend), "all about one backend",
         gives("BackendInfo")},
        {"GET", "/v2/backend/{id}/status", handler(&Api::backend_status),
         "a backend's present status", gives("PublicStatus"), Access::any_page},
        {"GET", "/v2/backend/{id}/status/stream", handler(&Api::backend_status_stream),
         "all its statuses, as they come (server-sent events)", gives("StatusStream"),
         Access::any_page},
        {"GET", "/v2/backend/{id}/hold", handler(&Api::hold),
         "the same, during which it counts as used", gives("StatusStream")},
        {"GET", "/ready/{id}/{token}/", handler(&Api::ready),
         "a page that goes to a backend's URL when it is ready",
         Shapes{.answer = "ReadyPage", .see_other = "ReadyUrl"}, Access::anyone},
        {"GET", "/v2/backend/{id}/logs/stream", handler(&Api::backend_log_stream),
         "its output, kept and to come, a line an event", gives("LogStream")},
        {"GET", "/v2/backend/{id}/metrics/stream", handler(&Api::backend_metrics_stream),
         "what it uses of memory and processors, each second", gives("MetricsStream")},
        {"POST", "/v2/backend/{id}/terminate", handler(&Api::terminate), "end a backend",
         takes("TerminateRequest", "Ok", "wait_terminated")},
        {"POST", "/service/{account}/{service}/terminate-backends",
         handler(&Api::terminate_backends), "end the backends of a service that are older",
         takes("TerminateBackendsRequest", "TerminateBackendsResponse")},
        {"POST", "/v2/backend/{id}/revoke", handler(&Api::revoke),
         "end connection tokens of a backend: one, or all of a user",
         takes("RevokeRequest", "RevokeResponse")},
        {"POST", "/v1/user/{account}/service/{service}/spawn", handler(&Api::v1_spawn),
         "version 1: the backend that holds a lock, or a new one",
         takes("V1SpawnRequest", "V1SpawnResponse")},
        {"POST", "/user/{account}/service/{service}/spawn", handler(&Api::v1_spawn),
         "version 1: the same", takes("V1SpawnRequest", "V1SpawnResponse")},
        {"GET", "/backend/{id}/status", handler(&Api::v1_status),
         "version 1: a backend's present state", gives("V1Status"), Access::any_page},
        {"GET", "/backend/{id}/status/stream", handler(&Api::v1_status_stream),
         "version 1: all its states, as they come (server-sent events)", gives("V1StatusStream"),
         Access::any_page},
        {"POST", "/backend/{id}/terminate", handler(&Api::v1_terminate),
         "version 1: end a backend at once", gives("Ok")},
        {"POST", "/v2/account/{account}/service", handler(&Api::create_service),
         "a new service, or environment of one", takes("ServiceCreateRequest", "Ok")},
        {"GET", "/v2/account/{account}/services", handler(&Api::services), "the services' names",
         gives("ServiceList")},
        {"GET", "/v2/service/{account}/{service}", handler(&Api::service),
         "a service and its environments", gives("ServiceInfo")},
        {"POST", "/v2/service/{account}/{service}/update", handler(&Api::update_service),
         "change a service (a JSON Merge Patch)", takes("ServiceUpdateRequest", "Ok")},
        {"POST", "/v2/service/{account}/{service}/{environment}/update",
         handler(&Api::update_service), "change an environment",
         takes("ServiceUpdateRequest", "Ok")},
        {"POST", "/v2/service/{account}/{service}/delete", handler(&Api::delete_service),
         "delete a service with its environments", takes("ServiceDeleteRequest", "Ok")},
        {"POST", "/v2/service/{account}/{service}/{environment}/delete",
         handler(&Api::delete_service), "delete an environment",
         takes("ServiceDeleteRequest", "Ok")},
        {"GET", "/v2/service/{account}/{service}/images", handler(&Api::images),
         "no images: services run commands", gives("ImageList")},
        {"GET", "/service/{account}/{service}/image-name", handler(&Api::image_name),
         "unsupported: services run commands"},
        {"GET", "/auth", handler(&Api::auth), "what the caller's token may do", gives("Auth")},
        {"GET", "/healthz", handler(&Api::healthz), "whether the daemon answers", gives("Ok"),
         Access::anyone},
        {"GET", "/version", handler(&Api::version), "which daemon this is", gives("VersionInfo")},
        {"GET", "/metrics", handler(&Api::metrics), "the daemon's figures, for Prometheus",
         gives("MetricsText")},
        {"GET", "/openapi.json", handler(&Api::openapi), "this API's description (OpenAPI 3.1)",
         gives("OpenApiDocument"), Access::anyone},
    };
}

// One of the streams that may run at a time, from its answer's head to its end. May outlive the
// API: an answer does, if the loop ends under it.
class Api::StreamPlace {
  public:
    explicit StreamPlace(std::shared_ptr<std::size_t> taken) : taken_(std::move(taken)) {
        ++*taken_;
    }
    StreamPlace(const StreamPlace&) = delete;
    StreamPlace& operator=(const StreamPlace&) = delete;
    ~StreamPlace() { --*taken_; }

  private:
    std::shared_ptr<std::size_t> taken_;
};

Api::Api(Registry& registry, Services& services, std::function<VersionInfo()> version,
         TcpAccess access, Streams streams, std::function<std::string()> metrics)
    : registry_(registry),
      services_(services),
      version_(std::move(version)),
      access_(std::move(access)),
      metrics_(std::move(metrics)),
      streams_(std::move(streams)),
      router_(table()) {
}

Response Api::refuse(Peer peer, int http_status, std::string sentence) {
    const Error error = for_anybody({code_of(http_status), std::move(sentence), {}, {}});
    Response response = failure(error, peer, http_status);
    name_version(response);
    return response;
}

Response Api::met_bug(const Request& request, const std::string& what) const {
    Error error =
        for_anybody({ErrorCode::internal, "The request met a bug in the daemon.", {}, {}});
    error.cause = fmt::format("{}: {}", endpoint_of(request), what);
    Response response = failure(error, request.peer);
    name_version(response);
    return response;
}

std::string Api::endpoint_of(const Request& request) const {
    const Match match = router_.find(request.method, request.path);
    return match.endpoint ? fmt::format("{} {}", match.endpoint->method, match.endpoint->pattern)
                          : "no endpoint";
}

Task<Response> Api::serve(const Request& request) {
    const Match match = router_.find(request.method, request.path);
    Result<Response> answered = co_await answer(request, match);
    if (!answered) co_return finished(failure(answered.error(), request.peer), match);
    co_return finished(*std::move(answered), match);
}

std::optional<Response> Api::turns_away(const Request& head) const {
    if (head.peer == Peer::same_user) return std::nullopt;
    const Match match = router_.find(head.method, head.path);
    const auto refused = access_.refuses(head, match.endpoint ? match.access : Access::token);
    if (!refused) return std::nullopt;
    return finished(failure(*refused, head.peer), match);
}

// With the headers that all answers have.
Response Api::finished(Response response, const Match& match) const {
    name_version(response);
    if (match.access == Access::any_page)
        response.headers.emplace_back("Access-Control-Allow-Origin", "*");
    if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (response.status == 405) {
        response.headers.emplace_back("Allow", methods_of(match));
    }
    return response;
}

Task<Result<Response>> Api::answer(const Request& request, const Match& match) {
    if (request.peer == Peer::anyone) {
        if (auto refused = access_.refuses(request, match.access)) {
            co_return tl::unexpected(*std::move(refused));
        }
    }
    if (match.access == Access::any_page && request.method == "OPTIONS") {
        co_return preflight_answer();
    }
    if (!match.endpoint) co_return tl::unexpected(nothing_answers(request, match));
    co_return co_await match.endpoint->handler(request, match.parameters);
}

Task<Result<ConnectResponse>> Api::counted_connect(const Result<WantedConnect>& wanted) {
    if (!wanted) {
        registry_.count_refused(wanted.error());
        co_return tl::unexpected(wanted.error());
    }
    co_return co_await registry_.connect(wanted->service, wanted->request, wanted->ready_by,
                                         wanted->caller);
}

Task<Result<Response>> Api::connect(const Request& request, const PathParameters& path) {
    const auto wanted = wanted_connect(request, path);
    const auto response = co_await counted_connect(wanted);
    if (!response) co_return tl::unexpected(response.error());
    co_return Response{.body = response->to_json()};
}

Task<Result<Response>> Api::keys(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    const auto filter = key_filter_in(request);
    if (!filter) co_return tl::unexpected(filter.error());
    KeyList list = registry_.keys(*filter);
    if (query_parameter(request.query, "usage") == "true") co_await registry_.add_usage(list);
    co_return Response{.body = list.to_json()};
}

// A cursor is never less than the time at which its status was recorded.
Result<std::int64_t> Api::cursor_in(const Request& request) const {
    const auto text = query_parameter(request.query, "since");
    long long cursor = 0;
    if (!text || parse_number(*text, cursor)) return cursor;
    if (*text == "now") return registry_.last_event();
    if (const auto time = parse_iso_time(*text)) return *time - 1;
    return fail(ErrorCode::invalid_request,
                fmt::format("The parameter 'since' must be a cursor of an answer, 'now', or a time "
                            "such as 2026-11-23T09:30:00Z, not {}.",
                            in_quotes(*text)));
}

Task<Result<Response>> Api::events(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    const auto cursor = cursor_in(request);
    if (!cursor) co_return tl::unexpected(cursor.error());
    const auto limit = limit_in(request);
    if (!limit) co_return tl::unexpected(limit.error());
    const auto deadline = event_deadline_in(request);
    if (!deadline) co_return tl::unexpected(deadline.error());
    const Patience patience(*deadline, request.caller);
    auto list = co_await registry_.events_after(*cursor, limit->value_or(most_at_once), patience);
    if (!list) co_return tl::unexpected(list.error());
    if (request.peer == Peer::anyone) leave_out_diagnosis(*list);
    co_return Response{.body = list->to_json()};
}

Task<Result<Response>> Api::history(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    const auto key = key_in(request);
    if (!key) co_return tl::unexpected(key.error());
    const auto service = ServiceName::parse(
        ServiceName::local_account, query_parameter(request.query, "service").value_or("-"));
    if (!service) co_return tl::unexpected(service.error());
    const auto limit = limit_in(request);
    if (!limit) co_return tl::unexpected(limit.error());
    auto history = registry_.history(*service, *key, limit->value_or(usual_history));
    if (!history) co_return tl::unexpected(history.error());
    if (request.peer == Peer::anyone) leave_out_diagnosis(*history);
    co_return Response{.body = history->to_json()};
}

Task<Result<Response>> Api::running_backends(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    RunningBackends running = registry_.running_backends();
    if (request.peer == Peer::anyone) leave_out_diagnosis(running);
    co_return Response{.body = running.to_json()};
}

Task<Result<Response>> Api::terminate_backends(const Request& request, const PathParameters& path) {
    const auto service = service_in(path);
    if (!service) co_return tl::unexpected(service.error());
    const auto wanted = TerminateBackendsRequest::from_json(request.body);
    if (!wanted) co_return tl::unexpected(wanted.error());
    const auto told = registry_.terminate_backends(*service, *wanted);
    if (!told) co_return tl::unexpected(told.error());
    co_return Response{.body = told->to_json()};
}

Task<Result<Response>> Api::backend(const Request& request, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    auto backend = co_await registry_.inspect(*id);
    if (!backend) co_return tl::unexpected(backend.error());
    if (request.peer == Peer::anyone) leave_out_diagnosis(*backend);
    co_return Response{.body = backend->to_json()};
}

Task<Result<Response>> Api::backend_status(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    auto status = public_status(*id);
    if (!status) co_return tl::unexpected(status.error());
    co_return Response{.body = *std::move(status)};
}

// The last one that is told in public.
Result<std::string> Api::public_status(const BackendId& id) const {
    auto statuses = registry_.statuses(id);
    if (!statuses) return pass_on(statuses);
    std::string told;
    for (const StatusChange& change : *statuses)
        told = public_status_json(change).value_or(told);
    return told;
}

Task<Result<Response>> Api::backend_status_stream(const Request&, const PathParameters& path) {
    co_return status_stream(path, &public_status_json);
}

Task<Result<Response>> Api::hold(const Request&, const PathParameters& path) {
    co_return hold_stream(path);
}

// The admission is the answer's: however that ends, the backend is left once.
Result<Response> Api::hold_stream(const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) return tl::unexpected(id.error());
    auto admission = registry_.hold_in_use(*id);
    if (!admission) return pass_on(admission);
    const auto held = std::make_shared<const Admission>(std::move(*admission));
    return status_stream(path,
                         [held](const StatusChange& next) { return public_status_json(next); });
}

Task<Result<Response>> Api::backend_log_stream(const Request&, const PathParameters& path) {
    co_return stream(path, streams_.logs);
}

Task<Result<Response>> Api::backend_metrics_stream(const Request&, const PathParameters& path) {
    co_return stream(path, streams_.metrics);
}

Result<Response> Api::stream(const PathParameters& path, Feed feed) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) return tl::unexpected(id.error());
    if (auto known = registry_.statuses(*id); !known) return pass_on(known);
    if (*streams_open_ >= streams_.most) {
        return fail(ErrorCode::usage_limit,
                    fmt::format("The API has {} streams open, and no descriptors for more; ask "
                                "for the present status.",
                                *streams_open_),
                    "jamsock list");
    }
    const auto place = std::make_shared<const StreamPlace>(streams_open_);
    return Response{
        .headers = {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}},
        .events = [id = *id, feed = std::move(feed), place](EventStream& events) {
            return feed(id, events);
        }};
}

Result<Response> Api::status_stream(const PathParameters& path, StatusText text) {
    return stream(path, [this, text = std::move(text)](const BackendId& id, EventStream& events) {
        return send_statuses(id, text, events);
    });
}

// Past ones first, then each as it comes, up to `terminated`.
Task<> Api::send_statuses(const BackendId& id, const StatusText& text, EventStream& stream) {
    std::size_t seen = 0;
    bool is_over = false;
    while (!is_over) {
        const auto next = co_await registry_.statuses_after(id, seen, stream.presence());
        if (!next) co_return;
        is_over = next->empty();
        for (const StatusChange& change : *next) {
            const auto told = text(change);
            bool went = true;
            if (told) went = co_await stream.send(*told);
            if (!went) co_return;
            ++seen;
            is_over = change.status == Status::terminated;
        }
    }
}

Task<Result<Response>> Api::terminate(const Request& request, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const auto wanted = TerminateRequest::from_json(request.body);
    if (!wanted) co_return tl::unexpected(wanted.error());
    const bool wait = query_parameter(request.query, "wait") == "terminated";
    const auto ended = co_await registry_.terminate(*id, *wanted, wait, request.caller);
    if (!ended) co_return tl::unexpected(ended.error());
    co_return Response{.body = ok_json()};
}

Task<Result<Response>> Api::revoke(const Request& request, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const auto wanted = RevokeRequest::from_json(request.body);
    if (!wanted) co_return tl::unexpected(wanted.error());
    const auto revoked = co_await registry_.revoke(*id, *wanted);
    if (!revoked) co_return tl::unexpected(revoked.error());
    co_return Response{.body = revoked->to_json()};
}

Task<Result<Response>> Api::create_service(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    const auto wanted = ServiceCreateRequest::from_json(request.body);
    if (!wanted) co_return tl::unexpected(wanted.error());
    if (auto may = check_may_give_command(request, wanted->definition.names_program()); !may) {
        co_return tl::unexpected(may.error());
    }
    const auto created = co_await services_.create(wanted->name, wanted->definition);
    if (!created) co_return tl::unexpected(created.error());
    co_return Response{.body = ok_json()};
}

Task<Result<Response>> Api::services(const Request&, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known)
        co_return tl::unexpected(known.error());
    co_return Response{.body = services_.list().to_json()};
}

Task<Result<Response>> Api::service(const Request&, const PathParameters& path) {
    const auto name = service_in(path);
    if (!name) co_return tl::unexpected(name.error());
    const auto info = services_.info(*name);
    if (!info) co_return tl::unexpected(info.error());
    co_return Response{.body = info->to_json()};
}

Task<Result<Response>> Api::update_service(const Request& request, const PathParameters& path) {
    const auto name = service_in(path);
    if (!name) co_return tl::unexpected(name.error());
    const auto change = ServiceUpdateRequest::from_json(request.body);
    if (!change) co_return tl::unexpected(change.error());
    if (auto may = check_may_give_command(request, change->names_program()); !may) {
        co_return tl::unexpected(may.error());
    }
    const auto updated = co_await services_.update(*name, *change);
    if (!updated) co_return tl::unexpected(updated.error());
    co_return Response{.body = ok_json()};
}

Task<Result<Response>> Api::delete_service(const Request& request, const PathParameters& path) {
    const auto name = service_in(path);
    if (!name) co_return tl::unexpected(name.error());
    const auto wanted = ServiceDeleteRequest::from_json(request.body);
    if (!wanted) co_return tl::unexpected(wanted.error());
    const auto deleted = co_await registry_.delete_service(*name, *wanted);
    if (!deleted) co_return tl::unexpected(deleted.error());
    co_return Response{.body = ok_json()};
}

// Services run commands: they have no images.
Task<Result<Response>> Api::images(const Request&, const PathParameters& path) {
    const auto name = service_in(path);
    if (!name) co_return tl::unexpected(name.error());
    const auto info = services_.info(*name);
    if (!info) co_return tl::unexpected(info.error());
    co_return Response{.body = no_images_json()};
}

Task<Result<Response>> Api::image_name(const Request&, const PathParameters& path) {
    const auto name = service_in(path);
    if (!name) co_return tl::unexpected(name.error());
    co_return fail(ErrorCode::unsupported,
                   "Services run commands here, so there is no image to push.",
                   give_command(*name));
}

Task<Result<Response>> Api::auth(const Request&, const PathParameters&) {
    co_return Response{.body = auth_json()};
}

Task<Result<Response>> Api::healthz(const Request&, const PathParameters&) {
    co_return Response{.body = ok_json()};
}

Task<Result<Response>> Api::metrics(const Request&, const PathParameters&) {
    co_return Response{.body = metrics_(), .headers = {{"Content-Type", metrics_content_type}}};
}

Task<Result<Response>> Api::openapi(const Request&, const PathParameters&) {
    if (description_.empty()) description_ = openapi_json(endpoints());
    co_return Response{.body = description_};
}

Task<Result<Response>> Api::version(const Request&, const PathParameters&) {
    co_return Response{.body = version_().to_json()};
}

}  // namespace jamsock
