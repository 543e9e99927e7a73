#include "daemon/log_queue.h"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

constexpr std::string_view cut_mark = "…\n";

// Up to `size` bytes of a longer text, in whole characters.
std::string_view beginning(std::string_view text, std::size_t size) {
    while (size > 0 && is_continuation(text[size]))
        --size;
    return text.substr(0, size);
}

// A descriptor that somebody else made non-blocking is waited for all the same.
void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (written < 0 && errno == EAGAIN) {
            pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&writable, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return;  // a full disk, or nobody who could read: the daemon goes on without
        }
    }
}

}  // namespace

struct LogQueue::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::string waiting;
    bool is_writing = false;
    bool is_over = false;
    std::uint64_t lost = 0;
    std::uint64_t lost_told = 0;

    bool is_idle() const { return waiting.empty() && !is_writing; }

    void run(int fd, const LogFile& file) {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [this] { return !waiting.empty() || is_over; });
            if (waiting.empty()) return;
            const std::string bytes = std::exchange(waiting, {}) + word_of_loss();
            is_writing = true;
            lock.unlock();
            file.make_room(bytes.size());
            write_all(fd, bytes);
            lock.lock();
            is_writing = false;
            changed.notify_all();
        }
    }

    // Behind what came before the loss.
    std::string word_of_loss() {
        if (lost == lost_told) return {};
        return fmt::format("jamsockd: {} lines of this log were lost, as nobody read it\n",
                           lost - std::exchange(lost_told, lost));
    }
};

LogQueue::LogQueue(int fd, LogFile file) : shared_(std::make_shared<Shared>()) {
    std::thread([shared = shared_, fd, file] { shared->run(fd, file); }).detach();
}

LogQueue::~LogQueue() {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait_for(lock, timeouts::log_flush, [this] { return shared_->is_idle(); });
    shared_->is_over = true;
    shared_->changed.notify_all();
}

void LogQueue::add(std::string_view line) {
    const bool is_cut = line.size() > longest_line;
    const std::string_view end = is_cut ? cut_mark : std::string_view();
    if (is_cut) line = beginning(line, longest_line - end.size());
    const std::lock_guard lock(shared_->mutex);
    if (shared_->waiting.size() + line.size() + end.size() > most_bytes) {
        ++shared_->lost;
        return;
    }
    shared_->waiting.append(line).append(end);
    shared_->changed.notify_all();
}

std::uint64_t LogQueue::lost_lines() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->lost;
}

}  // namespace jamsock
