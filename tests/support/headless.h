// A child whose first thread has ended while another one runs; killed and reaped at its end.
#pragma once

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/shim/process_table.h"
#include "tests/support/eventually.h"

namespace jamsock::test {

class Headless {
  public:
    Headless() : pid_(::fork()) {
        if (pid_ == 0) live_on();
        REQUIRE(eventually([this] {
            const auto process = read_process(pid_);
            return process && process->state == 'Z';
        }));
    }
    Headless(const Headless&) = delete;
    Headless& operator=(const Headless&) = delete;
    ~Headless() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

    [[noreturn]] static void live_on() {
        pthread_t thread;
        const auto wait = [](void*) -> void* {
            for (;;)
                ::pause();
        };
        ::pthread_create(&thread, nullptr, wait, nullptr);
        ::syscall(SYS_exit, 0);  // of this thread alone; pthread_exit would unwind the test
        ::_exit(1);
    }

  private:
    pid_t pid_;
};

}  // namespace jamsock::test
