#include "tests/support/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

namespace jamsock::test {

void die(const char* what) {
    ::perror(what);
    ::_exit(70);
}

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

void Journal::write(const char* event) const {
    const std::string line =
        std::string(event) + ' ' + token_ + ' ' + std::to_string(::getpid()) + ' ' + role_ + '\n';
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || !write_all(fd, line)) die("journal");
    ::close(fd);
}

void Journal::lock(const std::string& file) const {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT, 0600);
    if (fd < 0) die("resource");
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) write("OVERLAP");
}

void Journal::lock_own(const std::string& resource) const {
    const std::string file = resource + '.' + role_;
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) die("resource");
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) write("OVERLAP");
}

}  // namespace jamsock::test
