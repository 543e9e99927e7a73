#include "daemon/backends/recovery.h"

#include <errno.h>
#include <signal.h>

#include "daemon/backends/key_lock.h"
#include "daemon/backends/mark.h"
#include "daemon/log.h"

namespace jamsock {

namespace {

// Of an earlier boot nothing lives, wherever the directory was then: it is taken as ever.
bool is_copy(const BackendFiles& files, const BackendFiles::Found& found) {
    const bool may_live = !found.shim || found.shim->boot_id == current_boot_id();
    return may_live && !is_marked_for(files.state_directory(), found.record.mark);
}

}  // namespace

Result<std::vector<BackendFiles::Found>> read_live(const BackendFiles& files,
                                                   const Cgroups& cgroups) {
    std::vector<BackendFiles::Found> all;
    auto live = files.live();
    if (!live) return pass_on(live);
    for (const BackendId& id : *live) {
        auto read = files.read(id);
        if (!read) return pass_on(read);
        if (!*read) {
            log::warn("backend {}: its directory says nothing; it was never started", id.str());
            cgroup::remove(cgroups.of(id));
            files.move_to_history(id);
        } else if (is_copy(files, **read)) {
            log::warn(
                "backend {}: its directory is a copy of another state directory's; moved to "
                "the history, and its processes are left alone",
                id.str());
            files.move_to_history(id);
        } else {
            all.push_back(std::move(**read));
        }
    }
    return all;
}

std::optional<ShimRecord> known_end(const BackendFiles& files, const BackendRecord& record) {
    std::optional<ShimRecord> end = files.record_of_ended(record.id, record.mark);
    if (!end && !is_marked_for(files.state_directory(), record.mark)) end.emplace();
    if (end) end->tree_empty = true;
    return end;
}

std::optional<BackendRecord> unaccounted_holder(const BackendFiles& files,
                                                const std::string& lock_name) {
    const LockClaim claim = key_lock::last_claim(files.locks(), lock_name);
    const auto id = BackendId::parse(claim.backend);
    if (!id || claim.mark.empty()) return std::nullopt;
    BackendRecord holder{.id = *id,
                         .mac_key = MacKey::generate(),
                         .lock_name = lock_name,
                         .mark = claim.mark,
                         .fencing_token = claim.token,
                         .created_at = claim.token};  // its time, unless the clock was set back
    if (known_end(files, holder)) return std::nullopt;
    const auto living = files.read(*id);
    const bool has_just_ended = living && *living && (*living)->record.mark == claim.mark &&
                                (*living)->shim && (*living)->shim->tree_empty;
    if (has_just_ended) return std::nullopt;
    return holder;
}

std::optional<Process> main_in(const ShimRecord& record) {
    if (!record.started || record.boot_id != current_boot_id()) return std::nullopt;
    Process main;
    main.pid = record.started->pid;
    main.start_time = record.started->start_time;
    return main;
}

pid_t living_shim(const std::optional<ShimRecord>& record) {
    if (!record || record->boot_id != current_boot_id()) return 0;
    const auto process = read_process(record->shim_pid);
    const bool lives = process
                           ? !process->is_zombie() && process->start_time == record->shim_start_time
                           : is_blindness(errno);
    return lives ? record->shim_pid : 0;
}

// A dying process closes its sockets before its children come to its subreaper; so what it left can
// be found only once it is gone itself.
bool kill_shim(const std::optional<ShimRecord>& record) {
    const pid_t pid = living_shim(record);
    if (const auto shim = pid ? read_process(pid) : std::nullopt) signal_process(*shim, SIGKILL);
    return pid != 0;
}

StatusChange lost(const StatusChange& last) {
    return {.status = Status::hard_terminating,
            .reason = last.reason.value_or(TerminationReason::lost),
            .kind = TerminationKind::hard};
}

}  // namespace jamsock
