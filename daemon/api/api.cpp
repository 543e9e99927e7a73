#include "daemon/api/api.h"

#include <fmt/format.h>

#include "common/text.h"
#include "common/timeouts.h"
#include "daemon/log.h"
#include "daemon/random_word.h"

namespace jamsock {

namespace {

// Longer than a backend may take to become ready, or to end after that.
constexpr auto longest_wait = timeouts::startup_limit + timeouts::grace + timeouts::ending_margin;

Response failure(const Error& error) {
    const std::string id = new_request_id();
    log::info("request {} failed: {}: {}", id, info(error.code).name, error.message);
    return {.status = info(error.code).http_status, .body = error_json(error, id)};
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

// The name of the one account there is, whose default name is '-'.
Result<> check_account(const std::string& account) {
    if (account == ServiceName::local_account || account == "-") return {};
    return fail(ErrorCode::forbidden,
                fmt::format("There is no account {} here, only 'local'.", in_quotes(account)));
}

Result<ServiceName> service_of(const std::string& account, const std::string& service,
                               const std::string& environment = {}) {
    if (auto known = check_account(account); !known) return pass_on(known);
    return ServiceName::parse(account, service, environment);
}

Result<std::optional<Deadline>> ready_by(const Request& request) {
    if (const auto wait = query_parameter(request.query, "wait")) {
        if (*wait == "ready") return after(longest_wait);
        return fail(ErrorCode::invalid_request,
                    fmt::format("A connect can wait for 'ready', not for {}.", in_quotes(*wait)));
    }
    std::optional<Deadline> deadline;
    const std::string* prefer = request.header("prefer");  // RFC 7240, 4.3
    for_each_element(prefer ? *prefer : std::string_view(), [&](std::string_view preference) {
        constexpr std::string_view wait_is = "wait=";
        long long seconds = 0;
        if (preference.starts_with(wait_is) &&
            parse_number(preference.substr(wait_is.size()), seconds)) {
            const long long most = std::chrono::seconds(longest_wait).count();
            deadline = after(std::chrono::seconds(std::min(seconds, most)));
        }
    });
    return deadline;
}

}  // namespace

std::vector<Endpoint> Api::table() {
    const auto handler =
        [this](Task<Response> (Api::*member)(const Request&, const PathParameters&)) {
            return [this, member](const Request& request, const PathParameters& path) {
                return (this->*member)(request, path);
            };
        };
    return {
        {"POST", "/v2/service/{account}/{service}/connect", handler(&Api::connect),
         "the backend that holds a key, or a new one"},
        {"POST", "/v2/service/{account}/{service}/{environment}/connect",
         handler(&Api::connect_in_environment), "the same in an environment of the service"},
        {"GET", "/v2/account/{account}/keys", handler(&Api::keys),
         "the backends that have not ended"},
        {"GET", "/v2/backend/{id}", handler(&Api::backend), "all about one backend"},
        {"GET", "/v2/backend/{id}/status", handler(&Api::backend_status),
         "a backend's present status"},
        {"POST", "/v2/backend/{id}/terminate", handler(&Api::terminate), "end a backend"},
        {"GET", "/healthz", handler(&Api::healthz), "whether the daemon answers"},
        {"GET", "/version", handler(&Api::version), "which daemon this is"},
    };
}

Api::Api(Registry& registry, std::function<VersionInfo()> version)
    : registry_(registry), version_(std::move(version)), router_(table()) {
}

Response Api::refuse(int http_status, std::string sentence) {
    Response response = failure({code_of(http_status), std::move(sentence), {}, {}});
    response.status = http_status;
    return response;
}

Task<Response> Api::serve(const Request& request) {
    const Match match = router_.find(request.method, request.path);
    if (match.endpoint) {
        Response response = co_await match.endpoint->handler(request, match.parameters);
        co_return response;
    }
    if (match.allowed.empty()) {
        co_return failure({ErrorCode::route_not_found,
                           fmt::format("The API has no path {}.", in_quotes(request.path)),
                           {},
                           {}});
    }
    Response response = failure(
        {ErrorCode::method_not_allowed,
         fmt::format("{} does not take {}.", in_quotes(request.path), in_quotes(request.method)),
         {},
         {}});
    response.headers.emplace_back("Content-Type", "application/json");
    response.headers.emplace_back("Allow", fmt::format("{}", fmt::join(match.allowed, ", ")));
    co_return response;
}

Task<Response> Api::connect(const Request& request, const PathParameters& path) {
    return connect_to(service_of(path["account"], path["service"]), request);
}

Task<Response> Api::connect_in_environment(const Request& request, const PathParameters& path) {
    return connect_to(service_of(path["account"], path["service"], path["environment"]), request);
}

Task<Response> Api::connect_to(Result<ServiceName> service, const Request& request) {
    if (!service) co_return failure(service.error());
    auto wanted = ConnectRequest::from_json(request.body);
    if (!wanted) co_return failure(wanted.error());
    auto deadline = ready_by(request);
    if (!deadline) co_return failure(deadline.error());
    const auto response = co_await registry_.connect(*service, *wanted, *deadline);
    if (!response) co_return failure(response.error());
    co_return Response{.body = response->to_json()};
}

Task<Response> Api::keys(const Request& request, const PathParameters& path) {
    if (auto known = check_account(path["account"]); !known) co_return failure(known.error());
    const KeyFilter filter{query_parameter(request.query, "service").value_or(""),
                           query_parameter(request.query, "prefix").value_or("")};
    co_return Response{.body = registry_.keys(filter).to_json()};
}

Task<Response> Api::backend(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return failure(id.error());
    const auto backend = registry_.backend(*id);
    if (!backend) co_return failure(backend.error());
    co_return Response{.body = backend->to_json()};
}

Task<Response> Api::backend_status(const Request&, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return failure(id.error());
    const auto status = registry_.status(*id);
    if (!status) co_return failure(status.error());
    co_return Response{
        .body = public_status_json(*status),
        .headers = {{"Content-Type", "application/json"}, {"Access-Control-Allow-Origin", "*"}}};
}

Task<Response> Api::terminate(const Request& request, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return failure(id.error());
    const auto wanted = TerminateRequest::from_json(request.body);
    if (!wanted) co_return failure(wanted.error());
    const bool wait = query_parameter(request.query, "wait") == "terminated";
    const auto ended = co_await registry_.terminate(*id, *wanted, wait);
    if (!ended) co_return failure(ended.error());
    co_return Response{.body = ok_json()};
}

Task<Response> Api::healthz(const Request&, const PathParameters&) {
    co_return Response{.body = ok_json()};
}

Task<Response> Api::version(const Request&, const PathParameters&) {
    co_return Response{.body = version_().to_json()};
}

}  // namespace jamsock
