#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/since.h"
#include "common/clock.h"
#include "common/text.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using EventAnswer = Result<ApiAnswer<EventList>>;

// So soon a follower sees that nobody reads it any more.
constexpr std::chrono::seconds follow_wait{1};
constexpr std::chrono::milliseconds lost_daemon_pause{200};

struct EventsOptions {
    const CLI::Option* since_option = nullptr;
    std::string since;
    std::string service;
    std::vector<std::string> keys;
    bool follow = false;
};

// A cursor has as many digits as the milliseconds since 1970, so that no "30" is taken for one.
bool is_cursor(const std::string& text) {
    constexpr std::size_t digits = 13;
    long long number = 0;
    return text.size() >= digits && parse_number(text, number);
}

// As the API takes it.
Result<std::string> parse_start(const EventsOptions& options) {
    if (options.since_option->count() == 0) return std::string(options.follow ? "now" : "0");
    if (is_cursor(options.since)) return options.since;
    const auto time = parse_since(options.since, wall_milliseconds());
    if (!time) return tl::unexpected(time.error());
    return std::to_string(std::max<std::int64_t>(0, *time - 1));
}

EventAnswer ask_for_events(const std::string& since, std::chrono::seconds wait,
                           const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    return invocation.ask(
        deadline, Repeat::once, no_daemon<ApiAnswer<EventList>>,
        [&](DaemonClient& client) { return client.events(since, wait, deadline); });
}

void print_events(const EventList& list, const BackendFilter& wanted, Terminal& terminal) {
    for (const StatusEvent& event : list.events) {
        if (!wanted.takes(event.service, event.key)) continue;
        terminal.out << event.to_json() << '\n' << std::flush;
    }
}

bool is_absence(const Error& error) {
    return error.code == ErrorCode::daemon_unavailable || error.code == ErrorCode::shutting_down;
}

// Until nobody reads it any more. A daemon that is gone is waited for, and never started: who
// stopped it meant it.
Result<int> follow_events(std::int64_t cursor, const BackendFilter& wanted, Terminal& terminal) {
    const Invocation invocation{.terminal = terminal, .start = StartRule::never};
    std::chrono::milliseconds pause{0};
    while (terminal.pause(pause)) {
        const auto answer = ask_for_events(std::to_string(cursor), follow_wait, invocation);
        if (!answer && !is_absence(answer.error())) return tl::unexpected(answer.error());
        pause = answer ? std::chrono::milliseconds(0) : lost_daemon_pause;
        if (!answer) continue;
        print_events(answer->value, wanted, terminal);
        cursor = answer->value.cursor;
    }
    return 0;
}

Result<int> run_events(const EventsOptions& options, const Invocation& invocation) {
    const auto wanted = BackendFilter::parse(options.service, options.keys);
    if (!wanted) return tl::unexpected(wanted.error());
    auto since = parse_start(options);
    if (!since) return pass_on(since);
    Terminal& terminal = invocation.terminal;
    for (;;) {
        const auto answer = ask_for_events(*since, std::chrono::seconds(0), invocation);
        if (!answer) return tl::unexpected(answer.error());
        print_events(answer->value, *wanted, terminal);
        if (options.follow) return follow_events(answer->value.cursor, *wanted, terminal);
        if (answer->value.events.empty() || !terminal.out) return 0;
        since = std::to_string(answer->value.cursor);
    }
}

}  // namespace

VerbRun prepare_events(CLI::App& app) {
    auto options = std::make_shared<EventsOptions>();
    options->since_option =
        app.add_option("--since", options->since,
                       "Only what came since: 10s, 5m, 2h, 1d ago, 09:30, an ISO 8601 time, or "
                       "behind a cursor")
            ->type_name("TIME");
    app.add_flag("-f,--follow", options->follow,
                 "Go on as they come; without --since only with what is to come");
    app.add_option("-s,--service", options->service, "Only of this service's backends")
        ->type_name("SERVICE");
    app.add_option("-k,--key", options->keys,
                   "Only of this key's, or of those that match it: 'doc-*'; may be repeated")
        ->type_name("KEYS")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.footer(
        "One line of JSON for each status of a backend, in one order for all. Its 'cursor' goes\n"
        "to --since, to go on behind it: nothing is left out and nothing comes twice. With -f it\n"
        "goes on over restarts of the daemon, until nobody reads it any more.\n");
    return [options](Invocation& invocation) { return run_events(*options, invocation); };
}

}  // namespace jamsock
