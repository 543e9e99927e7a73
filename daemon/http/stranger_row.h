// The clients of a server that have not shown yet that they may be here, in the order in which they
// came (daemon/admission.h): other users' have no more than places of their own, and the newest
// always gets in. On the server's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace jamsock {

class StrangerRow {
  public:
    struct Rules {
        std::size_t places = 0;
        uid_t own_user = 0;
        // Whose the other end of the socket is; nothing: that can't be told.
        std::function<std::optional<uid_t>(int fd)> user_of = {};
    };

    explicit StrangerRow(Rules rules) : rules_(std::move(rules)) {}

    // Gives the number by which it leaves. `put_out` is called when its place is needed, or at
    // once; by then it has left.
    std::uint64_t enter(int fd, std::function<void()> put_out);
    // Idempotent.
    void leave(std::uint64_t number);
    std::size_t count() const { return row_.size(); }

  private:
    struct Stranger {
        std::uint64_t number = 0;
        int fd = -1;
        std::function<void()> put_out;
        bool was_asked = false;
        std::optional<uid_t> user = {};
    };

    void ask();

    Rules rules_;
    std::uint64_t last_number_ = 0;
    std::vector<Stranger> row_;
};

}  // namespace jamsock
