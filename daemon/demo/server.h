// cpp-httplib's server, with what a page of server-sent events needs of it:
//  - a handler knows its client's socket, so that a stream ends at once when the client goes;
//  - an exception in a stream ends that stream alone;
//  - connections wait in a queue of the kernel's full length, not of 5.
// Each connection has a thread of its own, and carries one request.
#pragma once

#include <httplib.h>

#include <cstddef>

namespace jamsock::demo {

class Server : public httplib::Server {
  public:
    // More connections than `threads` at once wait for one that ends.
    explicit Server(std::size_t threads);

    // On 127.0.0.1, until the process ends; false if the port can't be had.
    bool serve(int port);

    // The socket of the request that the calling thread handles.
    static int client_socket();

  private:
    bool process_and_close_socket(socket_t socket) override;

    int listener_ = -1;  // the base class's own
};

}  // namespace jamsock::demo
