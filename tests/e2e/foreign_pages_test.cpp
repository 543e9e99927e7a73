// What pages of other origins can do with the API over TCP, in a real browser: read a backend's
// public status, and nothing else, whatever token they know.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "common/runtime_paths.h"
#include "tests/support/browser.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;
using nlohmann::json;
using Window = Browser::Window;

namespace {

constexpr std::chrono::seconds page_patience{30};

// The answer's status, or the error's name.
constexpr const char* ask = R"(
    const [url, options] = arguments;
    return fetch(url, options).then(response => response.status, error => error.name);)";

// All of the stream, once its backend has ended.
constexpr const char* read_stream = R"(
    return fetch(arguments[0] + '/stream').then(response => response.text());)";

// What of the stream comes first.
constexpr const char* read_first_event = R"(
    return fetch(arguments[0] + '/stream').then(async response => {
        const reader = response.body.getReader();
        const first = await reader.read();
        await reader.cancel();
        return new TextDecoder().decode(first.value);
    }, error => error.name);)";

// What an EventSource hears, in the title; it must not begin anew.
constexpr const char* listen = R"(
    const events = new EventSource(arguments[0] + '/stream');
    events.onmessage = event => { document.title += ' ' + JSON.parse(event.data).status; };
    events.onerror = () => { document.title += ' over'; events.close(); };
    document.title = 'listening';)";

constexpr const char* send_form = R"(
    const form = document.body.appendChild(document.createElement('form'));
    form.method = 'post';
    form.enctype = 'text/plain';
    form.action = arguments[0];
    form.submit();)";

// A backend whose own page is open in a browser; it comes from the proxy, another origin than the
// API's.
struct Page {
    explicit Page(bool dev) {
        if (dev) std::ofstream(home.path() + "/config.toml") << "dev = true\n";
        home.output_of({"service", "create", "doc", "--", test_backend()});
        connected = json::parse(home.output_of({"connect", "doc", "--json", "--key", "one"}));
        api = fmt::format("http://127.0.0.1:{}", home.version()->api_port);
        std::ifstream(home.path() + "/" + state_file::api_token) >> token;
    }

    static Browser& the_browser() {
        static Browser browser;
        return browser;
    }

    std::string id() const { return connected.at("backend_id"); }
    std::string of_backend(const std::string& path) const {
        return api + "/v2/backend/" + id() + path;
    }
    Status status() const {
        return home.backend(BackendId::parse(id()).value()).statuses.back().status;
    }

    Home home;
    json connected;
    std::string api, token;
};

struct Control {
    const char* method;
    std::string url;
};

std::vector<Control> controls(const Page& page) {
    return {{"POST", page.api + "/v2/service/local/doc/connect"},
            {"POST", page.of_backend("/terminate")},
            {"GET", page.api + "/v2/account/local/backends"},
            {"GET", page.api + "/v2/account/local/keys"},
            {"GET", page.of_backend("/logs/stream")},
            {"GET", page.of_backend("")}};
}

// By everything that a page can try: with tokens, and in the ways that need no preflight.
void check_controls_nothing(const Page& page, const Window& window) {
    for (const Control& control : controls(page)) {
        CAPTURE(control.url);
        for (const std::string& token : {std::string(), page.token, std::string("-")}) {
            json options{{"method", control.method}};
            if (!token.empty()) options["headers"]["Authorization"] = "Bearer " + token;
            CHECK(window.run(ask, {control.url, options}) == "TypeError");
        }
        // The answer to these is hidden from the page.
        CHECK(window.run(ask, {control.url, {{"method", control.method}, {"mode", "no-cors"}}}) ==
              0);
    }
    CHECK(page.home.keys().size() == 1);
    CHECK(page.status() == Status::ready);
}

void check_reads_status(const Page& page, const Window& window) {
    CHECK(window.run(ask, {page.of_backend("/status")}) == 200);
    CHECK(window
              .run("return fetch(arguments[0]).then(response => response.json())",
                   {page.of_backend("/status?uncached")})
              .at("status") == "ready");
    CHECK(window.run(read_first_event, {page.of_backend("/status")})
              .get<std::string>()
              .starts_with("data:{\"status\":\"scheduled\""));
    CHECK(window.run(ask, {page.of_backend("/status"), {{"headers", {{"X-Mine", "1"}}}}}) == 200);
}

// Not even what needs no token.
void check_reads_nothing_else(const Page& page, const Window& window) {
    for (const char* path : {"/healthz", "/openapi.json", "/version", "/auth"}) {
        CAPTURE(path);
        CHECK(window.run(ask, {page.api + path}) == "TypeError");
    }
    CHECK(window.run(ask, json::array({page.connected.at("ready_url")})) == "TypeError");
}

// On the same site as the API, which is told by names without ports, and on another.
void check_other_origins(bool dev) {
    const Page page(dev);
    const std::string url = page.connected.at("url");
    const auto path = url.find(':', std::string_view("http://").size());
    for (const std::string& origin : {url.substr(0, path), std::string("http://notes.localhost")}) {
        CAPTURE(origin);
        const Window window = Page::the_browser().open(origin + url.substr(path));
        REQUIRE(window.text("body") == "ok\n");
        check_reads_status(page, window);
        check_reads_nothing_else(page, window);
        check_controls_nothing(page, window);
    }
    Page::the_browser().close_windows();
}

}  // namespace

TEST_CASE("a page of another origin reads the public status, and controls nothing with any token") {
    check_other_origins(/*dev=*/false);
}

TEST_CASE("nor does it where servers in development need no token") {
    check_other_origins(/*dev=*/true);
}

TEST_CASE("a form of another origin controls nothing") {
    for (const bool dev : {false, true}) {
        CAPTURE(dev);
        const Page page(dev);
        const Window window = Page::the_browser().open(page.connected.at("url"));
        window.run(send_form, {page.of_backend("/terminate")});
        const auto answer = [&] { return window.text("body"); };
        CHECK(eventually([&] { return answer().find("\"Forbidden\"") != std::string::npos; },
                         page_patience));
        CHECK(page.status() == Status::ready);
        Page::the_browser().close_windows();
    }
}

TEST_CASE("a page of another origin follows a backend's statuses to its end") {
    const Page page(/*dev=*/false);
    const Window window = Page::the_browser().open(page.connected.at("url"));
    window.run(listen, {page.of_backend("/status")});
    const auto title = [&] { return window.run("return document.title").get<std::string>(); };
    REQUIRE(eventually([&] { return title().ends_with(" ready"); }, page_patience));
    page.home.output_of({"terminate", page.id()});
    CHECK(eventually([&] { return title().ends_with(" over"); }, page_patience));
    CHECK(title() ==
          "listening scheduled loading starting waiting ready terminating terminated over");
    const std::string stream = window.run(read_stream, {page.of_backend("/status")});
    CHECK(stream.starts_with("data:{\""));
    CHECK(stream.ends_with("}\n\n"));
    CHECK(stream.find("\"terminated\"") != std::string::npos);
    Page::the_browser().close_windows();
}

TEST_CASE("a page of the API's own origin needs the token, and controls with it") {
    const Page page(/*dev=*/false);
    const Window window = Page::the_browser().open(page.api + "/healthz");
    const json with_token{{"method", "POST"},
                          {"headers", {{"Authorization", "Bearer " + page.token}}}};
    CHECK(window.run(ask, {page.of_backend("/terminate"), {{"method", "POST"}}}) == 401);
    CHECK(window.run(ask, {page.of_backend("/terminate"), with_token}) == 200);
    Page::the_browser().close_windows();
}

TEST_CASE("a page whose name was bound to this machine afterwards gets nothing") {
    for (const bool dev : {false, true}) {
        CAPTURE(dev);
        const Page page(dev);
        const std::string rebound =
            fmt::format("http://{}:{}", Browser::foreign_name, page.home.version()->api_port);
        const Window window = Page::the_browser().open(rebound + "/healthz");
        CHECK(window.run("return location.origin") == rebound);
        CHECK(window.text("body").find("\"Forbidden\"") != std::string::npos);
        for (const std::string& token : {page.token, std::string("-")}) {
            const json headers{{"Authorization", "Bearer " + token}};
            for (const Control& control : controls(page)) {
                const std::string path = control.url.substr(page.api.size());
                CAPTURE(path);
                const json options{{"method", control.method}, {"headers", headers}};
                CHECK(window.run(ask, {path, options}) == 403);
            }
        }
        CHECK(window.run(ask, {"/v2/backend/" + page.id() + "/status"}) == 403);
        CHECK(page.status() == Status::ready);
        Page::the_browser().close_windows();
    }
}
