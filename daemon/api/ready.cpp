// The handler of the page that waits for a backend.
#include <fmt/format.h>

#include "common/timeouts.h"
#include "daemon/api/api.h"
#include "daemon/api/ready_page.h"
#include "daemon/random_word.h"

namespace jamsock {

namespace {

constexpr std::size_t nonce_length = 32;

// Whoever takes JSON and no page is a program.
bool wants_json(const Request& request) {
    const std::string* accept = request.header("accept");
    bool json = false;
    bool html = false;
    for_each_element(accept ? *accept : std::string_view(), [&](std::string_view range) {
        const std::string_view type = trimmed(range.substr(0, range.find(';')));
        json |= equal_ignoring_case(type, "application/json");
        html |= equal_ignoring_case(type, "text/html");
    });
    return json && !html;
}

// The path and the URL have the token in them: neither is kept, nor told to the next page.
Headers private_headers() {
    return {{"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}};
}

Response page_of(const ReadyPage& page) {
    const std::string nonce = random_word(nonce_length);
    Response response{.body = page.html(nonce), .headers = private_headers()};
    response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
    response.headers.emplace_back("Content-Security-Policy", ready_page_policy(nonce));
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    return response;
}

Response go_to(const std::string& url) {
    Response response{.status = 303, .headers = private_headers()};
    response.headers.emplace_back("Location", url);
    return response;
}

}  // namespace

Task<Result<Response>> Api::ready(const Request& request, const PathParameters& path) {
    const auto id = BackendId::parse(path["id"]);
    if (!id) co_return tl::unexpected(id.error());
    const auto url = registry_.url(*id, path["token"]);
    if (!url) co_return tl::unexpected(url.error());
    if (wants_json(request)) {
        const auto status =
            co_await registry_.ready_or_ended(*id, {after(longest_wait), request.caller});
        if (!status) co_return tl::unexpected(status.error());
        auto told = public_status(*id);
        if (!told) co_return tl::unexpected(told.error());
        co_return Response{.body = *std::move(told), .headers = private_headers()};
    }
    const auto statuses = registry_.statuses(*id);
    if (!statuses) co_return tl::unexpected(statuses.error());
    if (statuses->back().status == Status::ready) co_return go_to(*url);
    co_return page_of({*id, *url, *statuses});
}

}  // namespace jamsock
