#include "daemon/proxy/port_guard.h"

namespace jamsock {

PortVerdict judge_listener(const KnownListener& known, const TcpInquiry::Answer& listener) {
    if (!listener.is_known) return PortVerdict::strange;
    if (!listener.socket) return PortVerdict::undecided;
    if (listener.socket->user != known.user) return PortVerdict::strange;
    return listener.socket->cookie == known.cookie ? PortVerdict::ours : PortVerdict::undecided;
}

bool is_users_connection(const KnownListener& known, const TcpInquiry::Answer& listener,
                         const TcpInquiry::Answer& other_end) {
    if (!other_end.socket) return false;
    if (other_end.socket->inode == 0) return listener.socket.has_value();
    return other_end.socket->user == known.user;
}

// The listener first: who still waits to be accepted after that waits at this one.
bool PortGuard::is_backends(int socket) {
    const TcpInquiry::Answer listener = inquiry_.listener(place_);
    const PortVerdict verdict = judge_listener(known_, listener);
    if (verdict != PortVerdict::undecided) return verdict == PortVerdict::ours;
    const auto ends = ends_of(socket);
    const auto other_end = ends ? inquiry_.connected(ends->peer, ends->here) : TcpInquiry::Answer{};
    const bool is_users = is_users_connection(known_, listener, other_end);
    if (listener.socket) known_.cookie = listener.socket->cookie;
    return is_users;
}

}  // namespace jamsock
