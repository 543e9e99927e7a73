#include "daemon/backends/history_sweep.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "common/runtime_paths.h"
#include "daemon/log.h"

namespace jamsock {

HistorySweep::Found HistorySweep::find_old(std::int64_t before, std::size_t most) {
    const auto seen = walk_.next(most);
    Found found{.at_the_end = seen.at_the_end, .error = seen.error};
    for (const std::string& name : seen.names) {
        const auto id = BackendId::parse(name);
        struct stat status {};
        if (id && ::fstatat(directory_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode) && status.st_mtim.tv_sec * 1000 < before) {
            found.old.push_back(*id);
        }
    }
    return found;
}

std::size_t HistorySweep::remove(const std::vector<BackendId>& backends) const {
    std::size_t removed = 0;
    for (const BackendId& id : backends) {
        std::error_code failed;
        if (std::filesystem::remove_all(path_in(directory_, id.str()), failed) > 0 && !failed)
            ++removed;
        if (failed) {
            log::warn("backend {}: its directory in history can't be removed: {}", id.str(),
                      failed.message());
        }
    }
    return removed;
}

}  // namespace jamsock
