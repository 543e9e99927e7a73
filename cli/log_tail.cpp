#include "cli/log_tail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/text.h"

namespace jamsock {

namespace {

constexpr std::size_t block = 64 * 1024;

std::size_t size_of(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
}

}  // namespace

std::string read_at(int fd, std::size_t offset, std::size_t size) {
    std::string text(size, '\0');
    const ssize_t got = ::pread(fd, text.data(), size, static_cast<off_t>(offset));
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

std::size_t start_of_last_lines(const ReadAt& read, std::size_t size, std::size_t lines) {
    if (lines == 0) return size;
    std::size_t newlines_left = lines;
    for (std::size_t end = size; end > 0;) {
        const std::size_t start = end > block ? end - block : 0;
        const std::string text = read(start, end - start);
        for (std::size_t i = text.size(); i-- > 0;) {
            const bool ends_the_file = start + i + 1 == size;
            if (text[i] != '\n' || ends_the_file) continue;
            if (--newlines_left == 0) return start + i + 1;
        }
        end = start;
    }
    return 0;
}

std::size_t start_of_last_lines(int fd, std::size_t lines) {
    return start_of_last_lines(
        [fd](std::size_t offset, std::size_t size) { return read_at(fd, offset, size); },
        size_of(fd), lines);
}

std::string LineEscaper::add(std::string_view bytes) {
    std::string lines;
    for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
        unfinished_ += bytes.substr(0, end);
        lines += escaped(std::exchange(unfinished_, {})) + '\n';
        bytes.remove_prefix(end + 1);
    }
    unfinished_ += bytes;
    return lines;
}

std::string LineEscaper::finish() {
    if (unfinished_.empty()) return {};
    return escaped(std::exchange(unfinished_, {})) + '\n';
}

std::string LineReader::read_lines(bool end_of_file) {
    std::string lines;
    for (std::string text = read_at(file_.get(), offset_, block); !text.empty();
         text = read_at(file_.get(), offset_, block)) {
        offset_ += text.size();
        lines += lines_.add(text);
    }
    if (end_of_file) lines += lines_.finish();
    return lines;
}

bool LineReader::is_at(int other) const {
    struct stat here {
    }, there{};
    if (::fstat(file_.get(), &here) != 0 || ::fstat(other, &there) != 0) return false;
    return here.st_dev == there.st_dev && here.st_ino == there.st_ino && size_of(other) >= offset_;
}

}  // namespace jamsock
