#include "cli/commands/key_history.h"

#include <fmt/format.h>

#include "common/hints.h"
#include "common/text.h"

namespace jamsock {

void add_key_options(CLI::App& app, KeyOptions& options, const std::string& what,
                     const std::string& word_help) {
    app.add_option(what, options.word, word_help + "; with --key, the service of the key")
        ->type_name("");
    options.key_option = app.add_option("-k,--key", options.key, "This key, whatever it looks like")
                             ->type_name("KEY");
    app.add_option("-s,--service", options.service, "The service of the key")->type_name("SERVICE");
}

Result<KeyOfService> parse_key_options(const KeyOptions& options) {
    const bool named = options.key_option->count() > 0;
    if (!named && options.word.empty()) {
        return fail(ErrorCode::invalid_request, "Give a key, or --key KEY.");
    }
    if (named && !options.word.empty() && !options.service.empty()) {
        return fail(ErrorCode::invalid_request, "The service is given twice.");
    }
    auto key = Key::parse(named ? options.key : options.word);
    if (!key) return pass_on(key);
    const bool word_is_service = named && !options.word.empty();
    auto service = ServiceName::parse(word_is_service ? options.word : options.service);
    if (!service) return pass_on(service);
    return KeyOfService{*std::move(key), *std::move(service)};
}

Result<ApiAnswer<KeyHistory>> ask_for_history(const KeyOfService& wanted, std::size_t most,
                                              const Invocation& invocation, Deadline deadline) {
    auto answer = invocation.ask(
        deadline, Repeat::once, no_daemon<ApiAnswer<KeyHistory>>, [&](DaemonClient& client) {
            return client.history(wanted.service, wanted.key, most, deadline);
        });
    if (!answer || !answer->value.backends.empty()) return answer;
    return fail(ErrorCode::backend_not_found,
                fmt::format("No backend of the key {} is remembered.", in_quotes(wanted.key.str())),
                key_command("connect", wanted.service, wanted.key));
}

}  // namespace jamsock
