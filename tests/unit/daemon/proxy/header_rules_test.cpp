#include "daemon/proxy/header_rules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

using namespace std::string_literals;

namespace jamsock {

namespace {

const std::string token(43, 't');

VerifiedFields verified() {
    return {.user = "ada",
            .auth = R"({"role":"editor"})",
            .path = "/TOKEN/a",
            .backend_id = "knrv5",
            .secret = "SECRET",
            .client_address = "127.0.0.1"};
}

constexpr std::string_view verified_lines =
    "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-verified-username: ada\r\n"
    "x-verified-user-data: {\"role\":\"editor\"}\r\nx-verified-path: /TOKEN/a\r\n"
    "x-verified-backend: knrv5\r\nx-verified-secret: SECRET\r\n";

std::string to_backend(const std::string& lines, const VerifiedFields& fields = verified()) {
    const std::string text = "POST /x HTTP/1.1\r\nHost: localhost:9\r\n" + lines + "\r\n";
    std::string out;
    append_backend_request_head(out, parse_request_head(text).value(), "/a?b=%7e", fields);
    return out;
}

// The whole head that goes to the backend if `kept` is all that is left of the client's lines.
std::string expected(const std::string& kept, const std::string& framing = "") {
    return "POST /a?b=%7e HTTP/1.1\r\nHost: localhost:9\r\n" + kept + std::string(verified_lines) +
           framing + "\r\n";
}

std::string to_client(const std::string& lines, Framing framing, bool keep_alive = true) {
    const std::string text = "HTTP/1.1 " + lines + "\r\n";
    ResponseHead head;
    REQUIRE_FALSE(parse_response_head(text, head).has_value());
    std::string out;
    append_client_response_head(out, head, framing, keep_alive, "knrv5");
    return out;
}

constexpr std::string_view cors_lines =
    "access-control-allow-origin: *\r\naccess-control-allow-methods: *\r\n"
    "access-control-allow-headers: *, Authorization\r\n";

}  // namespace

TEST_CASE("a target is split behind its token, byte for byte") {
    const auto forwarded = [](const std::string& rest) {
        const std::string target = "/" + token + rest;
        const auto split = split_target(target);
        REQUIRE(split.has_value());
        CHECK(split->token == token);
        const std::string text = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        std::string head;
        append_backend_request_head(head, parse_request_head(text).value(), split->rest,
                                    verified());
        const std::string line = head.substr(0, head.find(" HTTP/1.1\r\n"));
        CHECK(line.starts_with("GET "));
        return line.substr(4) + " " + std::string(split->path.substr(token.size() + 1));
    };
    CHECK(forwarded("") == "/ ");
    CHECK(forwarded("/") == "/ /");
    CHECK(forwarded("?") == "/? ");
    CHECK(forwarded("?q=1") == "/?q=1 ");
    CHECK(forwarded("/a/../b//%2F%zz?x=/y?z") == "/a/../b//%2F%zz?x=/y?z /a/../b//%2F%zz");
}

TEST_CASE("a target without a token is none") {
    for (const std::string& target :
         {"/"s, "/?q"s, "/index.html"s, "//" + token, "/" + token + "x", "/" + token.substr(1),
          "/" + token.substr(1) + "=", "/" + token.substr(1) + "%", "/" + token.substr(1) + "/a"}) {
        CAPTURE(target);
        CHECK_FALSE(split_target(target).has_value());
    }
}

TEST_CASE("what the client's own end of the connection says is not passed on") {
    CHECK(to_backend("A: b\r\nAccept: */*\r\nCookie: x=y\r\nCookie: z\r\n") ==
          expected("A: b\r\nAccept: */*\r\nCookie: x=y\r\nCookie: z\r\n"));
    CHECK(
        to_backend("Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nx-hop: 2\r\nX_Hop: 3\r\n"
                   "Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
                   "Proxy-Connection: close\r\nProxy-Authorization: x\r\nProxy-Authenticate: y\r\n"
                   "Expect: 100-continue\r\nKept: 1\r\n") == expected("Kept: 1\r\n"));
    CHECK(to_backend("Content.Length: 9\r\nTransfer+Encoding: chunked\r\nx_y: 1\r\n") ==
          expected("x_y: 1\r\n"));
    CHECK(to_backend("Connection: a\r\nA: 1\r\nConnection: ,b,,\r\nB: 2\r\nC: 3\r\n") ==
          expected("C: 3\r\n"));
}

TEST_CASE("a client can't name a verified or forwarded field of its own in any spelling") {
    for (const std::string name :
         {"x-verified-username", "X-VERIFIED-USERNAME", "X_Verified_Username", "x-verified_path",
          "x_verified-user_data", "x-verified-", "X-Verified-Anything", "x-verified-secret",
          "X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Proto", "x_forwarded_proto",
          "x.verified.username", "X!Verified~Path", "x^forwarded|for"}) {
        CAPTURE(name);
        CHECK(to_backend(name + ": root\r\n") == expected(""));
    }
    CHECK(to_backend("x-verifie: 1\r\nax-verified-b: 2\r\n") ==
          expected("x-verifie: 1\r\nax-verified-b: 2\r\n"));
}

TEST_CASE("naming a field of ours in Connection does not remove it") {
    CHECK(to_backend(
              "Connection: x-verified-username, x-verified-secret, host, x-forwarded-for\r\n") ==
          expected(""));
}

TEST_CASE("the framing to the backend is the proxy's") {
    CHECK(to_backend("Content-Length: 007\r\n") == expected("", "Content-Length: 7\r\n"));
    CHECK(to_backend("Content-Length: 0\r\n") == expected("", "Content-Length: 0\r\n"));
    CHECK(to_backend("Transfer-Encoding: CHUNKED\r\n") ==
          expected("", "Transfer-Encoding: chunked\r\n"));
    CHECK(to_backend("Content_Length: 9\r\nTransfer_Encoding: chunked\r\n") == expected(""));
}

TEST_CASE("a nameless user has no name, and no data is an empty object") {
    VerifiedFields nobody = verified();
    nobody.user.reset();
    nobody.auth.reset();
    const std::string head = to_backend("", nobody);
    CHECK(head.find("x-verified-username") == std::string::npos);
    CHECK(head.find("x-verified-user-data: {}\r\n") != std::string::npos);
}

TEST_CASE("a field carries any text but controls, and blanks at its edges") {
    for (const char* text : {"", "a", "a b", "jos\u00e9", "{}"})
        CHECK(is_exact_as_value(text));
    for (const char* text : {" ", " a", "a ", "  ", "\ta", "a\t", "a\nb", "\x7f"})
        CHECK_FALSE(is_exact_as_value(text));
}

TEST_CASE("a value that would end its line, or be read as another, is never written") {
    for (const std::string& evil :
         {" root"s, "root "s, " "s, "a\r\nx-verified-secret: b"s, "a\nb"s, "a\rb"s, "a\0b"s}) {
        VerifiedFields fields = verified();
        fields.user = evil;
        CHECK(to_backend("", fields).find("x-verified-username") == std::string::npos);
    }
}

TEST_CASE("a response keeps what is end to end and says which backend it is from") {
    CHECK(to_client("404 No Such Thing\r\nContent-Length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                    "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTrailer: T\r\n"
                    "X-Jamsock-Backend-Id: forged\r\n",
                    Framing::length) ==
          "HTTP/1.1 404 No Such Thing\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
          "x-jamsock-backend-id: knrv5\r\n" +
              std::string(cors_lines) + "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("CORS is open unless the backend says anything about it") {
    for (const std::string name : {"Access-Control-Allow-Origin", "access-control-allow-methods",
                                   "ACCESS-CONTROL-ALLOW-HEADERS"}) {
        CAPTURE(name);
        const std::string head = to_client("200 OK\r\n" + name + ": mine\r\n", Framing::chunked);
        CHECK(head == "HTTP/1.1 200 OK\r\n" + name +
                          ": mine\r\nx-jamsock-backend-id: knrv5\r\n"
                          "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
    }
    CHECK(to_client("200 OK\r\nAccess-Control-Max-Age: 1\r\n", Framing::chunked).find(cors_lines) !=
          std::string::npos);
}

TEST_CASE("the framing to the client is the proxy's") {
    const auto end_of = [](const std::string& head) {
        return head.substr(head.find(cors_lines) + cors_lines.size());
    };
    CHECK(end_of(to_client("200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::chunked)) ==
          "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
    CHECK(end_of(to_client("200 OK\r\n", Framing::until_close)) == "Connection: close\r\n\r\n");
    CHECK(end_of(to_client("200 OK\r\nContent-Length: 5\r\n", Framing::none)) ==
          "Content-Length: 5\r\nConnection: keep-alive\r\n\r\n");
    CHECK(end_of(to_client("204 No Content\r\nContent-Length: 0\r\n", Framing::length)) ==
          "Connection: keep-alive\r\n\r\n");
    CHECK(end_of(to_client("200 OK\r\nContent-Length: 5\r\n", Framing::length, false)) ==
          "Content-Length: 5\r\nConnection: close\r\n\r\n");
}

TEST_CASE(
    "a client who waits for the backend's word before its body has the backend asked for it") {
    const std::string expect = "Expect: 100-continue\r\n";
    CHECK(to_backend(expect + "Content-Length: 3\r\n") ==
          expected("", expect + "Content-Length: 3\r\n"));
    CHECK(to_backend("Transfer-Encoding: chunked\r\nexpect: 100-Continue\r\n") ==
          expected("", expect + "Transfer-Encoding: chunked\r\n"));
    CHECK(to_backend(expect + "Content-Length: 0\r\n") == expected("", "Content-Length: 0\r\n"));
    CHECK(to_backend("Expect: more\r\nContent-Length: 3\r\n") ==
          expected("", "Content-Length: 3\r\n"));
}

TEST_CASE("an upgrade is asked for in the proxy's own words, or not at all") {
    const std::string asked = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    CHECK(to_backend("Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Key: k\r\n") == expected("Sec-WebSocket-Key: k\r\n", asked));
    CHECK(to_backend("Connection: upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\n") ==
          expected("", asked));
    CHECK(to_backend("Upgrade: websocket\r\n") == expected(""));
    CHECK(to_backend("Connection: Upgrade\r\n") == expected(""));
    CHECK(to_backend("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     "HTTP2-Settings: x\r\n") == expected(""));
}

TEST_CASE("trailers are announced where chunks carry them") {
    CHECK(to_backend("Trailer: A\r\nTransfer-Encoding: chunked\r\nTrailer:B\r\n") ==
          expected("", "Transfer-Encoding: chunked\r\nTrailer: A\r\nTrailer: B\r\n"));
    CHECK(to_backend("Trailer: A\r\nContent-Length: 1\r\n") ==
          expected("", "Content-Length: 1\r\n"));
    CHECK(to_client("200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n", Framing::chunked)
              .ends_with("Transfer-Encoding: chunked\r\nTrailer: A\r\nConnection: keep-alive\r\n"
                         "\r\n"));
    CHECK(to_client("200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n", Framing::until_close)
              .find("Trailer") == std::string::npos);
}

TEST_CASE("lines that are not as the proxy writes them are written anew") {
    CHECK(to_backend("A:b\r\nB: c\r\nC:  d\r\nD: e \r\nE: f\r\nF:\t g\t\r\nG:\r\nH: i\r\n") ==
          expected("A: b\r\nB: c\r\nC: d\r\nD: e\r\nE: f\r\nF: g\r\nG: \r\nH: i\r\n"));
}

TEST_CASE("an interim response passes without framing, connection or CORS") {
    const std::string id = "x-jamsock-backend-id: knrv5\r\n";
    CHECK(to_client("103 Early Hints\r\nLink: x\r\nConnection: close\r\nContent-Length: 3\r\n",
                    Framing::none) == "HTTP/1.1 103 Early Hints\r\nLink: x\r\n" + id + "\r\n");
    CHECK(to_client("100 Continue\r\n", Framing::none) ==
          "HTTP/1.1 100 Continue\r\n" + id + "\r\n");
}

TEST_CASE("a switch of protocols passes with the backend's protocol") {
    CHECK(
        to_client("101 Switching Protocols\r\nupgrade: websocket\r\nConnection: upgrade, X-Hop\r\n"
                  "X-Hop: 1\r\nSec-WebSocket-Accept: a\r\nContent-Length: 0\r\n",
                  Framing::none) ==
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: a\r\n"
        "x-jamsock-backend-id: knrv5\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST_CASE("of the trailers, those pass that frame, route and identify nothing") {
    const auto passed = [](const std::string& lines) {
        const std::string text = lines + "\r\n";
        std::vector<Field> fields;
        REQUIRE_FALSE(parse_fields(text, fields).has_value());
        std::string out;
        append_trailers(out, fields);
        return out;
    };
    CHECK(passed("") == "");
    CHECK(passed("Server-Timing: a\r\nGrpc-Status:0\r\nETag: \"x\"\r\nDigest: y\r\n") ==
          "Server-Timing: a\r\nGrpc-Status: 0\r\nETag: \"x\"\r\nDigest: y\r\n");
    for (const std::string name : {"Content-Length",
                                   "content_length",
                                   "Transfer-Encoding",
                                   "TRANSFER_ENCODING",
                                   "Host",
                                   "Connection",
                                   "Keep-Alive",
                                   "TE",
                                   "Trailer",
                                   "Upgrade",
                                   "Expect",
                                   "Proxy-Connection",
                                   "Proxy-Authorization",
                                   "Authorization",
                                   "WWW-Authenticate",
                                   "Cookie",
                                   "Set-Cookie",
                                   "Set_Cookie",
                                   "Content-Type",
                                   "Content-Encoding",
                                   "Content-Range",
                                   "Cache-Control",
                                   "If-Match",
                                   "Range",
                                   "Location",
                                   "Date",
                                   "Vary",
                                   "Origin",
                                   "Forwarded",
                                   "X-Forwarded-For",
                                   "x_forwarded_host",
                                   "x-verified-username",
                                   "X_Verified_Secret",
                                   "x-jamsock-backend-id",
                                   "X_Jamsock_Backend_Id",
                                   "Access-Control-Allow-Origin",
                                   "Sec-WebSocket-Key"}) {
        CAPTURE(name);
        CHECK(passed("A: b\r\n" + name + ": x\r\nC: d\r\n") == "A: b\r\nC: d\r\n");
    }
}

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// How the most careless backend could read a head: lines end at any CR or LF, blanks and control
// characters around a name are nothing, and it is one to it whether a name has dashes or
// underscores.
Fields careless_fields(const std::string& head) {
    const auto stripped = [](std::string text) {
        const auto is_nothing = [](char c) { return static_cast<unsigned char>(c) <= 0x20; };
        while (!text.empty() && is_nothing(text.front()))
            text.erase(0, 1);
        while (!text.empty() && is_nothing(text.back()))
            text.pop_back();
        return text;
    };
    Fields fields;
    std::size_t begin = std::min(head.find_first_of("\r\n"), head.size());
    while (begin < head.size()) {
        const std::size_t end = std::min(head.find_first_of("\r\n", begin + 1), head.size());
        const std::string line = head.substr(begin + 1, end - begin - 1);
        const std::size_t colon = std::min(line.find(':'), line.size());
        std::string name = stripped(line.substr(0, colon));
        for (char& c : name)
            c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (!name.empty()) {
            fields.emplace_back(name, stripped(line.substr(std::min(colon + 1, line.size()))));
        }
        begin = end;
    }
    return fields;
}

// `name`: of a field, or of all that begin so if it ends with a dash.
std::vector<std::string> values_of(const Fields& fields, std::string_view name) {
    std::vector<std::string> values;
    for (const Fields::value_type& field : fields) {
        const bool is_it =
            name.ends_with('-') ? field.first.starts_with(name) : field.first == name;
        if (is_it) values.push_back(field.second);
    }
    return values;
}

// Whether a head that is refused or passes on passes on with one meaning: for us and for whoever
// reads it behind us.
bool keeps_its_meaning(const std::string& text) {
    RequestHead head;
    if (parse_request_head(text, head)) return true;
    std::string out;
    append_backend_request_head(out, head, head.target, verified());
    RequestHead again;
    if (parse_request_head(out, again)) return false;
    const Fields fields = careless_fields(out);
    std::vector<std::string> lengths;
    if (head.content_length) lengths.push_back(std::to_string(*head.content_length));
    const std::vector<std::string> codings(head.is_chunked ? 1 : 0, "chunked");
    return again.method == head.method && again.target == head.target && again.host == head.host &&
           again.content_length == head.content_length && again.is_chunked == head.is_chunked &&
           again.wants_upgrade == head.wants_upgrade && again.upgrade == head.upgrade &&
           again.keep_alive && values_of(fields, "content-length") == lengths &&
           values_of(fields, "transfer-encoding") == codings &&
           values_of(fields, "host") == std::vector{std::string(head.host)} &&
           values_of(fields, "x-verified-").size() == 5 &&
           values_of(fields, "x-forwarded-").size() == 2;
}

// Every one that could end or part something, and of the letters, the digits and what is beyond
// ASCII, which are alike, a few.
const std::string telling_bytes = [] {
    std::string bytes = "05AHxz\x80\xFF";
    for (char c = 0; c < 0x7F; ++c) {
        if (!std::isalnum(static_cast<unsigned char>(c))) bytes += c;
    }
    return bytes + '\x7F';
}();

const std::vector<std::string> sound_heads{
    "POST /a?b HTTP/1.1\r\nHost: a:1\r\nX-B: c\r\nContent-Length: 12\r\nA_b:d \r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX: y\r\nTransfer-Encoding: "
    "chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\nConnection: Upgrade\r\nUpgrade: b\r\nx-verified-user: d\r\n\r\n",
};

}  // namespace

TEST_CASE("a head with any byte put in, anywhere, is refused or passes on with one meaning") {
    for (const std::string& sound : sound_heads) {
        REQUIRE(parse_request_head(sound).has_value());
        REQUIRE(keeps_its_meaning(sound));
        for (std::size_t at = 0; at <= sound.size(); ++at) {
            for (const char byte : telling_bytes) {
                std::string changed = sound;
                changed.insert(at, 1, byte);
                CAPTURE(changed);
                REQUIRE(keeps_its_meaning(changed));
            }
        }
    }
}

TEST_CASE("a head with any byte changed or left out is refused or passes on with one meaning") {
    for (const std::string& sound : sound_heads) {
        for (std::size_t at = 0; at < sound.size(); ++at) {
            std::string shorter = sound;
            shorter.erase(at, 1);
            CAPTURE(shorter);
            REQUIRE(keeps_its_meaning(shorter));
            for (const char byte : telling_bytes) {
                std::string changed = sound;
                changed[at] = byte;
                CAPTURE(changed);
                REQUIRE(keeps_its_meaning(changed));
            }
        }
    }
}

TEST_CASE("the token of a head that is not whole is in its request line, or nowhere") {
    const std::string token(43, 'A');
    for (const std::string& head :
         {"GET /" + token + " HTTP/1.1\r\nX: y", "GET /" + token + "/",
          "GET /" + token + "?q=" + std::string(3000, 'q'), "POST /" + token + "/a/b HTTP/1.1\r\n",
          "GET http://localhost:9090/" + token + "/x HTTP/1.1\r\n", "GET HTTP://h/" + token}) {
        CAPTURE(head);
        CHECK(token_in_beginning(head) == token);
    }
    for (const std::string& head :
         {std::string(), std::string("GET"), std::string("GET "), std::string("GET /"),
          std::string(3000, 'x'), "GET /" + token + "A/", "GET /a/" + token + "/",
          "GET " + token + "/", "GET * HTTP/1.1\r\n/" + token + "/", std::string("GET http://host"),
          std::string("GET http://"), "GET  /" + token + "/", "\n /" + token.substr(1) + "/"}) {
        CAPTURE(head);
        CHECK_FALSE(token_in_beginning(head));
    }
}

}  // namespace jamsock
