#include "daemon/backends/log_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/log_pattern.h"
#include "common/output_files.h"

namespace jamsock {

namespace {

constexpr std::size_t piece = 64 * 1024;
constexpr int most_pieces = 64;  // in one look: others wait for the helper thread, too

std::optional<ino_t> inode_of(int directory, const char* name) {
    struct stat status {};
    if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    return status.st_ino;
}

}  // namespace

LogWatch::LogWatch(int backend_directory, std::string pattern)
    : directory_(::fcntl(backend_directory, F_DUPFD_CLOEXEC, 0)), pattern_(std::move(pattern)) {
}

LogWatch::~LogWatch() {
    if (is_compiled_ == true) ::regfree(&compiled_);
}

bool LogWatch::look() {
    if (!can_match()) return false;
    for (int pieces = 0; pieces < most_pieces && !has_matched_; ++pieces) {
        if (!read_piece() && !move_on()) break;
    }
    return has_matched_;
}

bool LogWatch::can_match() {
    if (!is_compiled_) {
        is_compiled_ = !objection_to(pattern_) &&
                       ::regcomp(&compiled_, pattern_.c_str(), REG_EXTENDED | REG_NOSUB) == 0;
    }
    return *is_compiled_;
}

bool LogWatch::read_piece() {
    if (!file_) return false;
    std::array<char, piece> bytes;
    const ssize_t length = ::pread(file_.get(), bytes.data(), bytes.size(), offset_);
    if (length <= 0) return false;
    offset_ += length;
    feed(std::string_view(bytes.data(), static_cast<std::size_t>(length)));
    return true;
}

// To the next file, if there is one, or back to the start of one that was emptied.
bool LogWatch::move_on() {
    const auto place = place_of_file();
    if (place == 0) return is_emptied();
    if (!place) return begin_at_oldest();
    // Nothing comes behind this file any more; what came since the last read is read first.
    while (read_piece())
        continue;
    UniqueFd next = open_file(*place - 1);
    if (place_of_file() != place) return true;  // rotated meanwhile, so `next` may be another
    if (!next) return false;
    begin(std::move(next));
    return true;
}

// None is open yet, or ours was rotated away unread.
bool LogWatch::begin_at_oldest() {
    line_.clear();
    for (std::size_t place = output_file::names.size(); place > 0; --place) {
        UniqueFd oldest = open_file(place - 1);
        if (!oldest) continue;
        begin(std::move(oldest));
        return true;
    }
    return false;
}

UniqueFd LogWatch::open_file(std::size_t place) const {
    return UniqueFd(
        ::openat(directory_.get(), output_file::names[place], O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

void LogWatch::begin(UniqueFd file) {
    file_ = std::move(file);
    offset_ = 0;
}

std::optional<std::size_t> LogWatch::place_of_file() const {
    struct stat ours {};
    if (!file_ || ::fstat(file_.get(), &ours) != 0) return std::nullopt;
    for (std::size_t place = 0; place < output_file::names.size(); ++place) {
        if (inode_of(directory_.get(), output_file::names[place]) == ours.st_ino) return place;
    }
    return std::nullopt;
}

// The shim empties a full file that it can't move away.
bool LogWatch::is_emptied() {
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0 || status.st_size >= offset_) return false;
    offset_ = 0;
    line_.clear();
    return true;
}

void LogWatch::feed(std::string_view bytes) {
    while (!bytes.empty() && !has_matched_) {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size());
        const std::size_t room = longest_line - std::min(longest_line, line_.size());
        line_ += bytes.substr(0, std::min(end, room));
        if (end == bytes.size()) return;
        test_line();
        line_.clear();
        bytes.remove_prefix(end + 1);
    }
}

// A line may hold NUL bytes: its length counts. The end of a line from Windows is no part of it.
void LogWatch::test_line() {
    if (line_.ends_with('\r')) line_.pop_back();
    regmatch_t whole{0, static_cast<regoff_t>(line_.size())};
    has_matched_ = ::regexec(&compiled_, line_.c_str(), 1, &whole, REG_STARTEND) == 0;
}

}  // namespace jamsock
