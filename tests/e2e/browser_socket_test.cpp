// A page that opens a WebSocket to where it came from, in a real browser.
#include <doctest/doctest.h>

#include "tests/support/browser.h"
#include "tests/support/eventually.h"
#include "tests/support/web_backend.h"

using namespace jamsock;
using namespace jamsock::test;

namespace {

constexpr std::chrono::seconds page_patience{30};

bool has_title(const Browser::Window& window, const std::string& title) {
    return eventually([&] { return window.run("return document.title") == title; }, page_patience);
}

}  // namespace

TEST_CASE("a page talks with its backend over a WebSocket of the browser's own") {
    const WebBackend backend;
    Browser browser;
    const Browser::Window window = browser.open(backend.url("page"));
    REQUIRE(has_title(window, "open"));
    CHECK(backend.entry().connections == 1);
    for (const char* message : {"hello", "Größe 😀"}) {
        window.run("document.querySelector('#say').value = arguments[0]", {message});
        window.click("#send");
        CHECK(eventually([&] { return window.text("#heard") == message; }, page_patience));
    }
    window.run("socket.close(4000, 'from the page')");
    CHECK(has_title(window, "closed 4000 from the page"));
    CHECK(backend.has_seen("page", {4000, "from the page"}));
    CHECK(browser.console() == std::vector<std::string>{});
}
