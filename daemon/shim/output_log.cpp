#include "daemon/shim/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "common/output_files.h"

namespace jamsock {

namespace {

constexpr std::uint64_t rotation_size = 10 * 1024 * 1024;
// From here on a file ends with the next line, so that lines up to this margin aren't cut.
constexpr std::uint64_t full_at_line_end = rotation_size - 64 * 1024;
constexpr std::size_t buffer_size = 64 * 1024;
constexpr int reads_at_once = 16;
// A backend that writes much is held up less often. Not larger: beyond 64 MiB of pipes the kernel
// gives an ordinary user only tiny ones (pipe-user-pages-soft).
constexpr int pipe_size = 256 * 1024;

const char* reason_of(int error) {
    if (error == ENOSPC || error == EDQUOT) return "the disk was full";
    return ::strerrordesc_np(error);
}

}  // namespace

std::int64_t OutputLog::wall_time() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

bool OutputLog::open() {
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) return false;
    reader_.reset(pipe[0]);
    writer_.reset(pipe[1]);
    ::fcntl(reader_.get(), F_SETPIPE_SZ, pipe_size);
    return ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK) == 0 && lock_directory() && open_file();
}

void OutputLog::copy() {
    for (int reads = 0; reads < reads_at_once; ++reads) {
        if (copy_once() < buffer_size) return;
    }
}

void OutputLog::drain() {
    const int capacity = reader_ ? ::fcntl(reader_.get(), F_GETPIPE_SZ) : 0;
    const std::size_t most_reads =
        static_cast<std::size_t>(std::max(capacity, 0)) / buffer_size + 1;
    for (std::size_t reads = 0; reads < most_reads; ++reads) {
        if (copy_once() == 0) return;
    }
}

void OutputLog::finish() {
    drain();
    tell_losses();
}

std::size_t OutputLog::copy_once() {
    if (!reader_) return 0;
    char buffer[buffer_size];
    const ssize_t length = ::read(reader_.get(), buffer, sizeof buffer);
    if (length > 0) {
        append(buffer, static_cast<std::size_t>(length));
        return static_cast<std::size_t>(length);
    }
    if (length == 0 || (errno != EAGAIN && errno != EINTR)) reader_.reset();
    return 0;
}

// Through an opening of our own: a lock belongs to one, and ours is shared with the daemon.
bool OutputLog::lock_directory() {
    directory_lock_.reset(::openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    return directory_lock_ && ::fcntl(directory_lock_.get(), F_OFD_SETLK, &lock) == 0;
}

bool OutputLog::open_file() {
    file_.reset(::openat(directory_, output_file::names.front(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat status {};
    if (!file_ || ::fstat(file_.get(), &status) != 0) return false;
    file_size_ = static_cast<std::uint64_t>(status.st_size);
    at_line_start_ = file_size_ == 0;
    times_.begin(directory_, status.st_ino);
    return true;
}

void OutputLog::append(const char* bytes, std::size_t size) {
    while (size > 0) {
        if (is_full()) rotate();
        const bool works = tell_losses();
        const std::size_t part = part_for_this_file(bytes, size);
        const std::size_t written = works ? write(bytes, part) : 0;
        if (written < part) lose(part - written);
        bytes += part;
        size -= part;
    }
}

bool OutputLog::is_full() const {
    return file_size_ >= rotation_size || times_.is_full() ||
           (file_size_ >= full_at_line_end && at_line_start_);
}

// Up to the line end at which the file is full. All of it if the file could not be rotated.
std::size_t OutputLog::part_for_this_file(const char* bytes, std::size_t size) const {
    if (file_size_ + size <= full_at_line_end || file_size_ >= rotation_size) return size;
    const auto room = static_cast<std::size_t>(rotation_size - file_size_);
    const auto start =
        static_cast<std::size_t>(full_at_line_end - std::min(file_size_, full_at_line_end));
    const std::size_t end = std::min(size, room);
    const void* newline = ::memchr(bytes + start, '\n', end - start);
    return newline ? static_cast<std::size_t>(static_cast<const char*>(newline) - bytes) + 1 : end;
}

// Gives how much of it was written; errno says why not all.
std::size_t OutputLog::write(const char* bytes, std::size_t size) {
    times_.note(file_size_, clock_());
    std::size_t done = 0;
    while (done < size) {
        const ssize_t written = ::write(file_.get(), bytes + done, size - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        done += static_cast<std::size_t>(written);
    }
    file_size_ += done;
    if (done > 0) at_line_start_ = bytes[done - 1] == '\n';
    return done;
}

void OutputLog::lose(std::size_t bytes) {
    last_error_ = errno;
    dropped_ += bytes;
    untold_ += bytes;
}

// Whether the file can be written, and nothing is left to tell. A line that fits only in part is
// taken back.
bool OutputLog::tell_losses() {
    if (!file_ && !open_file()) return false;
    if (untold_ == 0) return true;
    char line[160];
    const int length =
        ::snprintf(line, sizeof line, "%s[jamsock: %llu bytes of output were lost: %s]\n",
                   at_line_start_ ? "" : "\n", static_cast<unsigned long long>(untold_),
                   reason_of(last_error_));
    const std::uint64_t size_before = file_size_;
    const bool was_at_line_start = at_line_start_;
    const auto wanted = static_cast<std::size_t>(length);
    if (write(line, wanted) == wanted) {
        untold_ = 0;
        return true;
    }
    const int error = errno;
    if (file_size_ > size_before &&
        ::ftruncate(file_.get(), static_cast<off_t>(size_before)) == 0) {
        file_size_ = size_before;
        at_line_start_ = was_at_line_start;
    }
    errno = error;
    return false;
}

// If the full file can't be moved away it is emptied: its size is a promise to the disk.
void OutputLog::rotate() {
    for (std::size_t age = output_file::names.size() - 1; age > 0; --age) {
        ::renameat(directory_, output_file::times_names[age - 1], directory_,
                   output_file::times_names[age]);
        if (::renameat(directory_, output_file::names[age - 1], directory_,
                       output_file::names[age]) != 0 &&
            age == 1 && ::ftruncate(file_.get(), 0) != 0) {
            return;
        }
    }
    open_file();
}

}  // namespace jamsock
