// Who has to go when strangers, that is clients of other users of this machine who have not shown
// yet that they may be here, hold all the places that strangers may have (README, Security). So a
// newcomer always gets in: nobody keeps others out by holding connections open. Pure.
//
// How a server uses it: it keeps its clients that have shown nothing yet in a row, the oldest
// first, and takes one out when it shows a token, or ends. While the row is short, nobody is asked
// for. From half of the places on, the server asks the kernel whose each is (`peer_user`, once
// each, the oldest first), and those of its own user leave the row: they need no place. When it
// is longer than there are places, the one that `whom_to_close` names is closed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>

namespace jamsock {

// The users of the strangers in a row, the oldest first; nothing: it can't be told whose that one
// is, as when it is gone. Which of them to close: the oldest one of the user who has most of them.
// Of two users with equally many, the one with the older stranger loses. The row is not empty.
std::size_t whom_to_close(std::span<const std::optional<uid_t>> strangers);

// From so many on it is asked whose they are.
constexpr std::size_t crowd(std::size_t places) {
    return places / 2;
}

}  // namespace jamsock
