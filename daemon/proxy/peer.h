// Whether the client of a connection that has sent its end (FIN) is still there to read the answer.
// TCP says the same of shutdown(SHUT_WR) and of close; the kernel, which has both ends of a
// loopback connection, knows more. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>

namespace jamsock {

class TcpInquiry;

enum class PeerState {
    open,     // a process has the peer's socket: it was only half-closed, and is read
    gone,     // it was closed: nobody reads
    unknown,  // the peer isn't on this machine's loopback, or the kernel doesn't tell
};

// `socket` is a connected TCP socket of this process, IPv4 or IPv6. A close shows in two steps, the
// FIN first: ask again a moment later before you believe `open`. Where a packet filter rewrites
// loopback's addresses, a peer that is there is taken for gone.
PeerState peer_state(int socket);

// The user of this machine who opened the other end of `socket`, as above. Nothing: it is closed,
// or that can't be told.
std::optional<uid_t> peer_user(TcpInquiry& inquiry, int socket);

}  // namespace jamsock
