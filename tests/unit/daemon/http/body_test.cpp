#include "daemon/http/body.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace jamsock {

namespace {

struct Outcome {
    std::string body;
    std::string rest;  // of the input, after the body
    bool is_done = false;
    bool is_malformed = false;
};

// Feeds `input` in steps of `step` bytes.
Outcome feed(BodyReader reader, const std::string& input, std::size_t step) {
    Outcome outcome;
    std::string pending;
    std::size_t given = 0;
    while (!reader.is_done() && !outcome.is_malformed) {
        const auto taken = reader.read(pending, outcome.body);
        pending.erase(0, taken.consumed);
        outcome.is_malformed = taken.is_malformed;
        if (taken.consumed > 0) continue;
        if (given == input.size()) break;
        pending += input.substr(given, step);
        given = std::min(given + step, input.size());
    }
    outcome.is_done = reader.is_done();
    outcome.rest = pending + input.substr(given);
    return outcome;
}

BodyReader of_request(const std::string& framing) {
    const std::string text = "POST / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n";
    return BodyReader(parse_request_head(text).value());
}

}  // namespace

TEST_CASE("a body of a length ends after that many bytes, however they come") {
    for (const std::size_t step : {1, 2, 64}) {
        const Outcome outcome = feed(of_request("Content-Length: 5"), "helloNEXT", step);
        CHECK(outcome.body == "hello");
        CHECK(outcome.is_done);
        CHECK(outcome.rest == "NEXT");
    }
}

TEST_CASE("a chunked body loses its framing and its trailers, however it comes") {
    const std::string input =
        "5;x=\"y\"\r\nhello\r\nA\r\n, world...\r\n0\r\nTrailer: x\r\n\r\nNEXT";
    for (const std::size_t step : {1, 2, 7, 64}) {
        const Outcome outcome = feed(of_request("Transfer-Encoding: chunked"), input, step);
        CHECK(outcome.body == "hello, world...");
        CHECK(outcome.is_done);
        CHECK(outcome.rest == "NEXT");
    }
}

TEST_CASE("broken chunks are malformed") {
    for (const std::string input :
         {"x\r\n", "5\nhello\r\n0\r\n\r\n", "-1\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
          "11111111111111111\r\n", "\r\n", " 5\r\nhello\r\n", "0x5\r\nhello\r\n\r\n",
          "5 5\r\nhello\r\n"}) {
        CAPTURE(input);
        CHECK(feed(of_request("Transfer-Encoding: chunked"), input, 64).is_malformed);
    }
}

TEST_CASE("a request without length or chunks has no body") {
    CHECK(of_request("A: b").is_done());
    CHECK(of_request("Content-Length: 0").is_done());
}

}  // namespace jamsock
