#include <memory>

#include "cli/commands/commands.h"
#include "cli/commands/selection.h"
#include "cli/output_form.h"
#include "cli/render.h"
#include "common/clock.h"
#include "common/timeouts.h"

namespace jamsock {

namespace {

using KeyAnswer = Result<ApiAnswer<KeyList>>;

struct ListOptions {
    std::string word;
    std::string service;
    std::vector<std::string> keys;
    OutputForm form = OutputForm::text;
    bool null = false;
};

Result<BackendFilter> parse_filter(const ListOptions& options) {
    if (!options.word.empty() && !options.service.empty()) {
        return fail(ErrorCode::invalid_request, "The service is given twice.");
    }
    return BackendFilter::parse(options.word.empty() ? options.service : options.word,
                                options.keys);
}

KeyAnswer ask(const BackendFilter& wanted, bool usage, const Invocation& invocation) {
    const Deadline deadline = deadline_in(timeouts::client_answer);
    auto answer = invocation.ask(
        deadline, Repeat::once,
        []() -> KeyAnswer {
            return ApiAnswer<KeyList>{{}, KeyList{}.to_json()};
        },
        [&](DaemonClient& client) {
            return client.keys(deadline, {.service = wanted.service, .usage = usage});
        });
    if (!answer || wanted.keys.empty()) return answer;
    std::erase_if(answer->value.keys,
                  [&](const KeyEntry& entry) { return !wanted.takes(entry.service, entry.key); });
    answer->json = answer->value.to_json();
    return answer;
}

void print_exact_keys(const KeyList& list, Terminal& terminal) {
    for (const KeyEntry& entry : list.keys) {
        if (entry.key) terminal.out << entry.key->str() << '\0';
    }
}

void print_ids(const KeyList& list, Terminal& terminal) {
    for (const KeyEntry& entry : list.keys)
        terminal.out << entry.backend_id.str() << '\n';
}

void print_columns(const KeyList& list, KeyColumns columns, Terminal& terminal) {
    const std::int64_t now = wall_milliseconds();
    if (!terminal.out_is_terminal) {
        terminal.out << render_key_rows(list, columns, now);
    } else if (list.keys.empty()) {
        terminal.err << "No backends.\n";
    } else {
        terminal.out << render_key_table(list, columns, now, terminal.out_color);
    }
}

Result<int> run_list(const ListOptions& options, const Invocation& invocation) {
    if (options.null && options.form != OutputForm::text) {
        return fail(ErrorCode::invalid_request,
                    "-0 prints the keys alone, so -o, -q and --json can't go with it.");
    }
    const auto wanted = parse_filter(options);
    if (!wanted) return tl::unexpected(wanted.error());
    const bool wide = options.form == OutputForm::wide;
    const auto answer = ask(*wanted, wide, invocation);
    if (!answer) return tl::unexpected(answer.error());
    Terminal& terminal = invocation.terminal;
    if (options.null) {
        print_exact_keys(answer->value, terminal);
    } else if (options.form == OutputForm::json) {
        terminal.out << answer->json << '\n';
    } else if (options.form == OutputForm::name) {
        print_ids(answer->value, terminal);
    } else {
        print_columns(answer->value, wide ? KeyColumns::wide : KeyColumns::usual, terminal);
    }
    return 0;
}

}  // namespace

VerbRun prepare_list(CLI::App& app) {
    auto options = std::make_shared<ListOptions>();
    app.add_option("SERVICE", options->word, "Only the backends of this service")->type_name("");
    app.add_option("-s,--service", options->service, "The same")->type_name("SERVICE");
    app.add_option("-k,--key", options->keys,
                   "Only those whose key is this, or matches it: 'doc-*'; may be repeated")
        ->type_name("KEYS")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    add_output_options(app, options->form, {OutputForm::json, OutputForm::name, OutputForm::wide});
    app.add_flag_callback(
        "-q,--quiet", [options] { options->form = OutputForm::name; },
        "The ids alone: the same as -o name");
    app.add_flag("-0,--null", options->null,
                 "The keys alone, as they are, each ended by a NUL byte");
    app.footer(
        "On a terminal a table; in a pipe one line for each backend, without header, the\n"
        "same columns between tabs, times in seconds. A backend without a key has '-'.\n"
        "What could disturb a line or a terminal is written as an escape; -0 and --json are\n"
        "exact. With -o wide, IDLE is the time unused, of that after which it ends.\n");
    return [options](Invocation& invocation) { return run_list(*options, invocation); };
}

}  // namespace jamsock
