#include "cli/command_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "cli/commands/commands.h"
#include "cli/help_topics.h"

namespace jamsock {

namespace {

constexpr std::array table{
    Verb{.name = "connect",
         .alias = "",
         .summary = "Get a URL of the backend of a key, started if need be.",
         .start = StartRule::always,
         .takes_program = true,
         .usage = " [SERVICE] [OPTIONS] [-- COMMAND ARGS...]\n",
         .examples = "jamsock connect --key document-123\n"
                     "curl \"$(jamsock connect --key document-123)\"\n"
                     "jamsock connect --key room-7 -e TOPIC=music -- ./server --quiet\n",
         .prepare = prepare_connect},
    Verb{.name = "lookup",
         .alias = "",
         .summary = "Get a URL of the backend that holds a key; start nothing.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " [SERVICE] --key KEY [OPTIONS]\n",
         .examples = "jamsock lookup --key document-123\n"
                     "jamsock lookup --key document-123 || echo 'nobody has it open'\n",
         .prepare = prepare_lookup},
    Verb{.name = "exec",
         .alias = "",
         .summary = "Run a command beside the ready backend of a key.",
         .start = StartRule::always,
         .takes_program = true,
         .usage = " [SERVICE] --key KEY [OPTIONS] -- COMMAND ARGS...\n",
         .examples = "jamsock exec --key document-123 -- sh -c 'curl \"$JAMSOCK_URL\"'\n"
                     "jamsock exec editor --key test-1 --stop-after -- npm test\n",
         .prepare = prepare_exec,
         .own_failure = 125},
    Verb{.name = "open",
         .alias = "",
         .summary = "Open the backend of a key in the browser, started if need be.",
         .start = StartRule::always,
         .takes_program = true,
         .usage = " [SERVICE] [OPTIONS] [-- COMMAND ARGS...]\n",
         .examples = "jamsock open --key document-123\n"
                     "BROWSER=firefox jamsock open editor --key doc-1\n",
         .prepare = prepare_open},
    Verb{.name = "list",
         .alias = "ls",
         .summary = "List the running backends and their keys.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " [SERVICE] [OPTIONS]\n",
         .examples = "jamsock list\n"
                     "jamsock list | cut -f 1    # the keys, one on each line\n",
         .prepare = prepare_list},
    Verb{.name = "status",
         .alias = "",
         .summary = "Show one backend: status, process, command, how it ended.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID [--json]\n"
                  " --key KEY [SERVICE] [--json]\n",
         .examples = "jamsock status knrv5\n"
                     "jamsock status --key document-123\n",
         .prepare = prepare_status},
    Verb{.name = "wait",
         .alias = "",
         .summary = "Wait until backends are ready, idle or terminated.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID... [--for WHAT] [OPTIONS]\n"
                  " --key KEY [--key KEY]... [SERVICE] [--for WHAT] [OPTIONS]\n",
         .examples = "jamsock wait --key document-123\n"
                     "jamsock wait --key 'doc-*' --for terminated --timeout 60\n",
         .prepare = prepare_wait},
    Verb{.name = "logs",
         .alias = "",
         .summary = "Print the output of a backend, also after its end.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID [OPTIONS]\n"
                  " --key KEY [SERVICE] [OPTIONS]\n",
         .examples = "jamsock logs knrv5 -n 20\n"
                     "jamsock logs -f --key document-123\n"
                     "jamsock logs knrv5 --since 5m | grep error\n",
         .prepare = prepare_logs},
    Verb{.name = "why",
         .alias = "",
         .summary = "Tell why a backend ended: the last of a key, or one by id.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " KEY|ID [-s SERVICE] [--json]\n"
                  " --key KEY [SERVICE] [--json]\n",
         .examples = "jamsock why document-123\n"
                     "jamsock why knrv5 --json\n",
         .prepare = prepare_why},
    Verb{.name = "history",
         .alias = "",
         .summary = "List the backends that a key has had, and how they ended.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " KEY [-s SERVICE] [OPTIONS]\n"
                  " --key KEY [SERVICE] [OPTIONS]\n",
         .examples = "jamsock history document-123\n"
                     "jamsock history document-123 -n 1 -o name    # the id of the last one\n",
         .prepare = prepare_history},
    Verb{.name = "events",
         .alias = "",
         .summary = "Print every change of every backend, one line of JSON each.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " [--since TIME] [-f] [-s SERVICE] [-k KEY]...\n",
         .examples = "jamsock events --since 1h\n"
                     "jamsock events -f -k 'doc-*'\n",
         .prepare = prepare_events},
    Verb{.name = "terminate",
         .alias = "",
         .summary = "End backends: SIGTERM, and SIGKILL after the grace time.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID... [OPTIONS]\n"
                  " --key KEY [--key KEY]... [SERVICE] [OPTIONS]\n",
         .examples = "jamsock terminate --key document-123\n"
                     "jamsock terminate knrv5 x8d2q --grace 2\n",
         .prepare = prepare_terminate},
    Verb{.name = "stop",
         .alias = "",
         .summary = "The same as terminate, softly.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID... [OPTIONS]\n"
                  " --key KEY [--key KEY]... [SERVICE] [OPTIONS]\n",
         .examples = "jamsock stop --key document-123\n"
                     "jamsock stop --key 'draft-*' --grace 2\n",
         .prepare = prepare_stop},
    Verb{.name = "kill",
         .alias = "",
         .summary = "The same as terminate --hard: SIGKILL at once.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID... [OPTIONS]\n"
                  " --key KEY [--key KEY]... [SERVICE] [OPTIONS]\n",
         .examples = "jamsock kill --key document-123\n"
                     "jamsock kill knrv5 x8d2q\n",
         .prepare = prepare_kill},
    Verb{.name = "revoke",
         .alias = "",
         .summary = "End URLs of a backend: one, or all of a user.",
         .start = StartRule::if_backends_live,
         .takes_program = false,
         .usage = " ID --user USER [--close]\n"
                  " ID --token TOKEN [--close]\n"
                  " --key KEY [SERVICE] --user USER [--close]\n"
                  " --key KEY [SERVICE] --token TOKEN [--close]\n",
         .examples = "jamsock revoke --key document-123 --user ann --close\n"
                     "jamsock revoke knrv5 --token - < url.txt\n",
         .prepare = prepare_revoke},
    Verb{.name = "env",
         .alias = "",
         .summary = "Print shell lines that lead Jamsocket's clients here.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = " [SERVICE] [OPTIONS]\n",
         .examples = "eval \"$(jamsock env)\"\n"
                     "eval \"$(jamsock env --unset)\"\n",
         .prepare = prepare_env},
    Verb{.name = "completion",
         .alias = "",
         .summary = "Print what makes a shell complete the commands, keys and ids.",
         .start = StartRule::never,
         .takes_program = false,
         .usage = " bash|zsh|fish\n",
         .examples = "source <(jamsock completion bash)\n"
                     "jamsock completion zsh > ~/.zfunc/_jamsock\n"
                     "jamsock completion fish > ~/.config/fish/completions/jamsock.fish\n",
         .prepare = prepare_completion},
    Verb{.name = "service create",
         .alias = "",
         .summary = "Give a program a name, for connect; or an environment of one.",
         .start = StartRule::always,
         .takes_program = true,
         .usage = " SERVICE [OPTIONS] -- COMMAND ARGS...\n"
                  " SERVICE/ENVIRONMENT [OPTIONS] [-- COMMAND ARGS...]\n",
         .examples = "jamsock service create editor -- node server.js\n"
                     "jamsock service create editor/staging -e LOG=debug --max-idle 60\n"
                     "jamsock connect editor --key doc-1\n",
         .prepare = prepare_service_create},
    Verb{.name = "service list",
         .alias = "",
         .summary = "List the services.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = " [--json]\n",
         .examples = "jamsock service list\n",
         .prepare = prepare_service_list},
    Verb{.name = "service info",
         .alias = "",
         .summary = "Show a service and its environments.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = " SERVICE [--json]\n",
         .examples = "jamsock service info editor\n",
         .prepare = prepare_service_info},
    Verb{.name = "service update",
         .alias = "",
         .summary = "Change a service or an environment, for backends to come.",
         .start = StartRule::always,
         .takes_program = true,
         .usage = " SERVICE[/ENVIRONMENT] [OPTIONS] [-- COMMAND ARGS...]\n",
         .examples = "jamsock service update editor -e LOG=debug --unset TOKEN\n"
                     "jamsock service update editor --max-idle default\n",
         .prepare = prepare_service_update},
    Verb{.name = "service delete",
         .alias = "",
         .summary = "Delete a service or an environment.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = " SERVICE[/ENVIRONMENT] [--force]\n",
         .examples = "jamsock service delete editor\n"
                     "jamsock service delete editor --force\n",
         .prepare = prepare_service_delete},
    Verb{.name = "daemon run",
         .alias = "",
         .summary = "Run the daemon in the foreground, its log on stderr.",
         .start = StartRule::never,
         .takes_program = false,
         .usage = "\n",
         .examples = "jamsock daemon run\n",
         .prepare = prepare_daemon_run},
    Verb{.name = "daemon start",
         .alias = "",
         .summary = "Start the daemon in the background.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = "\n",
         .examples = "jamsock daemon start\n",
         .prepare = prepare_daemon_start},
    Verb{.name = "daemon stop",
         .alias = "",
         .summary = "Stop the daemon; backends go on running.",
         .start = StartRule::never,
         .takes_program = false,
         .usage = " [--with-backends]\n",
         .examples = "jamsock daemon stop\n"
                     "jamsock daemon stop --with-backends\n",
         .prepare = prepare_daemon_stop},
    Verb{.name = "daemon restart",
         .alias = "",
         .summary = "Restart the daemon; URLs, keys and backends stay.",
         .start = StartRule::always,
         .takes_program = false,
         .usage = "\n",
         .examples = "jamsock daemon restart\n",
         .prepare = prepare_daemon_restart},
    Verb{.name = "daemon status",
         .alias = "",
         .summary = "Show the daemon; exits 3 if it isn't running.",
         .start = StartRule::never,
         .takes_program = false,
         .usage = " [--json]\n",
         .examples = "jamsock daemon status\n",
         .prepare = prepare_daemon_status},
    Verb{.name = "daemon logs",
         .alias = "",
         .summary = "Print the end of the daemon's log.",
         .start = StartRule::never,
         .takes_program = false,
         .usage = " [-n NUMBER] [-f]\n",
         .examples = "jamsock daemon logs -n 20\n"
                     "jamsock daemon logs -f\n",
         .prepare = prepare_daemon_logs},
};

constexpr std::string_view about =
    "jamsock gives a key at most one running backend, and asking for the key always\n"
    "gets you it.\n";

bool is_in(std::string_view name, std::string_view group) {
    return name.size() > group.size() && name.starts_with(group) && name[group.size()] == ' ';
}

std::string title(const Verb& verb) {
    return verb.alias.empty() ? std::string(verb.name)
                              : fmt::format("{}, {}", verb.name, verb.alias);
}

}  // namespace

std::span<const Verb> command_table() {
    return table;
}

const Verb* find_verb(std::string_view name) {
    const auto found = std::ranges::find_if(table, [name](const Verb& verb) {
        return verb.name == name || (!verb.alias.empty() && verb.alias == name);
    });
    return found == table.end() ? nullptr : &*found;
}

std::vector<std::string> names_in(std::string_view group) {
    std::vector<std::string> names;
    for (const Verb& verb : table) {
        if (group.empty()) {
            names.emplace_back(verb.name.substr(0, verb.name.find(' ')));
            if (!verb.alias.empty()) names.emplace_back(verb.alias);
        } else if (is_in(verb.name, group)) {
            names.emplace_back(verb.name.substr(group.size() + 1));
        }
    }
    names.erase(std::ranges::unique(names).begin(), names.end());
    return names;
}

std::string table_help(std::string_view group) {
    const std::string command = group.empty() ? "jamsock" : fmt::format("jamsock {}", group);
    std::string help = group.empty() ? fmt::format("{}\n", about) : "";
    fmt::format_to(std::back_inserter(help), "Usage: {} COMMAND [OPTIONS]\n\nCommands:\n", command);
    for (const Verb& verb : table) {
        if (!group.empty() && !is_in(verb.name, group)) continue;
        fmt::format_to(std::back_inserter(help), "  {:<15} {}\n", title(verb), verb.summary);
    }
    fmt::format_to(std::back_inserter(help), "\nOptions and examples: {} COMMAND --help\n",
                   command);
    if (!group.empty()) return help;
    help += "\nTopics:\n";
    for (const HelpTopic& topic : help_topics())
        fmt::format_to(std::back_inserter(help), "  help {:<15} {}\n", topic.name, topic.summary);
    return help;
}

}  // namespace jamsock
