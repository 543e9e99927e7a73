#include "daemon/backends/log_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/output_files.h"

namespace jamsock {

namespace {

constexpr std::size_t piece = 64 * 1024;

// Not the wall's, which passes while others have the processor.
std::chrono::nanoseconds thread_time() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::optional<ino_t> inode_of(int directory, const char* name) {
    struct stat status {};
    if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    return status.st_ino;
}

}  // namespace

LogWatch::LogWatch(int backend_directory, std::string pattern)
    : directory_(::fcntl(backend_directory, F_DUPFD_CLOEXEC, 0)), pattern_(std::move(pattern)) {
}

bool LogWatch::look() {
    if (!can_match()) return false;
    end_of_look_ = thread_time() + longest_look;
    while (!has_matched_ && !is_spent()) {
        if (!read_piece() && !move_on()) break;
    }
    return has_matched_;
}

bool LogWatch::can_match() {
    if (!is_compiled_) {
        is_compiled_ = true;
        if (auto compiled = LogPattern::compile(pattern_)) compiled_ = std::move(*compiled);
    }
    return compiled_.has_value();
}

bool LogWatch::is_spent() const {
    return thread_time() >= end_of_look_;
}

bool LogWatch::read_piece() {
    if (!file_) return false;
    std::array<char, piece> bytes;
    const ssize_t length = ::pread(file_.get(), bytes.data(), bytes.size(), offset_);
    if (length <= 0) return false;
    const std::string_view read(bytes.data(), static_cast<std::size_t>(length));
    offset_ += static_cast<off_t>(feed(read));
    return true;
}

// To the next file, if there is one, or back to the start of one that was emptied.
bool LogWatch::move_on() {
    const auto place = place_of_file();
    if (place == 0) return is_emptied();
    if (!place) return begin_at_oldest();
    // Nothing comes behind this file any more; what came since the last read is read first.
    while (read_piece()) {
        if (is_spent()) return true;
    }
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

// Gives how many of the bytes were used: all, unless a line has matched or the look is over.
std::size_t LogWatch::feed(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && !has_matched_ && !is_spent()) {
        const std::string_view rest = bytes.substr(used);
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::size_t room = longest_line - std::min(longest_line, line_.size());
        line_ += rest.substr(0, std::min(end, room));
        if (end == rest.size()) return bytes.size();
        test_line();
        line_.clear();
        used += end + 1;
    }
    return used;
}

// The end of a line from Windows is no part of it.
void LogWatch::test_line() {
    std::string_view line = line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    has_matched_ = compiled_->matches(line);
}

}  // namespace jamsock
