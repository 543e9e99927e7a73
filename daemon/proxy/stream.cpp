#include "daemon/proxy/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

namespace jamsock {

namespace {

constexpr std::size_t pieces_per_call = 64;
constexpr std::uint32_t watched_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

bool means_later(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

Stream::Stream(UniqueFd fd) : fd_(std::move(fd)) {
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool Stream::watch(EventLoop& loop, Watcher& watcher) {
    if (!loop.watch(fd(), watched_events, watcher)) return false;
    loop_ = &loop;
    return true;
}

void Stream::hand_over(Watcher& watcher) {
    loop_->hand_over(fd(), watched_events, watcher);
}

void Stream::note(std::uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) may_have_input_ = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) peer_has_ended_ = true;
    if (events & (EPOLLHUP | EPOLLERR)) is_hung_up_ = true;
    if ((events & EPOLLOUT) && pending_ && !is_held_back_) flush();
}

// A read that leaves room has emptied the socket, and what comes later is told by an edge; only an
// end that was told already is told no more.
Stream::Read Stream::read(std::span<char> room) {
    if (!is_open()) return {Got::broken};
    if (!may_have_input_) return {is_broken() ? Got::broken : Got::nothing};
    const ssize_t size = ::recv(fd(), room.data(), room.size(), 0);
    if (size > 0) {
        const auto count = static_cast<std::size_t>(size);
        if (count < room.size() && !peer_has_ended_) may_have_input_ = false;
        if (loop_) loop_->count_read(count);
        return {Got::data, count};
    }
    if (size == 0) {
        may_have_input_ = false;
        peer_has_ended_ = true;
        return {Got::end};
    }
    if (means_later(errno)) {
        may_have_input_ = errno == EINTR;
        return {is_broken() ? Got::broken : Got::nothing};
    }
    error_ = errno;
    may_have_input_ = false;
    return {Got::broken};
}

bool Stream::write(std::span<const std::string_view> pieces) {
    if (!is_open() || is_broken()) return false;
    const std::size_t written = pending_ || is_held_back_ ? 0 : send(pieces);
    keep(pieces, written);
    return !is_broken();
}

// How much went out.
std::size_t Stream::send(std::span<const std::string_view> pieces) {
    std::size_t written = 0;
    while (!pieces.empty()) {
        std::array<iovec, pieces_per_call> vectors;
        const std::size_t count = std::min(pieces.size(), vectors.size());
        std::size_t wanted = 0;
        for (std::size_t i = 0; i < count; ++i) {
            vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
            wanted += pieces[i].size();
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t size = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
        if (size < 0) {
            if (!means_later(errno)) fail(errno);
            return written;
        }
        written += static_cast<std::size_t>(size);
        if (static_cast<std::size_t>(size) < wanted) return written;
        pieces = pieces.subspan(count);
    }
    return written;
}

void Stream::keep(std::span<const std::string_view> pieces, std::size_t written) {
    for (std::string_view piece : pieces) {
        const std::size_t gone = std::min(written, piece.size());
        written -= gone;
        piece.remove_prefix(gone);
        if (piece.empty()) continue;
        if (!pending_) pending_ = std::make_unique<Pending>();
        pending_->bytes.append(piece);
    }
}

void Stream::flush() {
    const std::string_view rest = std::string_view(pending_->bytes).substr(pending_->written);
    pending_->written += send(std::span(&rest, 1));
    if (pending_->written == pending_->bytes.size() || is_broken()) pending_.reset();
}

void Stream::let_go() {
    is_held_back_ = false;
    if (pending_) flush();
}

// What came before may still be read.
void Stream::fail(int error) {
    error_ = error;
    may_have_input_ = true;
}

void Stream::shut_down_sending() {
    ::shutdown(fd(), SHUT_WR);
}

// A process that is being spawned has all descriptors for a moment: until then a mere close would
// leave the socket open, and its owner called after its end.
void Stream::close() {
    if (is_open() && loop_) loop_->unwatch(fd());
    fd_.reset();
    pending_.reset();
    may_have_input_ = false;
}

void Stream::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    if (is_open()) ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

Inflow::Incoming Inflow::next(Stream& stream, std::span<char> scratch) {
    if (!needs_more()) return {Stream::Got::data, kept()};
    const Stream::Read read = stream.read(scratch);
    if (read.got != Stream::Got::data) return {read.got, kept()};
    needs_more_ = false;
    const std::string_view fresh(scratch.data(), read.size);
    if (kept_.empty()) return {read.got, fresh};
    kept_.erase(0, std::exchange(used_, 0));
    kept_.append(fresh);
    return {read.got, kept_};
}

void Inflow::keep(std::string_view rest, bool needs_more) {
    needs_more_ = needs_more;
    const bool is_ours = rest.data() >= kept_.data() && rest.data() <= kept_.data() + kept_.size();
    if (rest.empty()) {
        std::string().swap(kept_);
        used_ = 0;
    } else if (is_ours) {
        used_ = kept_.size() - rest.size();
    } else {
        kept_.assign(rest);
        used_ = 0;
    }
}

}  // namespace jamsock
