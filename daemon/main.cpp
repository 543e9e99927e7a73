// jamsockd: the keeper, and (started by it with --worker) the worker.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "common/environment.h"
#include "common/nearest_name.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "common/unique_fd.h"
#include "common/version.h"
#include "daemon/daemon.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/shim/keeper.h"

namespace jamsock {

namespace {

// The last words of a start that failed: for the one who started us, or for the terminal or log.
void tell(const Error& error, int ready_fd) {
    const std::string words =
        error.hint.empty() ? error.message + "\n" : error.message + "\n" + error.hint + "\n";
    if (ready_fd >= 0) {
        [[maybe_unused]] const auto told = ::write(ready_fd, words.data(), words.size());
    }
    // Not fmt::print, which throws where the log can't be written: on a full disk.
    const std::string lines = fmt::format("jamsockd: {}\n{}", with_cause(error),
                                          error.hint.empty() ? "" : "Try: " + error.hint + "\n");
    ::fputs(lines.c_str(), stderr);
}

// A descriptor that the keeper passed; kept from whatever this process starts. Empty if it passed
// none.
UniqueFd inherited(int fd) {
    return UniqueFd(::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1);
}

// Somebody waits for the first worker to say why it can't start, and there is nothing to go on
// with; a later one crashes, and is started again.
Result<> serve(WorkerInputs inputs, UniqueFd& ready) try {
    return run_worker(std::move(inputs), ready);
} catch (const std::exception& failure) {
    if (!ready) throw;
    return fail(ErrorCode::daemon_unavailable,
                fmt::format("The daemon can't start: {}.", failure.what()), "ulimit -n");
}

// Beyond the numbers that the keeper may have passed something at. -1: the log is no file of ours.
UniqueFd directory_of_log(const DaemonOptions& options) {
    if (!options.log_to_file) return UniqueFd();
    const UniqueFd directory(
        ::open(options.state_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return UniqueFd(::fcntl(directory.get(), F_DUPFD_CLOEXEC, worker_fd::ready + 1));
}

int worker_main(const DaemonOptions& options) {
    // The thread that writes the log may outlive us.
    log::start("worker", directory_of_log(options).release());
    UniqueFd ready = inherited(worker_fd::ready);
    UniqueFd proxy_socket_ipv6 = inherited(worker_fd::proxy_socket_ipv6);
    UniqueFd api_tcp = inherited(worker_fd::api_tcp);
    UniqueFd api_tcp_ipv6 = inherited(worker_fd::api_tcp_ipv6);
    // Last, as it may get the number of one that was not passed.
    const UniqueFd listening(::fcntl(worker_fd::api_socket, F_DUPFD_CLOEXEC, 0));
    const auto served = serve({.state_directory = options.state_directory,
                               .config_file = options.config_file,
                               .api_socket = inherited(worker_fd::api_socket),
                               .proxy_socket = inherited(worker_fd::proxy_socket),
                               .shim_program = inherited(worker_fd::shim_program),
                               .daemon_lock = inherited(worker_fd::daemon_lock),
                               .proxy_socket_ipv6 = std::move(proxy_socket_ipv6),
                               .api_tcp = std::move(api_tcp),
                               .api_tcp_ipv6 = std::move(api_tcp_ipv6),
                               .dev = options.dev},
                              ready);
    if (served) return worker_exit::stopped;
    if (!ready && served.error().code == ErrorCode::usage_limit) {
        tell(served.error(), ready.get());
        return worker_exit::passing;
    }
    // The keeper is about to end, too: who connects meanwhile is refused, not left waiting.
    ::shutdown(listening.get(), SHUT_RDWR);
    tell(served.error(), ready.get());
    return worker_exit::refused;
}

int keeper_main(DaemonOptions options) {
    Result<int> kept =
        fail(ErrorCode::daemon_unavailable,
             "A daemon can't be started inside a backend, with which it would end; start it "
             "outside this backend.",
             "jamsock daemon start");
    if (!environment_variable("SESSION_BACKEND_ID")) kept = keep(options);
    if (kept) return *kept;
    tell(kept.error(), options.ready_fd);
    return info(kept.error().code).exit_code;
}

Error usage_error(const CLI::ParseError& wrong, const CLI::App& app) {
    std::string sentence = fmt::format("The command line can't be read: {}.", wrong.what());
    const std::vector<std::string> rest = app.remaining();
    if (!rest.empty()) {
        std::vector<std::string> names;
        for (const CLI::Option* option : app.get_options()) {
            if (!option->get_group().empty()) names.push_back(option->get_name());
        }
        sentence = fmt::format("There is no option {}.{}", in_quotes(rest.front()),
                               did_you_mean(rest.front(), names));
    }
    return {ErrorCode::invalid_request, std::move(sentence), "jamsockd --help", {}};
}

int run(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);  // whoever read the log may have gone
    DaemonOptions options;
    CLI::App app{"The jamsock daemon: one running backend for every key.", "jamsockd"};
    app.set_version_flag("--version", fmt::format("jamsockd {}", version()));
    app.add_option(
        "--state-directory", options.state_directory,
        "where the state is kept (default: $JAMSOCK_HOME, or jamsock in $XDG_STATE_HOME)");
    app.add_option("--proxy-port", options.proxy_port,
                   "the port of the connection URLs (default: the last one used, or 9090; 0: any)");
    app.add_option("--api-port", options.api_port,
                   "the port of the API over TCP (default: the last one used, or 8080; 0: any)");
    app.add_flag("--dev", options.dev,
                 "also take the API token '-', which SDKs send in their dev mode");
    app.add_option("--config-file", options.config_file,
                   "the settings (default: config.toml in $JAMSOCK_HOME, or in jamsock in "
                   "$XDG_CONFIG_HOME)");
    app.add_flag("--log-to-file", options.log_to_file, "write jamsockd.log in the state directory");
    app.add_option("--ready-fd", options.ready_fd,
                   "a descriptor to tell when requests are served, or why they can't be");
    app.add_flag("--worker", options.as_worker)->group("");
    app.add_flag("--take-over", options.taken_over)->group("");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& wrong) {
        const Error error = usage_error(wrong, app);
        tell(error, options.ready_fd);
        return info(error.code).exit_code;
    }

    if (options.state_directory.empty()) {
        auto path = state_directory_path();
        if (!path) {
            tell(path.error(), options.ready_fd);
            return info(path.error().code).exit_code;
        }
        options.state_directory = *path;
    }
    if (options.config_file.empty()) options.config_file = configuration_path();
    return options.as_worker ? worker_main(options) : keeper_main(options);
}

}  // namespace

}  // namespace jamsock

int main(int argc, char** argv) {
    return jamsock::run(argc, argv);
}
