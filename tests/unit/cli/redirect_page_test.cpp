#include "cli/redirect_page.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/unit/cli/fake_daemon.h"

using namespace jamsock;
using namespace jamsock::cli_test;
namespace fs = std::filesystem;

namespace {

std::size_t pages_in(const StateDirectory& state) {
    std::size_t count = 0;
    for (const auto& file : fs::directory_iterator(state.path()))
        count += file.path().extension() == ".html" ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("a page leads to its URL, whatever is in it, and tells nobody where it came from") {
    const std::string html = redirect_html("http://127.0.0.1:9090/t/?a=\"<b>&c\"");
    CHECK(html.find("content=\"0; url=http://127.0.0.1:9090/t/?a=&quot;&lt;b&gt;&amp;c&quot;\"") !=
          std::string::npos);
    CHECK(html.find("<a href=\"http://127.0.0.1:9090/t/?a=&quot;&lt;b&gt;&amp;c&quot;\">") !=
          std::string::npos);
    CHECK(html.find("name=\"referrer\" content=\"no-referrer\"") != std::string::npos);
}

TEST_CASE("a page is this user's alone, stays if it is used, and goes when it is old") {
    const StateDirectory state;
    std::string path;
    {
        auto page = RedirectPage::write(state.path(), "http://127.0.0.1:9090/t/");
        REQUIRE(page);
        REQUIRE(page->file_url().starts_with("file://" + state.path() + "/open-"));
        path = page->file_url().substr(std::string("file://").size());
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);
        page->is_used();
    }
    CHECK(pages_in(state) == 1);
    { CHECK(RedirectPage::write(state.path(), "http://127.0.0.1:9090/t/")); }
    CHECK(pages_in(state) == 1);  // the unused one is gone

    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::minutes(2));
    state.write("other.html", "");
    { CHECK(RedirectPage::write(state.path(), "http://127.0.0.1:9090/t/")); }
    CHECK_FALSE(fs::exists(path));
    CHECK(fs::exists(state.path() + "/other.html"));
}

TEST_CASE("a page's URL is one for any path") {
    const StateDirectory state;
    const std::string directory = state.path() + "/a b#c?d%é";
    fs::create_directory(directory);
    const auto page = RedirectPage::write(directory, "http://127.0.0.1:9090/t/");
    REQUIRE(page);
    CHECK(page->file_url().find("/a%20b%23c%3Fd%25%C3%A9/open-") != std::string::npos);
}
