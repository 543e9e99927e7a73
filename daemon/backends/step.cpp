#include "daemon/backends/step.h"

#ifdef JAMSOCK_TEST_STEPS

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "common/unique_fd.h"
#include "daemon/log.h"

namespace jamsock {

namespace {

int directory = -1;

}  // namespace

void watch_steps(int state_directory) {
    directory = state_directory;
}

// One shot: the file goes before the process does.
void at_step(Step step) {
    const std::string name(steps[static_cast<std::size_t>(step)].name);
    const std::string path = "steps/" + name;
    const UniqueFd file(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::unlinkat(directory, path.c_str(), 0) != 0) return;
    std::array<char, 16> text{};
    const ssize_t length = ::read(file.get(), text.data(), text.size());
    const std::string_view word(text.data(),
                                static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    if (word.starts_with("stop")) {
        ::raise(SIGSTOP);
        return;
    }
    log::warn("killed by a test at the step {}", name);
    if (word.starts_with("keeper")) ::kill(::getppid(), SIGKILL);
    ::kill(::getpid(), SIGKILL);
}

}  // namespace jamsock

#endif
