#include "daemon/shim/spec.h"

#include "daemon/shim/message.h"

namespace jamsock {

namespace {

constexpr std::string_view verb = "spec";

// The lock's file lies in locks/ itself, wherever the name came from.
bool is_file_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

bool can_start(const ShimSpec& spec) {
    return !spec.backend_id.empty() && is_file_name(spec.lock_name) && spec.fencing_token > 0 &&
           !spec.argv.empty() && spec.argv.front().starts_with('/') && spec.cwd.starts_with('/');
}

}  // namespace

std::string ShimSpec::encode() const {
    Message message(verb);
    message.add("id", backend_id)
        .add("lock", lock_name)
        .add("token", fencing_token)
        .add("mark", mark)
        .add("cwd", cwd)
        .add("grace_ms", grace_milliseconds)
        .add("lifetime_end_ms", lifetime_end)
        .add("startup_ms", startup_milliseconds)
        .add("descriptor_limit", descriptor_limit)
        .add("ready_exec", ready_exec)
        .add("ready_try_ms", ready_try_milliseconds)
        .add("listener", std::int64_t{has_listener})
        .add("cpu_seconds", cpu_seconds)
        .add("cgroup", cgroup);
    for (const std::string& argument : argv)
        message.add("arg", argument);
    for (const std::string& variable : env)
        message.add("env", variable);
    return message.encode();
}

std::optional<ShimSpec> ShimSpec::decode(std::string_view bytes) {
    const auto message = Message::decode(bytes);
    if (!message || message->verb() != verb) return std::nullopt;
    ShimSpec spec;
    spec.backend_id = message->text("id").value_or("");
    spec.lock_name = message->text("lock").value_or("");
    spec.fencing_token = message->number("token").value_or(0);
    spec.mark = message->text("mark").value_or("");
    spec.argv = message->all("arg");
    spec.env = message->all("env");
    spec.cwd = message->text("cwd").value_or("");
    spec.grace_milliseconds = message->number("grace_ms").value_or(spec.grace_milliseconds);
    spec.lifetime_end = message->number("lifetime_end_ms").value_or(0);
    spec.startup_milliseconds = message->number("startup_ms").value_or(0);
    spec.descriptor_limit = message->number("descriptor_limit").value_or(0);
    spec.ready_exec = message->text("ready_exec").value_or("");
    spec.ready_try_milliseconds =
        message->number("ready_try_ms").value_or(spec.ready_try_milliseconds);
    spec.has_listener = message->number("listener") == 1;
    spec.cpu_seconds = message->number("cpu_seconds").value_or(0);
    spec.cgroup = message->text("cgroup").value_or("");
    if (!can_start(spec)) return std::nullopt;
    return spec;
}

}  // namespace jamsock
