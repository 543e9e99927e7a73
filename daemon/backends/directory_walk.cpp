#include "daemon/backends/directory_walk.h"

#include <errno.h>
#include <fcntl.h>

#include <string_view>

#include "common/unique_fd.h"

namespace jamsock {

bool DirectoryWalk::open() {
    if (listing_) return true;
    UniqueFd again(::openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    listing_.reset(again ? ::fdopendir(again.get()) : nullptr);
    if (listing_) again.release();
    return listing_ != nullptr;
}

DirectoryWalk::Names DirectoryWalk::next(std::size_t most) {
    Names found;
    if (!open()) return {.error = errno};
    while (found.names.size() < most) {
        const dirent* entry = ::readdir(listing_.get());
        if (!entry) {
            listing_.reset();
            found.at_the_end = true;
            break;
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") found.names.emplace_back(name);
    }
    return found;
}

}  // namespace jamsock
