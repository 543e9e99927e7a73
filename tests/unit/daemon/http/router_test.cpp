#include "daemon/http/router.h"

#include <doctest/doctest.h>

namespace jamsock {

namespace {

Handler nothing() {
    return [](const Request&, const PathParameters&) -> Task<Result<Response>> {
        co_return Response{};
    };
}

const Router& router() {
    static const Router routes({
        {"GET", "/", nothing(), "root"},
        {"GET", "/v2/backend/{id}", nothing(), "backend"},
        {"GET", "/v2/backend/{id}/status", nothing(), "status"},
        {"POST", "/v2/backend/{id}/terminate", nothing(), "terminate"},
        {"GET", "/v2/{account}/{service}", nothing(), "service"},
        {"DELETE", "/v2/{account}/{service}", nothing(), "delete"},
    });
    return routes;
}

std::string_view found(std::string_view method, std::string_view path) {
    const Match match = router().find(method, path);
    return match.endpoint ? match.endpoint->summary : "-";
}

}  // namespace

TEST_CASE("a path finds the endpoint whose pattern it is") {
    CHECK(found("GET", "/") == "root");
    CHECK(found("GET", "/v2/backend/abc") == "backend");
    CHECK(found("GET", "/v2/backend/abc/status") == "status");
    CHECK(found("HEAD", "/v2/backend/abc/status") == "status");
    CHECK(found("GET", "/v2/local/editor") == "service");
    CHECK(found("DELETE", "/v2/local/editor") == "delete");
}

TEST_CASE("a path that is no pattern's finds nothing") {
    for (const std::string path :
         {"/v2", "/v2/", "/v2/backend", "/v2/backend/", "/v2/backend/a/", "/v2/backend//status",
          "/v2/backend/a/status/x", "/V2/backend/a", "", "v2/backend/a"}) {
        CAPTURE(path);
        const Match match = router().find("GET", path);
        CHECK(match.endpoint == nullptr);
        CHECK(match.allowed.empty());
    }
}

TEST_CASE("one slash behind a path's last word is passed over, behind a name it is not") {
    CHECK(found("GET", "/v2/backend/abc/status/") == "status");
    CHECK(router().find("GET", "/v2/backend/a/terminate/").allowed ==
          std::vector<std::string_view>{"POST"});
    for (const std::string path :
         {"//", "/v2/backend/a/status//", "/v2/backend/a/status/.", "/v2/local/editor/"}) {
        CAPTURE(path);
        CHECK(found("GET", path) == "-");
    }
}

TEST_CASE("a known path asked with another method names the methods it has") {
    const Match match = router().find("PUT", "/v2/local/editor");
    CHECK(match.endpoint == nullptr);
    CHECK(match.allowed == std::vector<std::string_view>{"GET", "HEAD", "DELETE"});
    CHECK(router().find("HEAD", "/v2/backend/a/terminate").allowed ==
          std::vector<std::string_view>{"POST"});
}

TEST_CASE("an endpoint has its own access, and a path without it the widest of its rows") {
    const Router mixed({
        {"GET", "/x", nothing(), "public", {}, Access::any_page},
        {"POST", "/x", nothing(), "private"},
    });
    CHECK(mixed.find("GET", "/x").access == Access::any_page);
    CHECK(mixed.find("POST", "/x").access == Access::token);
    CHECK(mixed.find("OPTIONS", "/x").access == Access::any_page);
    CHECK(mixed.find("GET", "/y").access == Access::token);
}

TEST_CASE("path parameters come decoded and under their names") {
    const Match match = router().find("GET", "/v2/a%20b%2Fc/%C3%B6+");
    REQUIRE(match.endpoint != nullptr);
    CHECK(match.parameters["account"] == "a b/c");
    CHECK(match.parameters["service"] == "\xC3\xB6+");
    CHECK_THROWS_AS(match.parameters["id"], std::logic_error);
}

TEST_CASE("a part that can't be decoded is no parameter") {
    for (const std::string part : {"%", "%2", "%zz", "a%0", "%00", "%+1", "% 1"}) {
        CAPTURE(part);
        CHECK(found("GET", std::string("/v2/backend/") + part) == "-");
    }
}

TEST_CASE("a query parameter is found, decoded, whatever stands around it") {
    CHECK(query_parameter("wait=ready", "wait") == "ready");
    CHECK(query_parameter("a=1&wait=r+e%26ady&wait=2", "wait") == "r e&ady");
    CHECK(query_parameter("wait", "wait") == "");
    CHECK(query_parameter("wait=", "wait") == "");
    CHECK(query_parameter("w%61it=x=y", "wait") == "x=y");
    CHECK(query_parameter("&&=&%&%zz=1&r=0.5}&wait=1", "wait") == "1");
    CHECK(query_parameter("wait=%zz&wait=2", "wait") == "2");
    CHECK(query_parameter("", "wait") == std::nullopt);
    CHECK(query_parameter("waits=1&await=2", "wait") == std::nullopt);
}

}  // namespace jamsock
