#include "daemon/api/short_body.h"

#include <doctest/doctest.h>

using namespace jamsock;

namespace {

// As JavaScript has it: what `text.length` is of this text.
std::size_t utf16_units(std::string_view text) {
    std::size_t units = 0;
    for (const char byte : text) {
        const auto value = static_cast<unsigned char>(byte);
        if ((value & 0xc0) != 0x80) units += value >= 0xf0 ? 2 : 1;
    }
    return units;
}

Request request_of(std::string body, std::size_t declared,
                   std::string agent = "jamsocket-cli/0.10.7 linux-x64 node-v20.1.0") {
    return {
        .method = "POST",
        .headers = {{"User-Agent", std::move(agent)}, {"Content-Length", std::to_string(declared)}},
        .body = std::move(body)};
}

// What is taken of all that was sent, if the rule asks for more until it is content.
std::string taken(const std::string& sent, std::size_t declared) {
    Request request = request_of(sent.substr(0, declared), declared);
    while (const std::size_t missing = missing_bytes(request)) {
        const std::size_t size = request.body.size();
        REQUIRE(size < sent.size());
        request.body += sent.substr(size, missing);
    }
    return request.body;
}

}  // namespace

TEST_CASE("a body whose length was counted in UTF-16 units is taken whole, and no byte more") {
    std::string four_bytes;
    for (int i = 0; i < 128; ++i)
        four_bytes += "\U0001F600";
    for (const std::string& key :
         {std::string("ascii"), std::string("döc-é"), std::string("€"), std::string("ö€😀"),
          std::string("a😀b"), std::string("é"), four_bytes}) {
        const std::string body = R"({"key":")" + key + "\"}";
        CAPTURE(body);
        CHECK(taken(body, utf16_units(body)) == body);
        CHECK(taken(body + "POST /next HTTP/1.1", utf16_units(body)) == body);
    }
}

TEST_CASE("a body that is whole as declared lacks nothing") {
    for (const char* body : {"{}", R"({"key":"doc"})", R"({"key":"döc"})", "[1]", "7"}) {
        const std::string text(body);
        CHECK(missing_bytes(request_of(text, text.size())) == 0);
    }
}

TEST_CASE("others are taken at their word") {
    const std::string cut = R"({"key":"é)";
    CHECK(missing_bytes(request_of(cut, cut.size())) == 1);
    for (const char* agent :
         {"", "curl/8", "jamsocket-cli", "Jamsocket-cli/1", "x jamsocket-cli/1"})
        CHECK(missing_bytes(request_of(cut, cut.size(), agent)) == 0);
    Request nameless = request_of(cut, cut.size());
    nameless.headers.erase(nameless.headers.begin());
    CHECK(missing_bytes(nameless) == 0);
    Request chunked = request_of(cut, cut.size());
    chunked.headers.pop_back();
    CHECK(missing_bytes(chunked) == 0);
}

TEST_CASE("ASCII that is no whole JSON lacks nothing: its length can't have been counted wrongly") {
    for (const char* body : {"{", "x", R"({"key":"doc")", ""}) {
        const std::string text(body);
        CHECK(missing_bytes(request_of(text, text.size())) == 0);
    }
}

TEST_CASE("what is missing is counted from the characters, and the last one's bytes") {
    CHECK(missing_of_utf16_length("", 0) == 0);
    CHECK(missing_of_utf16_length("abc", 3) == 0);
    CHECK(missing_of_utf16_length("a", 3) == 2);
    CHECK(missing_of_utf16_length("\xc3", 1) == 1);
    CHECK(missing_of_utf16_length("\xc3\xa9", 2) == 1);
    CHECK(missing_of_utf16_length("\xe2", 1) == 2);
    CHECK(missing_of_utf16_length("\xe2\x82\xac", 1) == 0);
    CHECK(missing_of_utf16_length("\xf0\x9f", 2) == 2);
    CHECK(missing_of_utf16_length("\xf0\x9f\x98\x80", 2) == 0);
    CHECK(missing_of_utf16_length("\xf0\x9f\x98\x80", 4) == 2);
}

TEST_CASE("what can't be the beginning of such a text lacks nothing") {
    for (const char* body : {"\x80", "a\x80", "\xc3z", "\xc0\x80", "\xff", "\xf5\x80\x80\x80",
                             "\xe2\x82z", "\xf0\x9f\x98\x80\x80"}) {
        CHECK(missing_of_utf16_length(body, 100) == 0);
    }
    CHECK(missing_of_utf16_length("\xf0", 1) == 0);
    CHECK(missing_of_utf16_length("abc", 2) == 0);
}
