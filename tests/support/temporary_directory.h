// A directory for one test, removed at its end.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/unique_fd.h"

namespace jamsock::test {

class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        REQUIRE(::mkdtemp(path_.data()));
        directory_ = open();
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string path(const std::string& name) const { return path_ + "/" + name; }
    UniqueFd open() const { return UniqueFd(::open(path_.c_str(), O_DIRECTORY | O_CLOEXEC)); }
    int fd() const { return directory_.get(); }

  private:
    std::string path_ = "/tmp/jamsock-test-XXXXXX";
    UniqueFd directory_;
};

inline std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace jamsock::test
