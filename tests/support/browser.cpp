#include "tests/support/browser.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>
#include <sodium.h>

#include <charconv>
#include <fstream>

#include "tests/support/eventually.h"
#include "tests/support/proc.h"

namespace jamsock::test {

namespace {

using nlohmann::json;

constexpr std::chrono::seconds browser_patience{60};

// It says its port on stdout, and nothing else tells it.
Child start_driver(const TemporaryDirectory& directory) {
    RunOptions options;
    options.environment = {{"PATH", "/usr/bin:/bin"}, {"HOME", directory.path()}};
    return Child::start({"/bin/sh", "-c", "exec chromedriver --port=0 >\"$HOME/driver.log\" 2>&1"},
                        options);
}

int port_in(const std::string& log) {
    constexpr std::string_view before = "successfully on port ";
    const auto at = log.find(before);
    int port = 0;
    if (at == std::string::npos || log.find('\n', at) == std::string::npos) return 0;
    std::from_chars(log.data() + at + before.size(), log.data() + log.size(), port);
    return port;
}

std::string profile_option(const TemporaryDirectory& directory) {
    return "--user-data-dir=" + directory.path("profile");
}

json capabilities(const TemporaryDirectory& directory) {
    const json arguments{
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        fmt::format("--host-resolver-rules=MAP {} 127.0.0.1", Browser::foreign_name),
        profile_option(directory)};
    return {{"capabilities",
             {{"alwaysMatch",
               {{"browserName", "chrome"},
                {"goog:chromeOptions", {{"args", arguments}, {"binary", "/usr/bin/chromium"}}},
                {"goog:loggingPrefs", {{"browser", "ALL"}}}}}}}};
}

std::string from_base64(const std::string& text) {
    std::string bytes(text.size(), '\0');
    std::size_t size = 0;
    REQUIRE(::sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                                text.data(), text.size(), nullptr, &size, nullptr,
                                sodium_base64_VARIANT_ORIGINAL) == 0);
    bytes.resize(size);
    return bytes;
}

}  // namespace

Browser::Browser() : driver_(start_driver(directory_)) {
    int port = 0;
    const auto is_up = [&] { return (port = port_in(content_of(directory_.path("driver.log")))); };
    REQUIRE(eventually(is_up, browser_patience));
    client_ = std::make_unique<httplib::Client>("127.0.0.1", port);
    client_->set_read_timeout(browser_patience);
    client_->set_keep_alive(true);
    client_->set_tcp_nodelay(true);
    start_session();
}

Browser::~Browser() {
    end_session();
}

void Browser::start_session() {
    session_ = "/session";
    const json started = post("", capabilities(directory_));
    session_ += "/" + started.at("sessionId").get<std::string>();
    const auto window = client_->Get(session_ + "/window");
    REQUIRE(window);
    first_ = json::parse(window->body).at("value");
}

void Browser::end_session() {
    client_->Delete(session_);
    const auto processes = [&] { return processes_naming(profile_option(directory_)); };
    if (eventually([&] { return processes().empty(); })) return;
    for (const pid_t pid : processes())
        ::kill(pid, SIGKILL);
}

json Browser::post(const std::string& target, const json& parameters) {
    const auto answer = client_->Post(session_ + target, parameters.dump(), "application/json");
    INFO(target);
    REQUIRE(answer);
    INFO(answer->body.substr(0, 1000));
    REQUIRE(answer->status == 200);
    return json::parse(answer->body).at("value");
}

void Browser::select(const std::string& handle) {
    post("/window", {{"handle", handle}});
}

Browser::Window Browser::open(const std::string& url) {
    return open_as("window", url);
}

Browser::Window Browser::open_tab(const std::string& url) {
    return open_as("tab", url);
}

Browser::Window Browser::open_as(const char* type, const std::string& url) {
    select(first_);
    const json made = post("/window/new", {{"type", type}});
    Window window(*this, made.at("handle"));
    opened_.push_back(window.handle_);
    window.go(url);
    return window;
}

void Browser::close_windows() {
    for (const std::string& handle : opened_) {
        client_->Post(session_ + "/window", json{{"handle", handle}}.dump(), "application/json");
        client_->Delete(session_ + "/window");
    }
    opened_.clear();
    select(first_);
}

std::vector<std::string> Browser::console() {
    select(first_);
    std::vector<std::string> lines;
    for (const json& entry : post("/se/log", {{"type", "browser"}}))
        lines.push_back(entry.at("message"));
    return lines;
}

json Browser::Window::command(const std::string& target, const json& parameters) const {
    browser_->select(handle_);
    return browser_->post(target, parameters);
}

std::string Browser::Window::element(const std::string& selector) const {
    const json found = command("/element", {{"using", "css selector"}, {"value", selector}});
    return "/element/" + found.begin().value().get<std::string>();
}

void Browser::Window::develop(const std::string& method, const json& parameters) const {
    command("/goog/cdp/execute", {{"cmd", method}, {"params", parameters}});
}

void Browser::Window::go(const std::string& url) const {
    command("/url", {{"url", url}});
}

void Browser::Window::close() const {
    browser_->select(handle_);
    REQUIRE(browser_->client_->Delete(browser_->session_ + "/window"));
    std::erase(browser_->opened_, handle_);
}

void Browser::Window::type(const std::string& selector, const std::string& text) const {
    command(element(selector) + "/value", {{"text", text}});
}

void Browser::Window::click(const std::string& selector) const {
    command(element(selector) + "/click", json::object());
}

std::string Browser::Window::text(const std::string& selector) const {
    return run("return document.querySelector(arguments[0]).innerText", {selector});
}

std::string Browser::Window::value(const std::string& selector) const {
    return run("return document.querySelector(arguments[0]).value", {selector});
}

json Browser::Window::run(const std::string& script, const json& arguments) const {
    return command("/execute/sync", {{"script", script}, {"args", arguments}});
}

void Browser::Window::resize(int width, int height) const {
    develop("Emulation.setDeviceMetricsOverride",
            {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
}

void Browser::Window::prefer_dark(bool dark) const {
    develop(
        "Emulation.setEmulatedMedia",
        {{"features", {{{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}}}}});
}

void Browser::Window::save_screenshot(const std::string& path) const {
    browser_->select(handle_);
    const auto answer = browser_->client_->Get(browser_->session_ + "/screenshot");
    REQUIRE(answer);
    REQUIRE(answer->status == 200);
    std::ofstream(path, std::ios::binary)
        << from_base64(json::parse(answer->body).at("value").get<std::string>());
}

}  // namespace jamsock::test
