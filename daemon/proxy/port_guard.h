// Whether what was just connected to at a backend's port is the backend still: a port whose backend
// has ended is anybody's, before the daemon hears of the end. One for a backend and a loop, on
// whose thread it is.
#pragma once

#include "daemon/known_listener.h"
#include "daemon/tcp_sockets.h"

namespace jamsock {

// What the socket that takes connections to the port now says of one that was made before.
enum class PortVerdict {
    ours,       // it was listening when the backend became ready, and so when this one was made
    strange,    // another user listens, or nobody can tell
    undecided,  // another socket of the same user listens, or none: is the connection that user's?
};
PortVerdict judge_listener(const KnownListener& known, const TcpInquiry::Answer& listener);

// The last word where that is undecided, from the connection's other end. One that is not accepted
// yet waits at whoever listens.
bool is_users_connection(const KnownListener& known, const TcpInquiry::Answer& listener,
                         const TcpInquiry::Answer& other_end);

class PortGuard {
  public:
    // `inquiry` outlives it.
    PortGuard(TcpInquiry& inquiry, const TcpEndpoint& place, const KnownListener& known)
        : inquiry_(inquiry), place_(place), known_(known) {}

    // `socket` is connected to the place. A listener that the same user has opened anew is known
    // from then on.
    bool is_backends(int socket);

  private:
    TcpInquiry& inquiry_;
    TcpEndpoint place_;
    KnownListener known_;
};

}  // namespace jamsock
