#include "daemon/api/tcp_access.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

const std::string token = "local.0123456789012345678901234567890123456789abc";
const TcpAccess access{.token = token};

// The code of the refusal; nothing: it may pass.
std::optional<ErrorCode> refused(Headers headers, Access asked = Access::token,
                                 const TcpAccess& rules = access) {
    const auto refusal = rules.refuses({.headers = std::move(headers)}, asked);
    return refusal ? std::optional(refusal->code) : std::nullopt;
}

const std::pair<std::string, std::string> host{"Host", "localhost:8080"};
const std::pair<std::string, std::string> bearer{"Authorization", "Bearer " + token};

}  // namespace

TEST_CASE("the API's token is asked for, whole and as a bearer's") {
    CHECK_FALSE(refused({host, bearer}));
    CHECK_FALSE(refused({host, {"authorization", "bearer   " + token}}));
    for (const std::string& wrong : std::vector<std::string>{
             "", token, "Basic " + token, "Bearer ", "Bearer", "Bearer " + token + "x",
             "Bearer " + token.substr(1), "Bearer " + token.substr(0, 48) + "x", "Bearer -"}) {
        CAPTURE(wrong);
        CHECK(refused({host, {"Authorization", wrong}}) == ErrorCode::invalid_auth);
    }
    CHECK(refused({host}) == ErrorCode::invalid_auth);
    CHECK_FALSE(refused({host}, Access::anyone));
}

TEST_CASE("a daemon without a token lets nobody in") {
    CHECK(refused({host, {"Authorization", "Bearer "}}, Access::token, TcpAccess{}) ==
          ErrorCode::invalid_auth);
}

TEST_CASE("in dev mode '-' is a token, too, but not a page's") {
    const TcpAccess dev{.token = token, .takes_dev_token = true};
    const std::pair<std::string, std::string> dash{"Authorization", "Bearer -"};
    CHECK_FALSE(refused({host, dash}, Access::token, dev));
    CHECK_FALSE(refused({host, bearer}, Access::token, dev));
    CHECK(refused({host}, Access::token, dev) == ErrorCode::invalid_auth);
    CHECK(refused({host, dash, {"Origin", "http://localhost:3000"}}, Access::token, dev) ==
          ErrorCode::forbidden);
}

TEST_CASE("a Host that names no loopback gets nothing, not even what is public") {
    for (const char* wrong :
         {"example.org", "127.0.0.1.example.org", "localhost.example.org", ""}) {
        CAPTURE(wrong);
        CHECK(refused({{"Host", wrong}, bearer}) == ErrorCode::forbidden);
        CHECK(refused({{"Host", wrong}}, Access::any_page) == ErrorCode::forbidden);
    }
    CHECK(refused({bearer}) == ErrorCode::forbidden);
    for (const char* right : {"127.0.0.1:8080", "[::1]:8080", "localhost", "api.localhost:1"}) {
        CAPTURE(right);
        CHECK_FALSE(refused({{"Host", right}, bearer}));
    }
}

TEST_CASE("a Host that the settings name is this machine's, and so are its pages") {
    const TcpAccess rules{.token = token, .hosts = {"devbox"}};
    CHECK_FALSE(refused({{"Host", "devbox:8080"}, bearer}, Access::token, rules));
    CHECK_FALSE(refused({{"Host", "devbox:8080"}}, Access::any_page, rules));
    CHECK(refused({{"Host", "devbox:8080"}}, Access::token, rules) == ErrorCode::invalid_auth);
    CHECK(refused({{"Host", "otherbox:8080"}, bearer}, Access::token, rules) ==
          ErrorCode::forbidden);
    const auto of_page = [&](const char* origin) {
        return refused({{"Host", "devbox:8080"}, bearer, {"Origin", origin}}, Access::token, rules);
    };
    CHECK_FALSE(of_page("http://devbox:8080"));
    CHECK(of_page("http://localhost:8080") == ErrorCode::forbidden);
}

TEST_CASE("a page of another origin is refused whatever it presents") {
    for (const char* origin : {"http://localhost:3000", "https://localhost:3000", "null",
                               "http://127.0.0.1:8080", "https://example.org", ""}) {
        CAPTURE(origin);
        CHECK(refused({host, bearer, {"Origin", origin}}) == ErrorCode::forbidden);
        CHECK_FALSE(refused({host, {"Origin", origin}}, Access::any_page));
    }
    CHECK_FALSE(refused({host, bearer, {"Origin", "http://localhost:8080"}}));
    CHECK(refused({host, bearer, {"Origin", "http://localhost:8080"}, {"origin", "null"}}) ==
          ErrorCode::forbidden);
}
