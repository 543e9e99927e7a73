#include "daemon/backends/start_failure.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include "common/hints.h"
#include "common/text.h"

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

Error start_failure(const std::string& what, int cause, const std::string& where) {
    const std::string sentence = fmt::format("{}: {}.", what, ::strerror(cause));
    const char* hint = is_exhaustion(cause)  ? "jamsock list"
                       : is_full_disk(cause) ? "df -h"
                                             : "jamsock daemon logs";
    const ErrorCode code = is_exhaustion(cause)  ? ErrorCode::usage_limit
                           : is_full_disk(cause) ? ErrorCode::storage_full
                                                 : ErrorCode::spawn_failed;
    if (where.empty()) return for_anybody({code, sentence, hint, {}});
    return for_others({code, fmt::format("{}: {}: {}.", what, where, ::strerror(cause)), hint, {}},
                      sentence, hint);
}

Error start_failure(std::string why) {
    return for_anybody({ErrorCode::spawn_failed, std::move(why), "jamsock daemon logs", {}});
}

Error stale_token(std::int64_t seen) {
    return start_failure(
        fmt::format("The key's lock has seen the fencing token {}, which is newer.", seen));
}

Error failed_call(const Message& told) {
    return start_failure(fmt::format("The backend's shim can't start it: {}",
                                     escaped(told.text("what").value_or("unknown"))),
                         static_cast<int>(told.number("errno").value_or(0)));
}

Error failed_exec(const Message& told, const ServiceName& service, const Command& command) {
    const int cause = static_cast<int>(told.number("errno").value_or(0));
    return exec_failure(told.text("what").value_or(""), cause, service, command);
}

Error exec_failure(std::string_view step, int cause, const ServiceName& service,
                   const Command& command) {
    if (step == "cgroup") return start_failure("The backend can't join its cgroup", cause);
    const bool in_directory = step == "chdir";
    const std::string& path = in_directory ? command.cwd : command.argv.front();
    const std::string end =
        fmt::format("can't be {}: {}.", in_directory ? "entered" : "run", ::strerror(cause));
    const std::string hint =
        service == ServiceName::standard() ? shell_line({"ls", "-l", path}) : give_command(service);
    return for_others(
        {ErrorCode::spawn_failed, fmt::format("{} {}", in_quotes(path), end), hint, {}},
        fmt::format("The backend's {} {}", in_directory ? "directory" : "program", end));
}

}  // namespace jamsock
