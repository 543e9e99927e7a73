#include "daemon/proxy/backend_connection.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/timeouts.h"
#include "daemon/descriptor_share.h"
#include "daemon/loopback_address.h"

namespace jamsock {

namespace {

constexpr std::size_t most_idle = 512;

// 0, or the error of connect(2).
int begin_to_connect(int fd, const LoopbackAddress& address) {
    const int done = ::connect(fd, address.get(), address.size());
    return done == 0 || errno == EINPROGRESS ? 0 : errno;
}

}  // namespace

std::unique_ptr<BackendConnection> BackendConnection::open(EventLoop& loop, const Route& route,
                                                           std::shared_ptr<PortGuard> guard,
                                                           bool is_last_resort) {
    const int family = route.is_ipv6 ? AF_INET6 : AF_INET;
    UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return nullptr;
    const auto number = static_cast<std::size_t>(fd.get());
    if (must_leave_free(DescriptorUse::exchange, number) && !is_last_resort) return nullptr;
    const int failed = begin_to_connect(fd.get(), {family, route.port});
    auto connection = std::make_unique<BackendConnection>(loop, std::move(fd));
    if (!connection->stream_.watch(loop, *connection)) return nullptr;
    if (failed != 0) connection->stream_.fail(failed);
    if (guard) connection->stream_.hold_back();
    connection->guard_ = std::move(guard);
    loop.set(*connection, timeouts::backend_connect);
    return connection;
}

BackendConnection::BackendConnection(EventLoop& loop, UniqueFd fd)
    : loop_(loop), stream_(std::move(fd)) {
}

void BackendConnection::serve(Watcher& user) {
    user_ = &user;
}

void BackendConnection::end(EventLoop& loop, std::unique_ptr<BackendConnection> connection) {
    if (!connection) return;
    connection->user_ = nullptr;
    connection->pool_ = nullptr;
    connection->clear();
    connection->stream_.close();
    loop.bury(std::move(connection));
}

void BackendConnection::on_ready(std::uint32_t events) {
    if (!stream_.is_open()) return;
    if ((events & EPOLLOUT) && !is_connected_) on_connected(events);
    stream_.note(events);
    if (user_) return user_->on_ready(0);
    // Nobody asked it anything: it has closed, or talks nonsense.
    if (pool_ && stream_.may_have_input()) pool_->drop(*this);
}

// Or that failed, which whoever reads learns.
void BackendConnection::on_connected(std::uint32_t events) {
    is_connected_ = true;
    clear();
    const std::shared_ptr<PortGuard> guard = std::move(guard_);
    if (!guard || (events & (EPOLLERR | EPOLLHUP))) return;
    if (guard->is_backends(stream_.fd())) {
        stream_.let_go();
    } else {
        stream_.fail(EACCES);
        stream_.close();  // what a stranger says is no answer
    }
}

void BackendConnection::on_due() {
    if (pool_) return pool_->drop(*this);
    stream_.fail(ETIMEDOUT);
    if (user_) user_->on_ready(0);
}

std::unique_ptr<BackendConnection> BackendPool::take(bool surely_open) {
    while (!idle_.empty()) {
        std::unique_ptr<BackendConnection> last = std::move(idle_.back());
        idle_.pop_back();
        char unasked = 0;
        const bool is_quiet =
            !surely_open || (::recv(last->stream_.fd(), &unasked, 1, MSG_PEEK) < 0 &&
                             (errno == EAGAIN || errno == EWOULDBLOCK));
        if (is_quiet) {
            last->pool_ = nullptr;
            last->clear();
            return last;
        }
        BackendConnection::end(loop_, std::move(last));
    }
    return nullptr;
}

void BackendPool::put(std::unique_ptr<BackendConnection> connection) {
    if (idle_.size() >= most_idle) return BackendConnection::end(loop_, std::move(connection));
    connection->user_ = nullptr;
    connection->pool_ = this;
    connection->was_used_ = true;
    loop_.set(*connection, timeouts::backend_keep_alive);
    idle_.push_back(std::move(connection));
}

void BackendPool::drop(BackendConnection& connection) {
    const auto found =
        std::ranges::find(idle_, &connection, &std::unique_ptr<BackendConnection>::get);
    std::unique_ptr<BackendConnection> dropped = std::move(*found);
    idle_.erase(found);
    BackendConnection::end(loop_, std::move(dropped));
}

void BackendPool::clear() {
    for (auto& connection : idle_)
        BackendConnection::end(loop_, std::move(connection));
    idle_.clear();
}

}  // namespace jamsock
