#include "cli/option_values.h"

#include <doctest/doctest.h>

using namespace jamsock;

TEST_CASE("a time limit is a number of seconds above zero") {
    CHECK(parse_seconds("--timeout", "2.5")->count() == doctest::Approx(2.5));
    CHECK(parse_seconds("--timeout", "35")->count() == doctest::Approx(35));
    for (const char* wrong : {"", "0", "-1", "nan", "abc", "5s", " 5", "1e999"}) {
        CAPTURE(wrong);
        const auto refused = parse_seconds("--timeout", wrong);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_request);
    }
}

TEST_CASE("a count is whole, not negative, and not beyond any use") {
    CHECK(*parse_count("--grace", "0") == 0);
    CHECK(*parse_count("--grace", "120") == 120);
    for (const char* wrong : {"", "-1", "1.5", "ten", "99999999999", "999999999999999999999"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_count("--grace", wrong));
    }
}

TEST_CASE("variables are split at the first equals sign, and the later of two counts") {
    const auto variables = parse_variables({"A=1", "B=x=y", "C=", "A=2"});
    REQUIRE(variables);
    CHECK(*variables == EnvironmentMap{{"A", "2"}, {"B", "x=y"}, {"C", ""}});
}

TEST_CASE(
    "a variable without a name or value, a reserved one, and one that is no UTF-8 are refused") {
    CHECK(parse_variables({"A"}).error().code == ErrorCode::invalid_request);
    CHECK(parse_variables({"=x"}).error().code == ErrorCode::invalid_request);
    CHECK(parse_variables({"PORT=80"}).error().code == ErrorCode::reserved_env_var);
    CHECK(parse_variables({"OK=1", "SESSION_BACKEND_KEY=k"}).error().code ==
          ErrorCode::reserved_env_var);
    CHECK(parse_variables({"A=\xff"}).error().message ==
          "The option --env is not valid UTF-8: 'A=\\xff', byte 3.");
}

TEST_CASE("a connection token may be given by itself or in its URL") {
    const std::string token = "-_" + std::string(41, 'a');
    for (const std::string& text :
         {token, "http://127.0.0.1:9090/" + token, "http://[::1]:9090/" + token + "/",
          "https://x/" + token + "/rest/" + token + "?a=b", "http://x/" + token + "?q",
          "http://x/" + token + "#f"}) {
        CAPTURE(text);
        CHECK(parse_connection_token("--token", text).value() == token);
    }
    for (const std::string& text :
         std::vector<std::string>{"", "-", token + "a", token.substr(1), "/" + token,
                                  "http://" + token, "http://x//" + token, "http://", "http://x/",
                                  "://" + token, "+" + token.substr(1), token.substr(1) + "\n"}) {
        CAPTURE(text);
        const auto refused = parse_connection_token("--token", text);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message ==
              "The option --token needs a connection URL, or the 43 characters of its token.");
    }
}
