#include "cli/help_topics.h"

#include <algorithm>
#include <array>

namespace jamsock {

namespace {

constexpr std::array topics{
    HelpTopic{
        .name = "exit-codes",
        .summary = "What each exit code means.",
        .text =
            "  0  It is done.\n"
            "  1  Anything that has no code of its own, such as a limit of this machine.\n"
            "  2  The command line is wrong: an option, a key or a name can't be meant so.\n"
            "  3  Nobody holds the key, or the backend isn't running any more. Also: the daemon\n"
            "     isn't running, for 'daemon status'.\n"
            "  4  There never was such a backend, service or environment, or it was swept; for\n"
            "     history and why: the key has had no backend.\n"
            "  5  The backend did not start, or ended before it was ready.\n"
            "  6  The key or the service is in another use: by another command, tag or\n"
            "     environment, by running backends, or by one that is still ending.\n"
            "  69  There is no daemon to ask, or it can't be started or reached.\n"
            "  74  The disk of the state directory is full.\n"
            "  75  The daemon's database is locked by another program: try again later.\n"
            "  77  Not allowed.\n"
            "  124  The time limit has passed.\n"
            "\n"
            "'jamsock exec' exits as its command does, and with 128 and the number of the signal\n"
            "that ended it. Its own failures, as of timeout(1), are:\n"
            "  125  jamsock itself failed, whatever it was.\n"
            "  126  The command was found and can't be run.\n"
            "  127  The command was not found.\n"},
    HelpTopic{
        .name = "environment",
        .summary = "The variables that are read, and that backends get.",
        .text =
            "Read by jamsock:\n"
            "  JAMSOCK_HOME  One directory for all of jamsock's files: an instance of its own.\n"
            "  JAMSOCK_KEY  The key of connect, lookup, exec and open where --key isn't given.\n"
            "  JAMSOCK_PROXY_PORT, JAMSOCK_API_PORT  The ports of a daemon that is started now.\n"
            "  XDG_STATE_HOME, XDG_CONFIG_HOME, HOME  Where its files are, without JAMSOCK_HOME.\n"
            "  NO_COLOR, TERM  Colours are off if NO_COLOR is set, or TERM is unset or 'dumb'.\n"
            "  SHELL  Whose words 'env' and '-o env' print: those of fish, or of sh.\n"
            "  BROWSER  What 'open' runs.\n"
            "\n"
            "Set for a backend:\n"
            "  PORT, HOST  Where it must serve HTTP.\n"
            "  SESSION_BACKEND_ID, SESSION_BACKEND_KEY  Its id, and its key; without one, a\n"
            "    random text.\n"
            "  SESSION_BACKEND_FENCING_TOKEN  A number greater than that of every earlier backend\n"
            "    of the key.\n"
            "  JAMSOCKET_SERVICE  account/service.\n"
            "  JAMSOCK_MOUNT  The key's own directory, where one was asked for.\n"
            "  JAMSOCK_MARK  By which its processes are found again.\n"
            "\n"
            "Set by 'jamsock exec' for its command, and by '-o env':\n"
            "  JAMSOCK_URL  A connection URL: who has it can use the backend.\n"
            "  JAMSOCK_BACKEND_ID, JAMSOCK_KEY  Which backend it leads to.\n"
            "  JAMSOCK_SECRET_TOKEN  What the backend gets as x-verified-secret with requests to\n"
            "    this URL, and nobody else.\n"},
    HelpTopic{
        .name = "files",
        .summary = "Where jamsock keeps what.",
        .text =
            "In $JAMSOCK_HOME, else in $XDG_STATE_HOME/jamsock, else in ~/.local/state/jamsock:\n"
            "  jamsockd.sock  The daemon's socket, for this user alone.\n"
            "  jamsockd.log  The daemon's log; 'jamsock daemon logs' prints its end. At 10 MB it\n"
            "    becomes jamsockd.log.1.\n"
            "  jamsock.db  What it remembers: backends, keys, services.\n"
            "  api-token  The secret of the API over TCP.\n"
            "  api-port, proxy-port  The ports in use.\n"
            "  backends/ID/  A running backend: its output, output.log, and its record.\n"
            "  history/ID/  The same of those that ended, for history_days.\n"
            "  locks/  One file for each key: the kernel's lock on it is the promise.\n"
            "  mounts/  Directories that keys have for their own.\n"
            "  open-*.html  What 'jamsock open' showed last; holds a connection URL.\n"
            "  daemon.lock, start.lock  That there is one daemon.\n"
            "\n"
            "Settings: config.toml in $JAMSOCK_HOME, else in $XDG_CONFIG_HOME/jamsock, else in\n"
            "~/.config/jamsock. See jamsockd(8).\n"},
    HelpTopic{
        .name = "keys",
        .summary = "What a key is, and how to write one.",
        .text =
            "A key is a text of 1 to 128 characters, any but U+0000, in UTF-8. It is taken as it\n"
            "is: 'a' and 'A' are two keys, and so are two ways to write 'é'. Each service has "
            "keys\n"
            "of its own; the environments of a service share them.\n"
            "\n"
            "Quote what the shell would read itself. A key that begins with a dash is written\n"
            "--key=-x.\n"
            "\n"
            "Where a command means running backends (list, status, logs, wait, stop, …), a key "
            "with\n"
            "*, ? or [ is a glob: 'doc-*' means all whose keys match. A backslash takes that "
            "meaning\n"
            "away: 'doc-\\*'. connect, lookup, exec and open take every key as it is.\n"
            "\n"
            "For scripts, 'jamsock list -0' prints the keys as they are, each ended by a NUL "
            "byte:\n"
            "  jamsock list -0 | while IFS= read -r -d '' key; do …; done    # bash\n"
            "On a terminal and in columns, what could disturb a line is written as an escape.\n"},
};

}  // namespace

std::span<const HelpTopic> help_topics() {
    return topics;
}

const HelpTopic* find_topic(std::string_view name) {
    const auto found = std::ranges::find(topics, name, &HelpTopic::name);
    return found == topics.end() ? nullptr : &*found;
}

}  // namespace jamsock
