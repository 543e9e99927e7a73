#include "daemon/shim/ready_command.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>

#include "common/timeouts.h"
#include "daemon/shim/descriptors.h"

namespace jamsock {

namespace {

constexpr long long milliseconds(std::chrono::milliseconds duration) {
    return duration.count();
}

constexpr long long first_pause = milliseconds(timeouts::first_try_pause);
constexpr long long last_pause = milliseconds(timeouts::last_try_pause);

}  // namespace

ReadyCommand::ReadyCommand(const ShimSpec& spec, BackendDescriptors descriptors, UniqueFd output)
    : descriptors_(descriptors), output_(std::move(output)) {
    spec_.argv = {"/bin/sh", "-c", spec.ready_exec};
    spec_.env = spec.env;
    spec_.cwd = spec.cwd;
    spec_.descriptor_limit = spec.descriptor_limit;
    spec_.cgroup = spec.cgroup;
    spec_.ready_try_milliseconds = spec.ready_try_milliseconds;
    descriptors_.output = output_.get();
    descriptors_.listener = -1;
}

void ReadyCommand::begin() {
    if (spec_.argv.empty()) return;
    pause_ = first_pause;
    start_try();
}

void ReadyCommand::stop() {
    if (running_) killed_group_ = running_->pid;
    kill_try();
    spec_ = {};
    output_.reset();
    due_ = 0;
}

bool ReadyCommand::has_processes() const {
    return running_ || (killed_group_ != 0 && ::kill(-killed_group_, 0) == 0);
}

void ReadyCommand::go_on() {
    if (!running_) return start_try();
    was_too_long_ = true;
    kill_try();
    due_ = 0;
}

std::optional<ReadyTry> ReadyCommand::reaped(pid_t pid, int wait_status) {
    if (!running_ || pid != running_->pid) return std::nullopt;
    running_.reset();
    ReadyTry ended{.was_too_long = was_too_long_};
    if (!was_too_long_ && WIFEXITED(wait_status)) ended.code = WEXITSTATUS(wait_status);
    if (!was_too_long_ && WIFSIGNALED(wait_status)) ended.signal = WTERMSIG(wait_status);
    due_ = 0;
    if (!spec_.argv.empty()) try_again_later();
    return ended;
}

void ReadyCommand::start_try() {
    was_too_long_ = false;
    running_ = fork_backend(spec_, descriptors_);
    if (!running_) return try_again_later();
    due_ = boottime_milliseconds() + spec_.ready_try_milliseconds;
}

// Its session is its own; until it has made that, its group is the shim's.
void ReadyCommand::kill_try() const {
    if (!running_) return;
    ::kill(-running_->pid, SIGKILL);
    ::kill(running_->pid, SIGKILL);
}

void ReadyCommand::try_again_later() {
    due_ = boottime_milliseconds() + pause_;
    pause_ = std::min(2 * pause_, last_pause);
}

}  // namespace jamsock
