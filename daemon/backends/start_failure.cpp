#include "daemon/backends/start_failure.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

namespace jamsock {

namespace {

// Fewer backends help against the first, room on the disk against the second.
bool is_exhaustion(int cause) {
    return cause == EMFILE || cause == ENFILE || cause == EAGAIN || cause == ENOMEM;
}

bool is_full_disk(int cause) {
    return cause == ENOSPC || cause == EDQUOT;
}

}  // namespace

Error start_failure(const std::string& what, int cause) {
    const char* hint = is_exhaustion(cause)  ? "jamsock list"
                       : is_full_disk(cause) ? "df -h"
                                             : "jamsock daemon logs";
    return Error{is_exhaustion(cause) ? ErrorCode::usage_limit : ErrorCode::spawn_failed,
                 fmt::format("{}: {}.", what, ::strerror(cause)),
                 hint,
                 {}};
}

}  // namespace jamsock
