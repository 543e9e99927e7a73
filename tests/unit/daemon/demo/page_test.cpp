#include "daemon/demo/page.h"

#include <doctest/doctest.h>

using namespace jamsock::demo;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string page_of(const std::string& key) {
    return page({key, "knrv5", "17"}, {3, std::chrono::seconds(9)}, "n0nce");
}

}  // namespace

TEST_CASE("the page has the facts in it, before any script runs") {
    const std::string html = page_of("document-123");
    CHECK(contains(html, "<title>document-123 · jamsock</title>"));
    CHECK(contains(html, "<dt>backend</dt><dd id=\"backend\">knrv5</dd>"));
    CHECK(contains(html, "<dt>fencing token</dt><dd id=\"fencing-token\">17</dd>"));
    CHECK(contains(html, ">9 s</dd>"));
    CHECK(contains(html, "<dd id=\"looking\">3</dd>"));
    CHECK_FALSE(contains(html, "{{"));
}

TEST_CASE("a key can be any text") {
    const std::string html = page_of("<script>alert(1)</script>{{nonce}}\"&\u202e");
    CHECK(contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;{{nonce}}&quot;&amp;\\u{202e}"));
    CHECK_FALSE(contains(html, "<script>alert"));
    CHECK_FALSE(contains(html, "\u202e"));
}

TEST_CASE("the command that opens the key again is a shell's") {
    CHECK(contains(page_of("a b"), ">jamsock connect --key 'a b'<"));
    CHECK(contains(page_of("-x"), ">jamsock connect --key=-x<"));
    CHECK(contains(page_of("a\nb"), ">jamsock connect --key …<"));
}

TEST_CASE("only what has the nonce runs, and nothing comes from elsewhere") {
    const std::string html = page_of("k");
    CHECK(contains(html, "<style nonce=\"n0nce\">"));
    CHECK(contains(html, "<script nonce=\"n0nce\">"));
    CHECK_FALSE(contains(html, "src="));
    CHECK(contains(security_policy("n0nce"), "default-src 'none'; script-src 'nonce-n0nce';"));
    CHECK(new_nonce().size() == 32);
    CHECK(new_nonce() != new_nonce());
}
