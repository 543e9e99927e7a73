#include "daemon/backends/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <chrono>

#include "common/timeouts.h"
#include "daemon/backends/cgroups.h"
#include "daemon/backends/start_failure.h"

namespace jamsock {

namespace {

constexpr int first_free_descriptor = shim_fd::listener + 1;

tl::unexpected<Error> spawn_failure(const char* what, int error) {
    return tl::unexpected(
        start_failure(fmt::format("The backend's shim can't be started: {}", what), error));
}

// A copy that dup2 onto a shim_fd can't overwrite before it is used.
UniqueFd above_the_targets(int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, first_free_descriptor));
}

// The specification in memory: the environment of a backend never touches the disk.
UniqueFd specification_file(const ShimSpec& spec) {
    UniqueFd memory(::memfd_create("jamsock-shim-spec", MFD_CLOEXEC));
    const std::string bytes = spec.encode();
    std::size_t done = 0;
    while (memory && done < bytes.size()) {
        const ssize_t written = ::write(memory.get(), bytes.data() + done, bytes.size() - done);
        if (written < 0) return UniqueFd();
        done += static_cast<std::size_t>(written);
    }
    if (memory) ::lseek(memory.get(), 0, SEEK_SET);
    return memory;
}

class SpawnSettings {
  public:
    SpawnSettings() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        sigset_t signals;
        ::sigfillset(&signals);
        ::posix_spawnattr_setsigdefault(&attributes_, &signals);
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes_, &signals);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDWR, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, 0, 1);
        ::posix_spawn_file_actions_adddup2(&actions_, 0, 2);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    void close_from(int fd) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, fd); }
    void pass(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }

    int spawn(pid_t& pid, const char* program, char* const* argv) {
        std::array<char*, 1> no_environment{nullptr};
        return ::posix_spawn(&pid, program, &actions_, &attributes_, argv, no_environment.data());
    }

  private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

}  // namespace

ShimSpec shim_spec(const BackendRecord& record, const StartSettings& settings,
                   std::int64_t descriptor_limit, const std::string& cgroup) {
    using std::chrono::milliseconds;
    ShimSpec spec;
    spec.backend_id = record.id.str();
    spec.lock_name = record.lock_name;
    spec.fencing_token = record.fencing_token;
    spec.mark = record.mark;
    spec.argv = record.command.argv;
    spec.cwd = record.command.cwd;
    spec.grace_milliseconds = milliseconds(record.limits.grace).count();
    spec.lifetime_end = record.expires_at_boot.value_or(0);
    // Later than the daemon, which can tell what it waited for.
    spec.startup_milliseconds =
        milliseconds(record.limits.startup + timeouts::startup_margin).count();
    spec.descriptor_limit = descriptor_limit;
    spec.ready_try_milliseconds = milliseconds(timeouts::ready_try).count();
    spec.has_listener = record.readiness.listen_fd.value_or(false);
    const auto& sign = record.readiness.sign;
    if (sign && sign->kind() == ReadySign::Kind::exec) spec.ready_exec = sign->text();
    spec.cpu_seconds = settings.resources.cpu_time.value_or(0);
    if (cgroup::is_needed(settings.resources)) spec.cgroup = cgroup;
    for (const auto& [name, value] : settings.environment)
        spec.env.push_back(fmt::format("{}={}", name, value));
    return spec;
}

Result<SpawnedShim> spawn_shim(int shim_program, const ShimSpec& spec, int backend_directory,
                               int locks_directory, int listener) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
        return spawn_failure("socketpair", errno);
    }
    SpawnedShim shim{0, UniqueFd(pair[0])};
    const UniqueFd theirs(pair[1]);
    ::fcntl(shim.channel.get(), F_SETFL, O_NONBLOCK);

    const UniqueFd specification = specification_file(spec);
    if (!specification) return spawn_failure("the specification's memory", errno);
    const std::array passed{
        std::pair{above_the_targets(theirs.get()), shim_fd::channel},
        std::pair{above_the_targets(specification.get()), shim_fd::spec},
        std::pair{above_the_targets(backend_directory), shim_fd::backend_directory},
        std::pair{above_the_targets(locks_directory), shim_fd::locks_directory},
        std::pair{above_the_targets(shim_program), shim_fd::program},
    };
    SpawnSettings settings;
    for (const auto& [fd, target] : passed) {
        if (!fd) return spawn_failure("descriptors", errno);
        settings.pass(fd.get(), target);
    }
    const UniqueFd passed_listener(listener < 0 ? UniqueFd() : above_the_targets(listener));
    if (passed_listener) settings.pass(passed_listener.get(), shim_fd::listener);
    settings.close_from(passed_listener ? first_free_descriptor : shim_fd::listener);

    std::string name = "jamsock-shim";
    std::string id = spec.backend_id;
    const std::array<char*, 3> argv{name.data(), id.data(), nullptr};
    const std::string program = fmt::format("/proc/self/fd/{}", +shim_fd::program);
    if (const int error = settings.spawn(shim.pid, program.c_str(), argv.data())) {
        return spawn_failure("posix_spawn", error);
    }
    return shim;
}

}  // namespace jamsock
