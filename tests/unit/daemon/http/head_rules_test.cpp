#include "daemon/http/head_rules.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace std::string_literals;

namespace jamsock {

namespace {

// A request head of these header lines, with a Host.
std::string head_with(const std::string& lines) {
    return "POST / HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
}

int status_of(const std::string& head) {
    const auto parsed = parse_request_head(head);
    return parsed ? 200 : parsed.error().status;
}

int status_of_response(const std::string& head) {
    ResponseHead parsed;
    const auto fault = parse_response_head(head, parsed);
    return fault ? -fault->status : parsed.status;
}

}  // namespace

TEST_CASE("a plain request's head is taken apart") {
    const std::string text =
        "GET /a/b?c=d HTTP/1.1\r\nHost: localhost:1\r\nX-Empty:\r\nX-Two: \t a b \t\r\n\r\n";
    const auto head = parse_request_head(text);
    REQUIRE(head.has_value());
    CHECK(head->text == text);
    CHECK(head->method == "GET");
    CHECK(head->target == "/a/b?c=d");
    CHECK(head->host == "localhost:1");
    CHECK_FALSE(head->is_http_1_0);
    CHECK_FALSE(head->has_body());
    CHECK(head->keep_alive);
    REQUIRE(head->fields.size() == 3);
    CHECK(head->fields[1].value == "");
    CHECK(head->fields[2].name == "X-Two");
    CHECK(head->fields[2].value == "a b");
}

TEST_CASE("request lines that must not pass are refused") {
    const std::vector<std::pair<std::string, int>> lines{
        {"GET / HTTP/1.1", 200},
        {"GET / HTTP/1.0", 200},
        {"PROPFIND /x HTTP/1.1", 200},
        {"GET /?r=}{|^`\"<> HTTP/1.1", 200},  // SDKs and people do send these
        {"GET /t\xC3\xB6 HTTP/1.1", 200},
        {"GET  / HTTP/1.1", 400},
        {"GET /  HTTP/1.1", 400},
        {" GET / HTTP/1.1", 400},
        {"GET / HTTP/1.1 ", 400},
        {"GET\t/ HTTP/1.1", 400},
        {"GET /a b HTTP/1.1", 400},
        {"GET /a\x01 HTTP/1.1", 400},
        {"GET /a\x7F HTTP/1.1", 400},
        {"GET /a#b HTTP/1.1", 400},
        {"GET /"s + '\0' + " HTTP/1.1", 400},
        {"G(T / HTTP/1.1", 400},
        {"GET /", 400},
        {"GET HTTP/1.1", 400},
        {"", 400},
        {"GET http://example.com/ HTTP/1.1", 400},
        {"GET https://localhost/ HTTP/1.1", 400},
        {"GET http:/localhost/ HTTP/1.1", 400},
        {"GET http:localhost/ HTTP/1.1", 400},
        {"GET localhost HTTP/1.1", 400},
        {"OPTIONS * HTTP/1.1", 400},
        {"CONNECT localhost:80 HTTP/1.1", 501},
        {"CONNECT / HTTP/1.1", 501},
        {"GET / HTTP/1.2", 505},
        {"GET / HTTP/2.0", 505},
        {"PRI * HTTP/2.0", 505},
        {"GET / HTTP/0.9", 505},
        {"GET / http/1.1", 400},
        {"GET / HTTP/1.10", 400},
        {"GET / HTTP/11", 400},
        {"GET / HTTP/1,1", 400},
        {"GET / XTTP/1.1", 400},
    };
    for (const auto& [line, status] : lines) {
        CAPTURE(line);
        CHECK(status_of(line + "\r\nHost: localhost\r\n\r\n") == status);
    }
}

TEST_CASE("an absolute target is a path on the Host, or refused") {
    const auto target_of = [](const std::string& target, const std::string& host) {
        const std::string text = "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
        const auto head = parse_request_head(text);
        return head ? std::string(head->target) : std::to_string(head.error().status);
    };
    CHECK(target_of("http://localhost/", "localhost") == "/");
    CHECK(target_of("http://localhost:9090/a/b?c=http://d/", "localhost:9090") ==
          "/a/b?c=http://d/");
    CHECK(target_of("HTTP://LocalHost:9090//x", "localhost:9090") == "//x");
    CHECK(target_of("http://[::1]:9090/x", "[::1]:9090") == "/x");
    for (const auto& [target, host] : std::vector<std::pair<std::string, std::string>>{
             {"http://localhost/", "localhost:9090"},
             {"http://localhost:9090/", "localhost"},
             {"http://127.0.0.1:9090/", "localhost:9090"},
             {"http://evil.example/", "localhost"},
             {"http://localhost.evil.example/", "localhost"},
             {"http://user@localhost/", "localhost"},
             {"http://localhost", "localhost"},
             {"http://localhost?q", "localhost"},
             {"http:///x", ""},
             {"http:///x", "localhost"},
             {"http://localhost/#x", "localhost"},
             {"https://localhost/", "localhost"},
             {"ftp://localhost/", "localhost"},
             {"localhost/", "localhost"},
             {"localhost:80", "localhost"},
             {"*", "localhost"}}) {
        CAPTURE(target);
        CAPTURE(host);
        CHECK(target_of(target, host) == "400");
    }
    CHECK(status_of("GET http://localhost/ HTTP/1.0\r\n\r\n") == 400);
    CHECK(status_of("GET http://localhost/ HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of("GET http://localhost/ HTTP/1.0\r\nHost: localhost\r\n\r\n") == 200);
}

TEST_CASE("header lines that must not pass are refused") {
    const std::vector<std::pair<std::string, int>> lines{
        {"A: b\r\n", 200},
        {"A:b\r\n", 200},
        {"A: \xFF\xFE\r\n", 200},
        {"!#$%&'*+-.^_`|~9: x\r\n", 200},
        {"A : b\r\n", 400},
        {": b\r\n", 400},
        {"A\r\n", 400},
        {"A(: b\r\n", 400},
        {"A\xC3\xB6: b\r\n", 400},
        {"A: b\r\n c\r\n", 400},
        {"A: b\r\n\tc\r\n", 400},
        {" A: b\r\n", 400},
        {"A: b\rC: d\r\n", 400},
        {"A: b\nC: d\r\n", 400},
        {"A: b\n\r\n", 400},
        {"A: \x01\r\n", 400},
        {"A: \x7F\r\n", 400},
        {"A: "s + '\0' + "\r\n", 400},
        {"\rA: b\r\n", 400},
    };
    for (const auto& [line, status] : lines) {
        CAPTURE(line);
        CHECK(status_of(head_with(line)) == status);
    }
}

TEST_CASE("a head whose body could be measured in two ways is refused") {
    const std::vector<std::pair<std::string, int>> lines{
        {"Content-Length: 0\r\n", 200},
        {"Content-Length: 9223372036854775807\r\n", 200},
        {"Content-Length: 007\r\n", 200},
        {"Transfer-Encoding: chunked\r\n", 200},
        {"transfer-encoding: CHUNKED\r\n", 200},
        {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400},
        {"Content-Length: 3\r\nContent-Length: 4\r\n", 400},
        {"Content-Length: 3\r\nContent-Length: 3\r\n", 400},
        {"Content-Length: 3, 3\r\n", 400},
        {"Content-Length: 3,\r\n", 400},
        {"Content-Length:\r\n", 400},
        {"Content-Length: +3\r\n", 400},
        {"Content-Length: -3\r\n", 400},
        {"Content-Length: 0x3\r\n", 400},
        {"Content-Length: 3 3\r\n", 400},
        {"Content-Length: 9223372036854775808\r\n", 400},
        {"Content-Length: 18446744073709551619\r\n", 400},
        {"Transfer-Encoding: xchunked\r\n", 400},
        {"Transfer-Encoding: identity\r\n", 400},
        {"Transfer-Encoding: chunked, identity\r\n", 400},
        {"Transfer-Encoding: gzip, chunked\r\n", 400},
        {"Transfer-Encoding: chunked, chunked\r\n", 400},
        {"Transfer-Encoding: \"chunked\"\r\n", 400},
        {"Transfer-Encoding: chunked;q=1\r\n", 400},
        {"Transfer-Encoding:\r\n", 400},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         400},
        {"Transfer-Encoding : chunked\r\n", 400},
        {"Transfer-Encoding\r\n : chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400},
        {"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", 400},
    };
    for (const auto& [line, status] : lines) {
        CAPTURE(line);
        CHECK(status_of(head_with(line)) == status);
    }
    CHECK(status_of("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(status_of("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\n") == 200);
}

TEST_CASE("a Host must be there exactly once") {
    CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\n\r\n") == 200);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n") == 400);
    for (const std::string host : {"a, b", "a/b", "user@a", "a b", "a\\b", "a?b", "a#b"}) {
        CAPTURE(host);
        CHECK(status_of("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n") == 400);
    }
}

TEST_CASE("a head is limited in fields and in bytes") {
    const auto with_fields = [](std::size_t count) {
        std::string lines;
        for (std::size_t i = 0; i < count; ++i)
            lines += "A: b\r\n";
        return head_with(lines);
    };
    CHECK(status_of(with_fields(most_fields - 1)) == 200);  // and the Host
    CHECK(status_of(with_fields(most_fields)) == 431);

    const std::size_t empty = head_with("A: \r\n").size();
    CHECK(status_of(head_with("A: " + std::string(longest_head - empty, 'x') + "\r\n")) == 200);
    CHECK(status_of(head_with("A: " + std::string(longest_head - empty + 1, 'x') + "\r\n")) == 431);
}

TEST_CASE("nothing may follow the empty line, and it must be there") {
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: a") == 400);
    CHECK(status_of("") == 400);
}

TEST_CASE("what a client says of its connection is understood") {
    const auto parsed = [](const std::string& version, const std::string& lines) {
        static std::string text;
        text = "GET / HTTP/" + version + "\r\nHost: a\r\n" + lines + "\r\n";
        return parse_request_head(text).value();
    };
    CHECK(parsed("1.1", "").keep_alive);
    CHECK_FALSE(parsed("1.1", "Connection: close\r\n").keep_alive);
    CHECK_FALSE(parsed("1.1", "Connection: keep-alive,CLOSE\r\n").keep_alive);
    CHECK_FALSE(parsed("1.1", "Connection: x\r\nConnection: close\r\n").keep_alive);
    CHECK(parsed("1.1", "Connection: closed\r\n").keep_alive);
    CHECK_FALSE(parsed("1.0", "").keep_alive);
    CHECK(parsed("1.0", "Connection: Keep-Alive\r\n").keep_alive);
    CHECK(parsed("1.1", "Expect: 100-Continue\r\n").expects_continue);
    CHECK_FALSE(parsed("1.0", "Expect: 100-continue\r\n").expects_continue);
}

TEST_CASE("an upgrade is wanted by who names it in Connection, says to what, and speaks HTTP/1.1") {
    const auto wanted = [](const std::string& lines, const std::string& version = "1.1") {
        const std::string text = "GET / HTTP/" + version + "\r\nHost: a\r\n" + lines + "\r\n";
        const RequestHead head = parse_request_head(text).value();
        CHECK(head.wants_upgrade == !head.upgrade.empty());
        return std::string(head.upgrade);
    };
    const std::string named = "Connection: keep-alive, Upgrade\r\n";
    CHECK(wanted(named + "Upgrade: websocket\r\n") == "websocket");
    CHECK(wanted("Upgrade: a/1, b\r\nConnection: x\r\nconnection: UPGRADE\r\n") == "a/1, b");
    CHECK(wanted(named) == "");
    CHECK(wanted(named + "Upgrade:\r\n") == "");
    CHECK(wanted(named + "Upgrade: ,\r\n") == "");
    CHECK(wanted("Upgrade: websocket\r\n") == "");
    CHECK(wanted("Connection: upgrades\r\nUpgrade: websocket\r\n") == "");
    CHECK(wanted(named + "Upgrade: websocket\r\n", "1.0") == "");
    CHECK(status_of(head_with("Upgrade: a\r\nUpgrade: b\r\n")) == 400);
    for (const std::string protocol :
         {"h2c", "H2C", "h2", "HTTP/2.0", "http/1.1", "websocket, h2c", "TLS/1.0", "tls"}) {
        CAPTURE(protocol);
        CHECK(wanted(named + "Upgrade: " + protocol + "\r\n") == "");
    }
}

TEST_CASE("a page's origin is read, and two are refused") {
    CHECK(parse_request_head(head_with("Origin: http://a\r\n")).value().origin == "http://a");
    CHECK(parse_request_head(head_with("")).value().origin.empty());
    CHECK(status_of(head_with("Origin: http://a\r\norigin: http://a\r\n")) == 400);
    CHECK(status_of(head_with("Origin:\r\nOrigin: http://a\r\n")) == 400);
}

TEST_CASE("fields that Connection names are told of, and are not endless") {
    const auto named = [](const std::string& value) {
        return parse_request_head(head_with("Connection: " + value + "\r\n"))
            .value()
            .names_hop_fields;
    };
    CHECK_FALSE(named("keep-alive, Close,, upgrade"));
    CHECK(named("keep-alive, X"));
    const auto with_names = [](std::size_t count) {
        std::string lines = "Connection: x";
        for (std::size_t i = 1; i < count; ++i)
            lines += ",x";
        return status_of(head_with(lines + "\r\n"));
    };
    CHECK(with_names(most_fields) == 200);
    CHECK(with_names(most_fields + 1) == 431);
}

TEST_CASE("a head that is used again forgets the last one") {
    RequestHead head;
    const std::string first =
        "POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, x\r\nOrigin: http://b\r\n"
        "Content-Length: 3\r\n\r\n";
    REQUIRE_FALSE(parse_request_head(first, head).has_value());
    CHECK(head.fields.size() == 4);
    const auto storage = head.fields.data();
    const std::string second = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    REQUIRE_FALSE(parse_request_head(second, head).has_value());
    CHECK(head.fields.data() == storage);
    CHECK(head.fields.size() == 1);
    CHECK(head.text == second);
    CHECK(head.host == "b");
    CHECK(head.origin.empty());
    CHECK_FALSE(head.is_http_1_0);
    CHECK_FALSE(head.has_body());
    CHECK_FALSE(head.names_hop_fields);

    ResponseHead response;
    const std::string answer = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK(parse_response_head(answer, response).has_value());
    CHECK_FALSE(parse_response_head("HTTP/1.1 204 None\r\n\r\n", response).has_value());
    CHECK_FALSE(response.is_chunked);
    CHECK(response.status == 204);
}

TEST_CASE("a field knows how its line is written") {
    const std::string text = "A: b\r\nB_b:c\r\nContent-LENGTH:  3\r\nTE: x \r\nEmpty: \r\n\r\n";
    std::vector<Field> fields;
    REQUIRE_FALSE(parse_fields(text, fields).has_value());
    REQUIRE(fields.size() == 5);
    CHECK(fields[0].is_plain);
    CHECK_FALSE(fields[0].is_odd);
    CHECK_FALSE(fields[1].is_plain);
    CHECK(fields[1].is_odd);
    CHECK(fields[2].known == FieldName::content_length);
    CHECK_FALSE(fields[2].is_plain);
    CHECK(fields[3].known == FieldName::te);
    CHECK_FALSE(fields[3].is_plain);
    CHECK(fields[4].value.empty());
}

TEST_CASE("a head is ready at its empty line, or at a line end it may not have") {
    CHECK(head_size("") == std::nullopt);
    CHECK(head_size("GET / HTTP/1.1\r\nHost: a\r\n") == std::nullopt);
    CHECK(head_size("GET / HTTP/1.1\r\n\r\nrest") == 18);
    CHECK(head_size("GET / HTTP/1.1\n") == 15);
    CHECK(head_size("GET / HTTP/1.1\r\nA: b\n\r\n") == 21);

    const std::string_view whole = "A\r\nB\r\n\r\n";
    for (std::size_t seen = 0; seen < whole.size(); ++seen) {
        CAPTURE(seen);
        CHECK(head_size(whole.substr(0, seen)) == std::nullopt);
        CHECK(head_size(whole, seen) == whole.size());
    }
}

TEST_CASE("a response's head is taken apart as strictly") {
    const std::string text = "HTTP/1.1 404 Not  Found\r\nContent-Length: 3\r\nA: b\r\n\r\n";
    ResponseHead head;
    REQUIRE_FALSE(parse_response_head(text, head).has_value());
    CHECK(head.status == 404);
    CHECK(head.reason == "Not  Found");
    CHECK(head.content_length == 3);
    CHECK(head.fields.size() == 2);
    CHECK(head.keep_alive);
    CHECK_FALSE(head.is_http_1_0);

    CHECK(status_of_response("HTTP/1.1 200\r\n\r\n") == 200);
    CHECK(status_of_response("HTTP/1.0 200 \r\n\r\n") == 200);
    for (const std::string line : {"HTTP/1.1 2000 OK", "HTTP/1.1 20 OK", "HTTP/1.1 099 OK",
                                   "HTTP/1.1 600 OK", "HTTP/1.1  200 OK", "HTTP/1.1200 OK",
                                   "200 OK", "", "HTTP/1.1 2x0 OK", "HTTP/1.1 200 \x01"}) {
        CAPTURE(line);
        CHECK(status_of_response(std::string(line) + "\r\n\r\n") == -400);
    }
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    CHECK(status_of_response(ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n") == -400);
    CHECK(status_of_response(ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          -400);
    CHECK(status_of_response(ok + "Transfer-Encoding: chunked, identity\r\n\r\n") == -400);
    CHECK(status_of_response(ok + "A: b\r\n c\r\n\r\n") == -400);
    CHECK(status_of_response(ok + "A: b\nB: c\r\n\r\n") == -400);
}

TEST_CASE("only names of the loopback are this machine's Hosts, if no others are set") {
    for (const std::string host :
         {"localhost", "LocalHost", "localhost:8080", "a.localhost", "a.b.LOCALHOST:1", "127.0.0.1",
          "127.0.0.1:9090", "[::1]", "[::1]:9090", "localhost:"}) {
        CAPTURE(host);
        CHECK(is_own_host(host, {}));
    }
    for (const std::string host :
         {"", "example.com", "localhost.example.com", "xlocalhost", ".localhost", "127.0.0.2",
          "127.0.0.1.example.com", "::1", "[::1", "[::2]", "localhost:80x", "localhost:80:80",
          "0.0.0.0", "localhost."}) {
        CAPTURE(host);
        CHECK_FALSE(is_own_host(host, {}));
    }
}

TEST_CASE("a name that is set is a Host of this machine's, too, with any port and in any case") {
    const std::vector<std::string> names{"devbox", "notes.example.org"};
    for (const std::string host :
         {"devbox", "DevBox", "devbox:8080", "devbox:", "notes.example.org:1", "localhost"}) {
        CAPTURE(host);
        CHECK(is_own_host(host, names));
    }
    for (const std::string host : {"", ":8080", "a.devbox", "devbox.", "devbox.example.org",
                                   "example.org", "xdevbox", "devbox:80x", "devbox:80:80"}) {
        CAPTURE(host);
        CHECK_FALSE(is_own_host(host, names));
    }
}

TEST_CASE("a host name has labels of letters, digits and dashes between its dots") {
    const std::string longest_label(63, 'a');
    const std::string fits =
        std::string(61, 'a') + '.' + longest_label + '.' + longest_label + '.' + longest_label;
    REQUIRE(fits.size() == 253);
    for (const std::string& name : std::vector<std::string>{
             "devbox", "DEV-box2", "notes.example.org", "192.168.1.5", "1", longest_label, fits}) {
        CAPTURE(name);
        CHECK(is_host_name(name));
    }
    for (const std::string& name : std::vector<std::string>{
             "", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a_b", "a b", "devbox:8080",
             "*.devbox", "http://devbox", "[::1]", "d\xC3\xB6", longest_label + 'a', 'a' + fits}) {
        CAPTURE(name);
        CHECK_FALSE(is_host_name(name));
    }
}

TEST_CASE("what a backend says of its connection is understood") {
    const auto parsed = [](const std::string& text) {
        ResponseHead head;
        REQUIRE_FALSE(parse_response_head(text, head).has_value());
        return head;
    };
    CHECK(parsed("HTTP/1.1 200 OK\r\n\r\n").keep_alive);
    CHECK_FALSE(parsed("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n").keep_alive);
    CHECK_FALSE(parsed("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
    CHECK(parsed("HTTP/1.0 200 OK\r\n\r\n").is_http_1_0);
    CHECK(parsed("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    CHECK(parsed("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n").upgrade == "websocket");
}

TEST_CASE("a page's own origin has the Host's name and port") {
    for (const auto& [origin, host] : std::vector<std::pair<std::string, std::string>>{
             {"http://localhost:9090", "localhost:9090"},
             {"HTTP://LocalHost:9090", "localhost:9090"},
             {"http://localhost", "localhost"},
             {"http://localhost", "localhost:80"},
             {"http://localhost:80", "localhost"},
             {"https://localhost", "localhost"},
             {"https://localhost", "localhost:443"},
             {"http://[::1]:9090", "[::1]:9090"},
             {"http://[::1]", "[::1]:80"}}) {
        CAPTURE(origin);
        CAPTURE(host);
        CHECK(is_own_origin(origin, host));
    }
    for (const auto& [origin, host] : std::vector<std::pair<std::string, std::string>>{
             {"null", "null"},
             {"", "localhost"},
             {"http://", ""},
             {"http://localhost:9091", "localhost:9090"},
             {"http://localhost", "localhost:9090"},
             {"http://localhost:9090", "localhost"},
             {"https://localhost", "localhost:80"},
             {"http://localhost", "localhost:443"},
             {"http://127.0.0.1:9090", "localhost:9090"},
             {"http://a.localhost:9090", "localhost:9090"},
             {"http://evil.example", "localhost:9090"},
             {"http://localhost:9090.evil.example", "localhost:9090"},
             {"http://localhost:9090/", "localhost:9090"},
             {"http://user@localhost:9090", "localhost:9090"},
             {"http://localhost:9090 http://x", "localhost:9090"},
             {"ftp://localhost:9090", "localhost:9090"},
             {"file://localhost", "localhost"},
             {"//localhost:9090", "localhost:9090"},
             {"localhost:9090", "localhost:9090"},
             {"http://[::1]:9090", "[::1]"}}) {
        CAPTURE(origin);
        CAPTURE(host);
        CHECK_FALSE(is_own_origin(origin, host));
    }
}

}  // namespace jamsock
