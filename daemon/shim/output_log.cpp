#include "daemon/shim/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace jamsock {

namespace {

constexpr const char* log_name = "output.log";
constexpr const char* older_name = "output.log.1";
constexpr const char* oldest_name = "output.log.2";
constexpr std::uint64_t rotation_size = 10 * 1024 * 1024;
constexpr std::size_t buffer_size = 8 * 1024;
constexpr std::size_t largest_pipe = 1024 * 1024;  // /proc/sys/fs/pipe-max-size, as it comes

}  // namespace

bool OutputLog::open() {
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) return false;
    reader_.reset(pipe[0]);
    writer_.reset(pipe[1]);
    return ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK) == 0 && open_file();
}

void OutputLog::copy() {
    copy_once();
}

void OutputLog::drain() {
    for (std::size_t round = 0; round < largest_pipe / buffer_size; ++round) {
        if (!copy_once()) return;
    }
}

bool OutputLog::copy_once() {
    if (!reader_) return false;
    char buffer[buffer_size];
    const ssize_t length = ::read(reader_.get(), buffer, sizeof buffer);
    if (length > 0) {
        append(buffer, static_cast<std::size_t>(length));
        return true;
    }
    if (length == 0 || (errno != EAGAIN && errno != EINTR)) reader_.reset();
    return false;
}

bool OutputLog::open_file() {
    file_.reset(::openat(directory_, log_name,
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat status {};
    if (!file_ || ::fstat(file_.get(), &status) != 0) return false;
    file_size_ = static_cast<std::uint64_t>(status.st_size);
    return true;
}

void OutputLog::append(const char* bytes, std::size_t size) {
    if (file_size_ >= rotation_size) rotate();
    if (!file_) open_file();
    while (size > 0) {
        const ssize_t written = file_ ? ::write(file_.get(), bytes, size) : -1;
        if (written < 0 && file_ && errno == EINTR) continue;
        if (written <= 0) break;
        bytes += written;
        size -= static_cast<std::size_t>(written);
        file_size_ += static_cast<std::uint64_t>(written);
    }
    dropped_ += size;
}

// If the full file can't be moved away it is emptied: its size is a promise to the disk.
void OutputLog::rotate() {
    ::renameat(directory_, older_name, directory_, oldest_name);
    if (::renameat(directory_, log_name, directory_, older_name) == 0) {
        open_file();
    } else if (::ftruncate(file_.get(), 0) == 0) {
        file_size_ = 0;
    }
}

}  // namespace jamsock
