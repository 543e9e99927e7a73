// The demo's page in a real browser, through the real programs.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <utf8.h>

#include <algorithm>
#include <random>

#include "daemon/demo/document.h"
#include "daemon/demo/splice.h"
#include "tests/support/browser.h"
#include "tests/support/eventually.h"
#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;
using nlohmann::json;
using Window = Browser::Window;

namespace {

constexpr std::chrono::seconds page_patience{30};

bool soon(auto condition) {
    return eventually(condition, page_patience);
}

bool says(const Window& window, const std::string& selector, const std::string& part) {
    return window.text(selector).find(part) != std::string::npos;
}

bool is_live(const Window& window) {
    return window.text("#state") == "live";
}

// Starting a browser takes seconds: all tests have the same one, each with windows of its own.
struct DemoPage {
    static Browser& the_browser() {
        static Browser browser;
        return browser;
    }

    DemoPage() { browser.console(); }
    ~DemoPage() { browser.close_windows(); }

    Home home;
    Browser& browser = the_browser();
};

Window open_live(Browser& browser, const std::string& url) {
    const Window window = browser.open(url);
    REQUIRE(soon([&] { return is_live(window); }));
    return window;
}

std::size_t lookers(const Window& window) {
    return window.run("return document.querySelectorAll('#lookers li').length");
}

// The whole of the text, to the end of which all that was typed in the window has got.
bool has_settled(const Window& window) {
    return window.run("return !sent && unsent.length === 0");
}

void save_at_both_widths(const Window& window, const std::string& name) {
    for (const int width : {400, 1200}) {
        CAPTURE(width);
        window.resize(width, 900);
        CHECK(window.run("return document.documentElement.scrollWidth").get<int>() <= width);
        window.save_screenshot(fmt::format("{}/{}-{}.png", JAMSOCK_SCREENSHOTS, name, width));
    }
}

void set_hidden(const Window& window, bool hidden) {
    window.run(
        R"(Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
           document.dispatchEvent(new Event('visibilitychange')))",
        {hidden});
}

// Types each of `words` at once when its turn comes, as fast as the page goes; `done` when through.
void start_typing(const Window& window, const std::vector<std::string>& words, bool at_end) {
    window.run(R"(
        const [words, atEnd] = arguments;
        area.focus();
        area.setSelectionRange(atEnd ? area.value.length : 0, atEnd ? area.value.length : 0);
        window.done = false;
        const next = () => {
            const word = words.shift();
            if (word === undefined) { window.done = true; return; }
            document.execCommand('insertText', false, word);
            setTimeout(next, 1);
        };
        next();)",
               {words, at_end});
}

// What a screen reader has been told last, besides the notice.
std::string announcement(const Window& window) {
    return window.run("return document.querySelector('#announcement').textContent");
}

std::vector<std::string> numbered(const std::string& word, int count) {
    std::vector<std::string> words;
    for (int number = 0; number < count; ++number)
        words.push_back(fmt::format("{}{} ", word, number));
    return words;
}

json json_of(const demo::Splice& splice) {
    return {{"at", splice.at},
            {"removed", splice.removed},
            {"inserted", utf8::utf16to8(splice.inserted)}};
}

demo::Splice splice_of(const json& value) {
    return {value.at("at"), value.at("removed"),
            utf8::utf8to16(value.at("inserted").get<std::string>())};
}

}  // namespace

TEST_CASE_FIXTURE(DemoPage, "what is typed in one window shows in the other, and the other way") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.type("#text", "Hello 🎈");
    CHECK(soon([&] { return b.value("#text") == "Hello 🎈"; }));
    b.type("#text", "!");
    CHECK(soon([&] { return a.value("#text") == b.value("#text") && has_settled(b); }));
    CHECK(a.value("#text").find('!') != std::string::npos);
    const Window late = open_live(browser, home.output_of({"lookup", "--key", "document-123"}));
    CHECK(late.value("#text") == a.value("#text"));
    CHECK(browser.console() == std::vector<std::string>{});
}

TEST_CASE_FIXTURE(DemoPage, "what is typed in one tab shows in the other") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = browser.open_tab(url);
    const Window b = browser.open_tab(url);
    REQUIRE(soon([&] { return is_live(a) && is_live(b); }));
    a.type("#text", "Hello");
    CHECK(soon([&] { return b.value("#text") == "Hello"; }));
    b.type("#text", "!");
    CHECK(soon([&] { return a.value("#text") == b.value("#text") && has_settled(b); }));
    CHECK(a.value("#text").size() == 6);
}

TEST_CASE_FIXTURE(DemoPage, "each letter shows in the other window as it is typed") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    std::string typed;
    while (typed.size() < 50) {
        a.type("#text", "x");
        typed += 'x';
        REQUIRE(soon([&] { return b.value("#text") == typed; }));
    }
}

TEST_CASE_FIXTURE(DemoPage,
                  "two who type at the same time get the same text, and no letter is lost") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.type("#text", "middle");
    REQUIRE(soon([&] { return b.value("#text") == "middle"; }));
    const auto words_of_a = numbered("a🎈", 200);
    const auto words_of_b = numbered("b", 200);
    start_typing(a, words_of_a, false);
    start_typing(b, words_of_b, true);
    const auto is_done = [](const Window& window) {
        return window.run("return window.done").get<bool>() && has_settled(window);
    };
    REQUIRE(soon([&] { return is_done(a) && is_done(b); }));
    std::string wanted;
    for (const std::string& word : words_of_a)
        wanted += word;
    wanted += "middle";
    for (const std::string& word : words_of_b)
        wanted += word;
    CHECK(soon([&] { return a.value("#text") == wanted; }));
    CHECK(soon([&] { return b.value("#text") == wanted; }));
}

TEST_CASE_FIXTURE(DemoPage, "two who type at the same place interleave, and agree") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    start_typing(a, numbered("a", 200), true);
    start_typing(b, numbered("b", 200), true);
    const auto is_done = [](const Window& window) {
        return window.run("return window.done").get<bool>() && has_settled(window);
    };
    REQUIRE(soon([&] { return is_done(a) && is_done(b); }));
    CHECK(soon([&] { return a.value("#text") == b.value("#text"); }));
    const std::string text = a.value("#text");
    std::string letters = text;
    std::ranges::sort(letters);
    std::string typed;
    for (const std::string& word : numbered("a", 200))
        typed += word;
    for (const std::string& word : numbered("b", 200))
        typed += word;
    std::ranges::sort(typed);
    CHECK(letters == typed);
}

TEST_CASE_FIXTURE(DemoPage, "the caret and the selection stay where they are in the text") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.type("#text", "one two three");
    REQUIRE(soon([&] { return b.value("#text") == "one two three"; }));
    a.run("area.setSelectionRange(4, 7)");
    start_typing(b, {"zero "}, false);
    REQUIRE(soon([&] { return a.value("#text") == "zero one two three"; }));
    CHECK(a.run("return [area.selectionStart, area.selectionEnd]") == json{9, 12});
    start_typing(b, {" four"}, true);
    REQUIRE(soon([&] { return a.value("#text") == "zero one two three four"; }));
    CHECK(a.run("return [area.selectionStart, area.selectionEnd]") == json{9, 12});
}

TEST_CASE_FIXTURE(
    DemoPage, "a composition is not disturbed by what comes in, and nothing of either is lost") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.run("area.focus()");
    a.develop("Input.imeSetComposition",
              {{"text", "にほ"}, {"selectionStart", 2}, {"selectionEnd", 2}});
    REQUIRE(a.value("#text") == "にほ");
    b.type("#text", "x");
    REQUIRE(soon([&] { return a.run("return held.length").get<int>() > 0; }));
    CHECK(a.value("#text") == "にほ");
    a.develop("Input.insertText", {{"text", "日本"}});
    CHECK(soon([&] { return a.value("#text") == "x日本" && b.value("#text") == "x日本"; }));
}

TEST_CASE_FIXTURE(
    DemoPage,
    "who is looking: each by name, oneself marked, and gone at once when a window closes") {
    ConnectRequest request{.key = Key::parse("document-123").value()};
    const Window a = open_live(browser, home.output_of({"connect", "--key", "document-123"}));
    CHECK(soon([&] { return lookers(a) == 1; }));
    CHECK(says(a, "#lookers", "you"));
    CHECK(a.text("#looking") == "1, only you");

    request.user = "ann <b>";
    const Window b = open_live(browser, home.connect(request)->url);
    CHECK(soon([&] { return lookers(a) == 2 && lookers(b) == 2; }));
    CHECK(says(a, "#lookers li:last-child", "ann <b>"));
    CHECK_FALSE(says(a, "#lookers li:last-child", "you"));
    CHECK(says(b, "#lookers li:first-child", "you"));
    CHECK(a.text("#looking") == "2");
    b.close();
    CHECK(soon([&] { return lookers(a) == 1; }));
}

TEST_CASE_FIXTURE(DemoPage, "a window keeps its generated name when it is loaded anew") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window window = open_live(browser, url);
    REQUIRE(soon([&] { return lookers(window) == 1; }));
    const std::string name = window.text("#lookers bdi");
    CHECK(name.find(' ') != std::string::npos);
    window.go(url);
    REQUIRE(soon([&] { return is_live(window) && lookers(window) == 1; }));
    CHECK(window.text("#lookers bdi") == name);
}

TEST_CASE_FIXTURE(DemoPage, "the page states the backend's facts, and counts its uptime on") {
    const Window window = open_live(browser, home.output_of({"connect", "--key", "document-123"}));
    const KeyEntry entry = home.keys().at(0);
    CHECK(window.text("h1") == "document-123");
    CHECK(window.text("#backend") == entry.backend_id.str());
    CHECK(window.text("#fencing-token") == std::to_string(entry.fencing_token));
    CHECK(says(window, "footer", "jamsock connect --key mine -- ./server"));
    const std::string uptime = window.text("#uptime");
    CHECK(uptime.ends_with(" s"));
    CHECK(soon([&] { return window.text("#uptime") != uptime; }));
}

TEST_CASE_FIXTURE(DemoPage, "a key that looks like HTML is text") {
    const std::string key = R"(<img src=x onerror="window.hit=1">"' &amp; </title>🎈)";
    const Window window = open_live(browser, home.output_of({"connect", "--key", key}));
    CHECK(window.text("h1") == key);
    CHECK(window.run("return document.title").get<std::string>().starts_with(key));
    CHECK(window.run("return document.images.length") == 0);
    CHECK(window.run("return window.hit === undefined") == true);
    CHECK(window.run("return reopen").get<std::string>().find("<img src=x") != std::string::npos);
    CHECK(browser.console() == std::vector<std::string>{});
}

TEST_CASE_FIXTURE(
    DemoPage,
    "nothing is asked of anybody but the page's own URL, and inline strangers don't run") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window window = open_live(browser, url);
    window.type("#text", "x");
    REQUIRE(soon([&] { return has_settled(window); }));
    const json requests =
        window.run("return performance.getEntriesByType('resource').map(entry => entry.name)");
    CHECK(requests.size() > 0);
    for (const json& request : requests)
        CHECK(request.get<std::string>().starts_with(url));
    CHECK(browser.console() == std::vector<std::string>{});

    window.run(R"(const stranger = document.createElement('script');
                  stranger.textContent = 'window.hit = 1';
                  document.body.append(stranger);)");
    CHECK(window.run("return window.hit === undefined") == true);
}

TEST_CASE_FIXTURE(DemoPage, "what is typed while the connection is lost arrives when it is back") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.type("#text", "one");
    REQUIRE(soon([&] { return b.value("#text") == "one"; }));
    CHECK(announcement(a).empty());
    CHECK(a.run("return getComputedStyle(document.querySelector('#notice')).display") != "none");
    CHECK(a.run("return document.querySelector('#notice').offsetHeight").get<int>() <= 1);
    const pid_t keeper = home.keeper();
    const pid_t worker = home.worker();
    ::kill(keeper, SIGSTOP);  // or it would start the next worker at once
    ::kill(worker, SIGSTOP);
    start_typing(a, {"A0 "}, false);
    REQUIRE(soon([&] { return a.run("return sent !== null").get<bool>(); }));  // and unanswered
    ::kill(worker, SIGKILL);
    REQUIRE(soon([&] { return says(a, "#notice", "connection is lost"); }));
    REQUIRE(soon([&] { return says(b, "#notice", "connection is lost"); }));
    start_typing(a, {"A1 ", "A2 "}, false);
    start_typing(b, {" B1", " B2"}, true);
    REQUIRE(soon([&] { return a.value("#text") == "A1 A2 A0 one"; }));
    save_at_both_widths(a, "lost");
    CHECK(announcement(a).empty());
    ::kill(keeper, SIGCONT);
    CHECK(soon([&] { return a.value("#text") == "A1 A2 A0 one B1 B2"; }));
    CHECK(soon([&] { return b.value("#text") == "A1 A2 A0 one B1 B2"; }));
    CHECK(a.text("#notice").empty());
    CHECK(announcement(a) == "Live again.");
    CHECK(soon([&] { return lookers(a) == 2; }));
}

TEST_CASE_FIXTURE(DemoPage, "an edit whose arrival was not seen is neither lost nor doubled") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.run("stream.close()");
    a.type("#text", "x");
    REQUIRE(soon([&] { return b.value("#text") == "x"; }));
    a.type("#text", "y");
    a.run("lose()");
    CHECK(soon([&] { return b.value("#text") == "xy"; }));
    REQUIRE(soon([&] { return has_settled(a); }));
    CHECK(a.value("#text") == "xy");
}

TEST_CASE_FIXTURE(DemoPage,
                  "a window out of sight lets go of its stream, and catches up when seen") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    REQUIRE(soon([&] { return lookers(a) == 2; }));
    b.run("restAfter = 1");
    set_hidden(b, true);
    CHECK(soon([&] { return lookers(a) == 1; }));
    a.type("#text", "meanwhile");
    REQUIRE(soon([&] { return has_settled(a); }));
    CHECK(b.value("#text").empty());
    set_hidden(b, false);
    CHECK(soon([&] { return b.value("#text") == "meanwhile"; }));
    CHECK(soon([&] { return lookers(a) == 2 && lookers(b) == 2; }));
}

TEST_CASE_FIXTURE(DemoPage,
                  "a URL that has expired is said so when an edit is refused, and tried again") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.run("window.realFetch = fetch; window.fetch = async () => new Response(null, {status: 410})");
    a.type("#text", "x");
    CHECK(soon([&] { return says(a, "#notice", "This URL has expired"); }));
    CHECK(says(a, "#notice", "jamsock connect --key document-123"));
    CHECK(a.text("#state") == "ended");
    b.type("#text", "y");
    CHECK(soon([&] { return says(a, "#state", "ended") && a.value("#text").size() == 2; }));
    CHECK(a.run("return postPause").get<int>() > 500);
    a.run("window.fetch = realFetch");
    CHECK(soon([&] { return b.value("#text") == a.value("#text") && has_settled(a); }));
    CHECK(soon([&] { return is_live(a); }));
    CHECK(a.text("#notice").empty());
}

TEST_CASE_FIXTURE(DemoPage,
                  "a window out of sight keeps its backend in use, until that has ended") {
    home.output_of({"daemon", "start"});
    const auto connect = [&](const char* key) {
        ConnectRequest request{.key = Key::parse(key).value()};
        request.limits.max_idle = 4;
        return home.connect(request).value();
    };
    const auto is_running = [&](const ConnectResponse& backend) {
        return home.backend(backend.backend_id).statuses.back().status == Status::ready;
    };
    const ConnectResponse watched = connect("watched");
    const Window window = open_live(browser, watched.url);
    window.type("#text", "precious");
    REQUIRE(soon([&] { return has_settled(window); }));
    window.run("restAfter = 1; useEvery = 100");
    set_hidden(window, true);
    REQUIRE(soon([&] { return window.text("#state") == "opening"; }));
    const ConnectResponse unwatched = connect("unwatched");  // used last
    REQUIRE(soon([&] { return !is_running(unwatched); }));
    CHECK(is_running(watched));
    set_hidden(window, false);
    REQUIRE(soon([&] { return is_live(window); }));
    CHECK(window.value("#text") == "precious");

    set_hidden(window, true);
    REQUIRE(soon([&] { return window.text("#state") == "opening"; }));
    window.run(
        "window.asked = 0; window.realFetch = fetch;"
        "window.fetch = (...all) => { ++asked; return realFetch(...all); }");
    home.output_of({"terminate", "--key", "watched"});
    REQUIRE(soon([&] { return window.text("#state") == "ended"; }));
    const json asked = window.run("return asked");
    window.run("window.ticks = 0; setInterval(() => ++ticks, useEvery)");
    REQUIRE(soon([&] { return window.run("return ticks") == 3; }));
    CHECK(window.run("return asked") == asked);
}

TEST_CASE_FIXTURE(DemoPage, "an ended backend is said so, with the way on, and the text stays") {
    const Window window = open_live(browser, home.output_of({"connect", "--key", "my document"}));
    window.type("#text", "precious");
    REQUIRE(soon([&] { return has_settled(window); }));
    home.output_of({"terminate", "--key", "my document"});
    CHECK(soon([&] { return says(window, "#notice", "expired, or its backend has ended"); }));
    CHECK(says(window, "#notice", "jamsock connect --key 'my document'"));
    CHECK(window.text("#state") == "ended");
    CHECK(window.run("return document.querySelector('.lead').offsetHeight") == 0);
    window.type("#text", " words");
    CHECK(window.value("#text") == "precious words");
    save_at_both_widths(window, "ended");
}

TEST_CASE_FIXTURE(
    DemoPage,
    "a text that is too long stays in its window, is said so, and is shared once it fits") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    const auto length = [](const Window& window) {
        return window.run("return area.value.length").get<std::size_t>();
    };
    const auto splice = [](const Window& window, const char* change) {
        window.run(fmt::format("{}; area.dispatchEvent(new Event('input'))", change));
    };
    splice(a, "area.setRangeText('é'.repeat(longest + 5), 0, 0)");
    CHECK(soon([&] { return says(a, "#notice", "text is full"); }));
    b.type("#text", "b");
    CHECK(soon([&] { return length(a) == demo::longest_text + 6; }));
    CHECK(b.value("#text") == "b");
    splice(a, "area.setRangeText('', 10, 20)");
    CHECK(soon([&] { return length(b) == demo::longest_text - 4; }));
    CHECK(soon([&] { return a.text("#notice").empty(); }));
    CHECK(a.run("return area.value") == b.run("return area.value"));
}

TEST_CASE_FIXTURE(
    DemoPage, "an edit made on what is forgotten is made anew once, however fast one types on") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.run(R"(
        window.asked = 0;
        window.followed = 0;
        window.realFetch = fetch;
        window.realFollow = follow;
        window.fetch = async () => { ++asked; return new Response(null, {status: 409}); };
        window.follow = () => ++followed;)");
    start_typing(a, numbered("a", 20), true);
    REQUIRE(soon([&] { return a.run("return done && followed > 0").get<bool>(); }));
    CHECK(a.run("return [asked, followed]") == json{1, 1});
    a.run("window.fetch = realFetch; window.follow = realFollow; follow()");
    CHECK(soon([&] { return has_settled(a) && b.value("#text") == a.value("#text"); }));
    CHECK(says(a, "#state", "live"));
}

TEST_CASE_FIXTURE(DemoPage, "a text that fits again when its refusal comes is shared at once") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    const Window a = open_live(browser, url);
    const Window b = open_live(browser, url);
    a.run(
        "window.realFetch = fetch;"
        "window.fetch = () => new Promise(answer => { window.answer = answer; })");
    a.run("area.value = 'too long'; area.dispatchEvent(new Event('input'))");
    REQUIRE(a.run("return sent !== null").get<bool>());
    a.run("area.value = 'too'; area.dispatchEvent(new Event('input'))");
    a.run("window.fetch = realFetch; answer(new Response(null, {status: 413}))");
    CHECK(soon([&] { return b.value("#text") == "too"; }));
    CHECK(soon([&] { return has_settled(a) && a.text("#notice").empty(); }));
}

TEST_CASE_FIXTURE(DemoPage,
                  "too many windows of one browser are said so where nothing typed gets through") {
    const std::string url = home.output_of({"connect", "--key", "document-123"});
    std::vector<Window> windows;
    while (windows.size() < 6)
        windows.push_back(open_live(browser, url));
    windows[0].type("#text", "x");
    CHECK(soon([&] { return says(windows[0], "#notice", "too many windows of this page"); }));
    CHECK(windows[1].value("#text").empty());
    windows[5].close();
    CHECK(soon([&] { return windows[1].value("#text") == "x"; }));
    CHECK(soon([&] { return windows[0].text("#notice").empty(); }));
    CHECK(is_live(windows[0]));
}

TEST_CASE_FIXTURE(DemoPage, "the page and the demo transform splices alike") {
    const Window window = open_live(browser, home.output_of({"connect", "--key", "document-123"}));
    std::mt19937 random(11);
    const auto any_splice = [&](char16_t letter) {
        return demo::Splice{random() % 8, random() % 5, std::u16string(random() % 3, letter)};
    };
    std::vector<std::pair<demo::Splice, demo::Splice>> cases;
    json asked = json::array();
    for (int count = 0; count < 2000; ++count) {
        const auto& [mine, theirs] = cases.emplace_back(any_splice(u'm'), any_splice(u't'));
        asked.push_back({json_of(mine), json_of(theirs)});
    }
    const json answers = window.run(
        "return arguments[0].map(([mine, theirs]) =>"
        " [transformed(mine, theirs, true), transformed(mine, theirs, false)])",
        json::array({asked}));
    for (std::size_t index = 0; index < cases.size(); ++index) {
        const auto& [mine, theirs] = cases[index];
        REQUIRE(splice_of(answers[index][0]) == demo::transformed(mine, theirs, demo::First::mine));
        REQUIRE(splice_of(answers[index][1]) ==
                demo::transformed(mine, theirs, demo::First::theirs));
    }
}

TEST_CASE_FIXTURE(DemoPage,
                  "the page finds what was changed, at the caret, and never cuts a character") {
    const Window window = open_live(browser, home.output_of({"connect", "--key", "document-123"}));
    const auto difference = [&](const char* before, const char* after, int caret) {
        return splice_of(window.run("return difference(...arguments)", {before, after, caret}));
    };
    CHECK(difference("aaa", "aaaa", 2) == demo::Splice{1, 0, u"a"});
    CHECK(difference("aaa", "aaaa", 4) == demo::Splice{3, 0, u"a"});
    CHECK(difference("aaa", "aa", 1) == demo::Splice{1, 1, u""});
    CHECK(difference("one two", "one 2", 5) == demo::Splice{4, 3, u"2"});
    CHECK(difference("a😀b", "a😁b", 3) == demo::Splice{1, 2, u"😁"});           // equal first halves
    CHECK(difference("a\U0001FA00b", "a😀b", 3) == demo::Splice{1, 2, u"😀"});  // the second
    CHECK(difference("same", "same", 4).inserted.empty());
    CHECK(difference("abcd", "abXcd", 0) == demo::Splice{2, 0, u"X"});
}

TEST_CASE_FIXTURE(
    DemoPage,
    "light and dark, narrow and wide: all fits, and the screenshots are there to be seen") {
    const std::string key =
        "a key that is as long as keys of people who like long keys are, "
        "and_then_some_more_without_any_space_to_break_at_0123456789";
    ConnectRequest request{.key = Key::parse("document-123").value()};
    const Window a = open_live(browser, home.output_of({"connect", "--key", "document-123"}));
    request.user = "ann";
    const Window b = open_live(browser, home.connect(request)->url);
    const Window long_one = open_live(browser, home.output_of({"connect", "--key", key}));
    a.type("#text",
           "Notes for Tuesday\n\n- The boat leaves at nine, from the north pier.\n"
           "- Ann brings bread and the big thermos\n- Who has the map?\n");
    REQUIRE(soon([&] { return lookers(a) == 2 && has_settled(a); }));
    const std::string light = a.run("return getComputedStyle(document.body).backgroundColor");
    for (const int width : {400, 1200}) {
        for (const bool dark : {false, true}) {
            for (const auto& [window, name] :
                 {std::pair{a, "page"}, std::pair{long_one, "long-key"}}) {
                CAPTURE(width);
                window.resize(width, 900);
                window.prefer_dark(dark);
                CHECK(window.run("return innerWidth") == width);
                CHECK(window.run("return document.documentElement.scrollWidth").get<int>() <=
                      width);
                const std::string back =
                    window.run("return getComputedStyle(document.body).backgroundColor");
                CHECK((back == light) == !dark);
                window.save_screenshot(fmt::format("{}/{}-{}-{}.png", JAMSOCK_SCREENSHOTS, name,
                                                   width, dark ? "dark" : "light"));
            }
        }
    }
}
