// `jamsock open` through the real programs, with a browser that tells what it was given.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/home.h"

using namespace jamsock;
using namespace jamsock::test;
namespace fs = std::filesystem;

namespace {

struct Desk : Home {
    std::string file(const char* name) const { return path() + "/" + name; }
    std::string read(const char* name) const {
        std::ostringstream text;
        text << std::ifstream(file(name)).rdbuf();
        return text.str();
    }
    std::string program(const char* name, const std::string& body) const {
        std::ofstream(file(name)) << "#!/bin/sh\n" << body;
        ::chmod(file(name).c_str(), 0700);
        return file(name);
    }
    // Notes its arguments, environment, and the page: its mode and its text.
    std::string curious_browser(const char* name = "browser") const {
        return program(name, "cd '" + path() +
                                 "'\n"
                                 "printf '%s\\n' \"$0\" \"$@\" > words\n"
                                 "tr '\\0' '\\n' < /proc/$$/environ > variables\n"
                                 "for last; do :; done\n"
                                 "page=${last#file://}\n"
                                 "stat -c %a \"$page\" > mode\n"
                                 "cat \"$page\" > page\n");
    }
    RunResult open(const std::string& browser, const std::string& path = "/usr/bin:/bin") const {
        RunOptions run_options = options();
        if (!browser.empty()) run_options.environment["BROWSER"] = browser;
        run_options.environment["PATH"] = path;
        return jamsock({"open", "--key", "doc"}, run_options);
    }
    std::size_t pages() const {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(path()))
            count += entry.path().extension() == ".html" ? 1 : 0;
        return count;
    }
};

// Between "url=" and the quote that ends it.
std::string url_in(const std::string& page) {
    const auto begin = page.find("url=http://");
    REQUIRE(begin != std::string::npos);
    return page.substr(begin + 4, page.find('"', begin) - begin - 4);
}

}  // namespace

TEST_CASE("open gives the browser a page that leads to the URL, and no token otherwise") {
    const Desk desk;
    const RunResult opened = desk.open(desk.curious_browser());
    CHECK(opened.exit_code == 0);
    CHECK(opened.out == "");
    CHECK(opened.err == "");
    const std::string url = url_in(desk.read("page"));
    CHECK(fetch(url).status == 200);
    CHECK(desk.read("mode") == "600\n");
    const std::string token = url.substr(url.find('/', 7) + 1, 43);
    REQUIRE(token.size() == 43);
    CHECK(desk.read("words").find("file://" + desk.path() + "/open-") != std::string::npos);
    CHECK(desk.read("words").find(token) == std::string::npos);
    CHECK(desk.read("variables").find("HOME=") != std::string::npos);
    CHECK(desk.read("variables").find(token) == std::string::npos);
    CHECK(desk.pages() == 1);

    for (const auto& entry : fs::directory_iterator(desk.path())) {
        if (entry.path().extension() != ".html") continue;
        fs::last_write_time(entry.path(),
                            fs::file_time_type::clock::now() - std::chrono::minutes(2));
    }
    CHECK(desk.open(desk.file("browser") + " --new-window %s").exit_code == 0);
    CHECK(desk.read("words").find("\n--new-window\nfile://") != std::string::npos);
    CHECK(url_in(desk.read("page")) != url);
    CHECK(desk.pages() == 1);
}

TEST_CASE("open tries one browser after the other, and says what to do where there is none") {
    const Desk desk;
    const std::string failing = desk.program("failing", "exit 3\n");
    CHECK(desk.open("/no/such/browser:" + failing + ":" + desk.curious_browser()).exit_code == 0);
    CHECK(desk.pages() == 1);

    const RunResult failed = desk.open(failing);
    CHECK(failed.exit_code == 1);
    CHECK(failed.err == "jamsock: No browser can be opened. The browser '" + failing +
                            "' failed with exit code 3.\nTry: jamsock connect --key doc\n");
    CHECK(desk.pages() == 1);  // that of before
    CHECK(desk.open("", desk.path()).err ==
          "jamsock: No browser can be opened. There is no program 'sensible-browser' in PATH.\n"
          "Try: jamsock connect --key doc\n");
    desk.curious_browser("xdg-open");
    CHECK(desk.open("", desk.path() + ":/usr/bin:/bin").exit_code == 0);
    CHECK(desk.read("words").starts_with(desk.file("xdg-open") + "\n"));
}
