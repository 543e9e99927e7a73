// A subscriber of server-sent events that takes nothing but what the contract has: one chunk an
// event, one `data:` line in it. Every wait ends at a deadline.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "common/runtime_paths.h"
#include "tests/support/home.h"
#include "tests/support/raw_socket.h"

namespace jamsock::test {

class EventStream {
  public:
    // Over the daemon's socket.
    EventStream(const Home& home, const std::string& target)
        : EventStream(RawSocket::connect(home.path() + "/" + state_file::socket), target) {}
    // Over TCP, as pages and SDKs do: of what is public.
    EventStream(std::uint16_t api_port, const std::string& target)
        : EventStream(RawSocket::connect(api_port), target) {}

    // Of the answer; to be read first.
    std::string head() { return socket_.read_until("\r\n\r\n"); }
    bool is_accepted() { return head().starts_with("HTTP/1.1 200 "); }

    // The next event's data, as parsers have it; nothing after the regular end.
    std::optional<std::string> next() {
        const std::string size_line = socket_.read_until("\r\n");
        const std::size_t size = std::strtoul(size_line.c_str(), nullptr, 16);
        const std::string chunk = socket_.read_exactly(size + 2);
        REQUIRE(chunk.size() == size + 2);
        REQUIRE(chunk.ends_with("\r\n"));
        if (size == 0) return std::nullopt;
        REQUIRE(chunk.starts_with("data:"));
        REQUIRE(chunk.find_first_of("\r\n") == chunk.size() - 4);
        REQUIRE(chunk.ends_with("\n\n\r\n"));
        const std::size_t begin = chunk.starts_with("data: ") ? 6 : 5;
        return chunk.substr(begin, chunk.size() - 4 - begin);
    }
    // All that are left, each with a line end; the test fails if there is no regular end.
    std::string rest() {
        std::string lines;
        while (const auto event = next())
            lines += *event + '\n';
        return lines;
    }

    RawSocket& socket() { return socket_; }

  private:
    EventStream(RawSocket socket, const std::string& target) : socket_(std::move(socket)) {
        socket_.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }

    RawSocket socket_;
};

}  // namespace jamsock::test
