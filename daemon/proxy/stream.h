// One connected socket of the proxy: reads and writes without waiting, remembers what epoll said of
// it, and keeps the output that its kernel buffer has not taken yet. Holds no buffer while
// nothing flows. On its loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/unique_fd.h"
#include "daemon/proxy/event_loop.h"

namespace jamsock {

class Stream {
  public:
    explicit Stream(UniqueFd fd);  // small pieces go out at once
    Stream(Stream&&) noexcept = default;
    Stream& operator=(Stream&&) = delete;
    ~Stream() { close(); }

    int fd() const { return fd_.get(); }
    bool is_open() const { return static_cast<bool>(fd_); }

    // Has `watcher` called about it until it is closed. False: the kernel takes no more.
    bool watch(EventLoop& loop, Watcher& watcher);
    // … another one from now on, which is told anew what is ready.
    void hand_over(Watcher& watcher);
    // Takes in what epoll said.
    void note(std::uint32_t events);

    enum class Got { data, nothing, end, broken };
    struct Read {
        Got got;
        std::size_t size = 0;
    };
    // Asks the kernel only if something may have come.
    Read read(std::span<char> room);
    bool may_have_input() const { return may_have_input_; }
    // The other side has sent its last byte, which may still be unread.
    bool peer_has_ended() const { return peer_has_ended_; }
    // Both directions are over: who sent to it was told off, or it broke.
    bool is_hung_up() const { return is_hung_up_; }
    bool is_broken() const { return error_ != 0; }
    int error() const { return error_; }  // as errno has it; 0: not broken
    void fail(int error);

    // Writes the pieces in order, and keeps what the kernel does not take: a caller that may wait
    // sends nothing more before `has_pending` is false. False: it is broken.
    bool write(std::span<const std::string_view> pieces);
    bool write(std::string_view text) { return write(std::span(&text, 1)); }
    bool has_pending() const { return pending_ != nullptr; }

    // Until `let_go` nothing goes out: what is written is kept.
    void hold_back() { is_held_back_ = true; }
    void let_go();

    void shut_down_sending();
    void close();
    void reset();  // the peer sees a broken connection, not an end

  private:
    struct Pending {
        std::string bytes;
        std::size_t written = 0;
    };

    std::size_t send(std::span<const std::string_view> pieces);
    void keep(std::span<const std::string_view> pieces, std::size_t written);
    void flush();

    UniqueFd fd_;
    EventLoop* loop_ = nullptr;  // that watches it
    bool may_have_input_ = false;
    bool peer_has_ended_ = false;
    bool is_hung_up_ = false;
    bool is_held_back_ = false;
    int error_ = 0;
    std::unique_ptr<Pending> pending_;
};

// What came of one stream and is not used up: text that needs more before it can be used is kept.
class Inflow {
  public:
    struct Incoming {
        Stream::Got got;
        std::string_view text;  // valid until the next call for any stream of the loop
    };
    // What was kept, unless it was seen in vain already; else that and what is read now.
    Incoming next(Stream& stream, std::span<char> scratch);
    // `rest`: the end of the last text. `needs_more`: it can't be used as it is.
    void keep(std::string_view rest, bool needs_more);
    std::string_view kept() const { return std::string_view(kept_).substr(used_); }
    bool needs_more() const { return needs_more_ || kept_.empty(); }

  private:
    std::string kept_;
    std::size_t used_ = 0;  // of it, from its begin
    bool needs_more_ = false;
};

}  // namespace jamsock
