// sd_notify(3) by hand.
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/unique_fd.h"

namespace jamsock::test {

// The value of NOTIFY_SOCKET in "NAME=value" entries; empty if it isn't there.
inline std::string notify_socket_in(const std::vector<std::string>& environment) {
    constexpr std::string_view name = "NOTIFY_SOCKET=";
    for (const std::string& entry : environment) {
        if (entry.starts_with(name)) return entry.substr(name.size());
    }
    return {};
}

// Whether the message was taken by the abstract socket "@…".
inline bool notify(const std::string& socket_name, std::string_view message) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (!socket_name.starts_with('@')) return false;
    socket_name.copy(address.sun_path + 1, sizeof address.sun_path - 1, 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name.size());
    return ::sendto(socket.get(), message.data(), message.size(), 0,
                    reinterpret_cast<const sockaddr*>(&address),
                    size) == static_cast<ssize_t>(message.size());
}

}  // namespace jamsock::test
