#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "cli/commands/commands.h"
#include "cli/commands/ending.h"
#include "cli/invocation.h"
#include "cli/output_form.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/instance_file.h"
#include "common/runtime_paths.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using namespace std::chrono_literals;

constexpr auto restart_pause = 10ms;  // between looks at whether the new worker answers

Deadline answer_deadline() {
    return deadline_in(timeouts::client_answer);
}

tl::unexpected<Error> not_running() {
    return fail(ErrorCode::backend_not_running, "The daemon isn't running.",
                "jamsock daemon start");
}

Result<int> run_foreground(const Invocation&) {
    auto place = DaemonPlace::from_environment();
    if (!place) return pass_on(place);
    auto failed = become_daemon(*place);
    return pass_on(failed);
}

std::string address_of(const VersionInfo& version) {
    return fmt::format("worker pid {}, proxy on port {}, API on port {}", version.pid,
                       version.proxy_port, version.api_port);
}

// A socket may outlive its daemon for a moment: then the call is lost, and a new daemon started.
Result<int> run_start(const Invocation& invocation, Repeat repeat) {
    auto daemon = invocation.reach(answer_deadline());
    if (!daemon) return pass_on(daemon);
    auto version = daemon->client->version(answer_deadline());
    const bool lost = !version && daemon->client->breakdown() == Breakdown::connection_lost;
    if (lost && repeat == Repeat::once) return run_start(invocation, Repeat::never);
    if (!version) return pass_on(version);
    invocation.terminal.out << fmt::format("The daemon {} ({}).\n",
                                           daemon->started ? "is started" : "was running already",
                                           address_of(version->value));
    return 0;
}

// Until none is left: somebody may connect meanwhile. Gives the worst exit code.
Result<int> end_all_backends(DaemonClient& client, const Invocation& invocation) {
    for (;;) {
        auto list = client.keys(answer_deadline());
        if (!list) return pass_on(list);
        if (list->value.keys.empty()) return 0;
        std::vector<Result<BackendId>> ids;
        for (const KeyEntry& entry : list->value.keys)
            ids.emplace_back(entry.backend_id);
        const int worst = end_backends(ids, TerminateRequest{}, {}, invocation);
        if (worst != 0) return worst;
    }
}

// A daemon in trouble can be stopped though it doesn't say how many backends go on.
Result<int> run_stop(bool with_backends, Invocation& invocation) {
    auto place = DaemonPlace::from_environment();
    if (!place) return pass_on(place);
    // Without a daemon, one is needed to end what the last one left running.
    if (with_backends) invocation.start = StartRule::if_backends_live;
    auto daemon = invocation.reach(answer_deadline());
    if (!daemon) return pass_on(daemon);
    if (!daemon->client) {
        invocation.terminal.out << "The daemon isn't running.\n";
        return 0;
    }
    if (with_backends) {
        const auto worst = end_all_backends(*daemon->client, invocation);
        if (!worst || *worst != 0) return worst;
    }
    const auto keeper = KeeperProcess::of(*place, *daemon->client);
    if (!keeper) return tl::unexpected(keeper.error());
    const auto version = daemon->client->version(deadline_in(timeouts::client_margin));
    if (auto told = keeper->signal(SIGTERM); !told) return pass_on(told);
    if (!keeper->wait_for_end(deadline_in(timeouts::daemon_stop))) {
        return fail(ErrorCode::timed_out, "The daemon was told to stop and hasn't yet.",
                    "jamsock daemon logs");
    }
    std::string rest =
        version ? render_backends_go_on(version->value.backends) : "backends go on running";
    if (with_backends && version && version->value.backends == 0) rest = "no backend is left";
    invocation.terminal.out << fmt::format("The daemon stopped; {}.\n", rest);
    return 0;
}

bool is_same_worker(const VersionInfo& a, const VersionInfo& b) {
    return a.pid == b.pid && a.started_at == b.started_at;
}

// The keeper keeps the socket open, so calls are answered by the old worker, lost with it, or
// wait for the new one.
Result<VersionInfo> wait_for_new_worker(const Invocation& invocation, const KeeperProcess& keeper,
                                        const std::optional<VersionInfo>& old) {
    const Deadline deadline = deadline_in(timeouts::daemon_stop + timeouts::daemon_start);
    while (std::chrono::steady_clock::now() < deadline) {
        if (keeper.wait_for_end(deadline_in(restart_pause))) {
            return fail(ErrorCode::daemon_unavailable, "The daemon ended and did not start again.",
                        "jamsock daemon logs");
        }
        auto daemon = invocation.reach(deadline);
        if (!daemon || !daemon->client) continue;
        auto version = daemon->client->version(deadline);
        if (version && !(old && is_same_worker(version->value, *old))) return version->value;
    }
    return fail(ErrorCode::timed_out, "The daemon was told to restart and doesn't answer yet.",
                "jamsock daemon logs");
}

Result<int> run_restart(Invocation& invocation) {
    auto place = DaemonPlace::from_environment();
    if (!place) return pass_on(place);
    auto daemon = invocation.reach(answer_deadline());
    if (!daemon) return pass_on(daemon);
    if (daemon->started) {
        invocation.terminal.out << "The daemon wasn't running; it is started.\n";
        return 0;
    }
    const auto keeper = KeeperProcess::of(*place, *daemon->client);
    if (!keeper) return tl::unexpected(keeper.error());
    const auto before = daemon->client->version(deadline_in(timeouts::client_margin));
    if (auto told = keeper->signal(SIGHUP); !told) return pass_on(told);
    invocation.start = StartRule::never;
    auto now = wait_for_new_worker(invocation, *keeper,
                                   before ? std::optional(before->value) : std::nullopt);
    if (!now) return pass_on(now);
    invocation.terminal.out << fmt::format("The daemon restarted ({}); {}.\n", address_of(*now),
                                           render_backends_go_on(now->backends));
    return 0;
}

Result<int> run_daemon_status(OutputForm form, const Invocation& invocation) {
    auto place = DaemonPlace::from_environment();
    if (!place) return pass_on(place);
    auto daemon = invocation.reach(answer_deadline());
    if (!daemon) return pass_on(daemon);
    if (!daemon->client) return not_running();
    const pid_t keeper = daemon->client->keeper_pid();
    auto version = daemon->client->version(answer_deadline());
    if (!version) return pass_on(version);
    if (form == OutputForm::json) {
        invocation.terminal.out << version->json << '\n';
    } else {
        const auto directory = open_existing_state_directory(place->state_directory);
        const std::string original = directory ? read_instance(directory->get()).copy_of : "";
        invocation.terminal.out << render_daemon(
            {version->value, keeper, place->state_directory, original}, wall_milliseconds());
    }
    return 0;
}

}  // namespace

VerbRun prepare_daemon_run(CLI::App& app) {
    app.footer("For a service manager. Ends with SIGTERM or SIGINT; backends go on running.\n");
    return run_foreground;
}

VerbRun prepare_daemon_start(CLI::App& app) {
    app.footer("'jamsock connect' does this by itself.\n");
    return [](Invocation& invocation) { return run_start(invocation, Repeat::once); };
}

VerbRun prepare_daemon_stop(CLI::App& app) {
    auto with_backends = std::make_shared<bool>(false);
    app.add_flag("--with-backends", *with_backends, "End all backends first");
    app.footer(
        "URLs answer again when a daemon is started; it takes over the backends. If a backend "
        "can't\n"
        "be ended, --with-backends leaves the daemon running.\n");
    return [with_backends](Invocation& invocation) { return run_stop(*with_backends, invocation); };
}

VerbRun prepare_daemon_restart(CLI::App& app) {
    app.footer("Also takes up a new version of the program. Starts a daemon if none is running.\n");
    return run_restart;
}

VerbRun prepare_daemon_status(CLI::App& app) {
    auto form = std::make_shared<OutputForm>(OutputForm::text);
    add_output_options(app, *form, {OutputForm::json});
    return [form](Invocation& invocation) { return run_daemon_status(*form, invocation); };
}

}  // namespace jamsock
