// Children of a test's backend that are hard to find: each leads a session of its own, has closed
// what it inherited, and ignores TERM; but it has kept its environment. For `test_backend`.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/journal.h"

namespace jamsock::test {

struct Elusive {
    std::string kind;  // "headless", "undumpable", "storm"
    std::string name;  // an argument of its command line
};

// Of "--fork-<kind>".
std::optional<std::string> elusive_kind(std::string_view option);

// Returns when the child is what it is meant to be. With a resource it holds the lock of its kind,
// and has written its start to the journal.
void fork_elusive(const Elusive& elusive, const std::string& resource, const std::string& journal);

bool is_elusive(int argc, char** argv);
[[noreturn]] void be_elusive(char** argv);

// Runs `body` in a process that is no child of this one and leads a session of its own. Returns
// when `body` closed the descriptor that it is given (or ended).
template <class Body>
void fork_twice(Body body) {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) die("pipe");
    const pid_t middle = ::fork();
    if (middle < 0) die("fork");
    if (middle == 0) {
        ::close(ready[0]);
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        ::setsid();
        body(ready[1]);
        ::_exit(0);
    }
    ::close(ready[1]);
    ::waitpid(middle, nullptr, 0);
    char byte;
    while (::read(ready[0], &byte, 1) > 0)
        continue;
    ::close(ready[0]);
}

}  // namespace jamsock::test
