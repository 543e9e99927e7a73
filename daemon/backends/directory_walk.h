// Reads a directory's names a few at a time, for sweeps in small steps. Blocks on files.
#pragma once

#include <dirent.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace jamsock {

class DirectoryWalk {
  public:
    // `directory`, a descriptor, must outlive this.
    explicit DirectoryWalk(int directory) : directory_(directory) {}

    struct Names {
        std::vector<std::string> names;  // without "." and ".."
        bool at_the_end = false;         // the next ones are the first again
        int error = 0;                   // errno, if the directory can't be read
    };
    Names next(std::size_t most);

  private:
    bool open();

    int directory_;
    std::unique_ptr<DIR, int (*)(DIR*)> listing_{nullptr, &::closedir};
};

}  // namespace jamsock
