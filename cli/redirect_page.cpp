#include "cli/redirect_page.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string_view>
#include <utility>

#include "common/text.h"
#include "common/unique_fd.h"

namespace jamsock {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view page_begin = "open-";
constexpr std::string_view page_end = ".html";
constexpr std::chrono::minutes page_life{1};  // until a browser has surely read it

bool is_old_page(const fs::directory_entry& file) {
    const std::string name = file.path().filename().string();
    if (!name.starts_with(page_begin) || !name.ends_with(page_end)) return false;
    std::error_code failed;
    const auto written = file.last_write_time(failed);
    return !failed && fs::file_time_type::clock::now() - written > page_life;
}

void remove_old_pages(const std::string& directory) {
    std::error_code ignored;
    for (const auto& file : fs::directory_iterator(directory, ignored)) {
        if (is_old_page(file)) fs::remove(file.path(), ignored);
    }
}

tl::unexpected<Error> not_written(const std::string& directory) {
    return fail(ErrorCode::internal,
                fmt::format("No page for the browser can be written in {}: {}.",
                            in_quotes(directory), ::strerror(errno)),
                shell_line({"df", "-h", directory}));
}

}  // namespace

std::string redirect_html(const std::string& url) {
    return fmt::format(
        "<!DOCTYPE html>\n"
        "<html lang=\"en\">\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n"
        "<meta http-equiv=\"refresh\" content=\"0; url={0}\">\n"
        "<title>jamsock</title>\n"
        "<p><a href=\"{0}\">Go to the backend</a></p>\n",
        html_escaped(url));
}

Result<RedirectPage> RedirectPage::write(const std::string& state_directory,
                                         const std::string& url) {
    remove_old_pages(state_directory);
    std::string path = fmt::format("{}/{}XXXXXX{}", state_directory, page_begin, page_end);
    const UniqueFd file(
        ::mkostemps(path.data(), static_cast<int>(page_end.size()), O_CLOEXEC));  // 0600
    if (!file) return not_written(state_directory);
    RedirectPage page(std::move(path));
    const std::string html = redirect_html(url);
    const ssize_t written = ::write(file.get(), html.data(), html.size());
    if (written != static_cast<ssize_t>(html.size())) return not_written(state_directory);
    return page;
}

RedirectPage::RedirectPage(RedirectPage&& other) noexcept
    : path_(std::exchange(other.path_, {})), is_used_(other.is_used_) {
}

RedirectPage::~RedirectPage() {
    if (!path_.empty() && !is_used_) ::unlink(path_.c_str());
}

std::string RedirectPage::file_url() const {
    return "file://" + percent_encoded(path_, "/");
}

}  // namespace jamsock
