#include <CLI/CLI.hpp>
#include <memory>

#include "cli/choice_option.h"
#include "cli/commands/commands.h"
#include "cli/invocation.h"
#include "completion_scripts.h"

namespace jamsock {

VerbRun prepare_completion(CLI::App& app) {
    auto script = std::make_shared<std::string_view>();
    add_choice_option<std::string_view>(app, "SHELL", "The shell",
                                        {{"bash", completion_scripts::bash},
                                         {"zsh", completion_scripts::zsh},
                                         {"fish", completion_scripts::fish}},
                                        [script](std::string_view chosen) { *script = chosen; });
    app.footer(
        "In bash, a line for ~/.bashrc is: source <(jamsock completion bash)\n"
        "In zsh, the file _jamsock goes into a directory of $fpath; in fish it is found where the\n"
        "example puts it. Keys, ids and services are those of the moment; no daemon is started.\n");
    return [script](Invocation& invocation) -> Result<int> {
        if (script->empty()) {
            return fail(ErrorCode::invalid_request, "Say for which shell: bash, zsh or fish.");
        }
        invocation.terminal.out << *script;
        return 0;
    };
}

}  // namespace jamsock
