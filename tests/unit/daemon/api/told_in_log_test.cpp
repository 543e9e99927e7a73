#include "daemon/api/told_in_log.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

const std::string token = "aB3-_aB3-_aB3-_aB3-_aB3-_aB3-_aB3-_aB3-_aB3";  // 43 characters

std::string told(ErrorCode code, const std::string& message) {
    return told_in_log({code, message, "jamsock list", {}});
}

}  // namespace

TEST_CASE("the log has an error's name and sentence") {
    CHECK(told(ErrorCode::key_held, "The key 'a-b_c.d' is held.") ==
          "KeyHeld: The key 'a-b_c.d' is held.");
    CHECK(told(ErrorCode::internal, "") == "Internal: ");
    Error error{ErrorCode::internal, "It can't be written.", {}, {}};
    error.cause = "record_status: disk I/O error";
    CHECK(told_in_log(error) == "Internal: It can't be written. (record_status: disk I/O error)");
}

TEST_CASE("the log has no path that nothing answers, and nothing as long as a token") {
    CHECK(told(ErrorCode::route_not_found, "The API has no path '/ready/a/%41B'.") == "NotFound");
    CHECK(told(ErrorCode::method_not_allowed, "'/ready/a/b/' does not take 'POST'.") ==
          "MethodNotAllowed");
    CHECK(told(ErrorCode::invalid_request, "'" + token + "' is no backend id.") ==
          "InvalidRequest: '…' is no backend id.");
    CHECK(told(ErrorCode::invalid_request, "local." + token) == "InvalidRequest: local.…");
    CHECK(told(ErrorCode::invalid_request, token.substr(1)) ==
          "InvalidRequest: " + token.substr(1));
}
