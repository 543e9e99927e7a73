// The commands, as the table lists them: each adds its options and gives what runs them.
#pragma once

#include "cli/command_table.h"

namespace jamsock {

VerbRun prepare_connect(CLI::App& options);
VerbRun prepare_lookup(CLI::App& options);
VerbRun prepare_exec(CLI::App& options);
VerbRun prepare_open(CLI::App& options);
VerbRun prepare_list(CLI::App& options);
VerbRun prepare_status(CLI::App& options);
VerbRun prepare_wait(CLI::App& options);
VerbRun prepare_logs(CLI::App& options);
VerbRun prepare_why(CLI::App& options);
VerbRun prepare_history(CLI::App& options);
VerbRun prepare_events(CLI::App& options);
VerbRun prepare_terminate(CLI::App& options);
VerbRun prepare_stop(CLI::App& options);
VerbRun prepare_kill(CLI::App& options);
VerbRun prepare_revoke(CLI::App& options);
VerbRun prepare_env(CLI::App& options);
VerbRun prepare_completion(CLI::App& options);
VerbRun prepare_service_create(CLI::App& options);
VerbRun prepare_service_list(CLI::App& options);
VerbRun prepare_service_info(CLI::App& options);
VerbRun prepare_service_update(CLI::App& options);
VerbRun prepare_service_delete(CLI::App& options);
VerbRun prepare_daemon_run(CLI::App& options);
VerbRun prepare_daemon_start(CLI::App& options);
VerbRun prepare_daemon_stop(CLI::App& options);
VerbRun prepare_daemon_restart(CLI::App& options);
VerbRun prepare_daemon_status(CLI::App& options);
VerbRun prepare_daemon_logs(CLI::App& options);

}  // namespace jamsock
