#include "cli/verb_options.h"

#include "cli/choice_option.h"

namespace jamsock {

namespace {

VerbOption described(const CLI::Option& option) {
    VerbOption result{.value = option.get_items_expected_max() > 0 ? option.get_type_name() : "",
                      .about = option.get_description(),
                      .is_word = option.get_positional()};
    for (const std::string& name : option.get_snames())
        result.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames())
        result.names.push_back("--" + name);
    if (result.is_word) result.names.push_back(option.get_name(/*positional=*/true));
    return result;
}

}  // namespace

VerbRun add_options(const Verb& verb, CLI::App& app, std::function<void(ColorRule)> set_color) {
    app.set_help_flag("-h,--help", "Show this help");
    VerbRun run = verb.prepare(app);
    add_choice_option<ColorRule>(app, "--color", "Colours",
                                 {{"auto", ColorRule::automatic},
                                  {"always", ColorRule::always},
                                  {"never", ColorRule::never}},
                                 std::move(set_color));
    return run;
}

VerbDescription describe(const Verb& verb) {
    CLI::App app;
    add_options(verb, app, [](ColorRule) {});
    VerbDescription description{.notes = app.get_footer()};
    for (const CLI::Option* option : app.get_options())
        description.options.push_back(described(*option));
    return description;
}

}  // namespace jamsock
