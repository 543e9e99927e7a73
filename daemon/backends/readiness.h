// Waits until a backend answers HTTP on its port (CONTRACT, Life of a backend: ready). Control
// thread; /proc is read on the helper thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "daemon/asio.h"
#include "daemon/backends/port_owner.h"
#include "daemon/helper_thread.h"

namespace jamsock {

// Whether one `HEAD /` to 127.0.0.1:port is answered by something that begins with "HTTP/".
Task<bool> answers_http(std::uint16_t port);

// Probes, often at first and then every 20 ms, until the backend whose shim is `shim` is ready
// (true), the deadline passes, or `is_over` says that nobody waits any more.
Task<bool> wait_until_ready(std::uint16_t port, pid_t shim, Deadline deadline, HelperThread& helper,
                            std::function<bool()> is_over);

}  // namespace jamsock
