// Leaves this process without a free descriptor for as long as it lives.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>

#include <vector>

#include "common/unique_fd.h"

namespace jamsock::test {

class NoDescriptors {
  public:
    NoDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit few = before_;
        few.rlim_cur = 64;
        ::setrlimit(RLIMIT_NOFILE, &few);
        for (UniqueFd fd; (fd = UniqueFd(::open("/", O_PATH | O_CLOEXEC)));)
            taken_.push_back(std::move(fd));
    }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
    std::vector<UniqueFd> taken_;
};

}  // namespace jamsock::test
