// The pages of `jamsock help TOPIC`, which the manual has as sections.
#pragma once

#include <span>
#include <string_view>

namespace jamsock {

struct HelpTopic {
    std::string_view name;     // "exit-codes"
    std::string_view summary;  // for the list of topics
    std::string_view text;     // whole lines
};

std::span<const HelpTopic> help_topics();

// Null if there is none of that name.
const HelpTopic* find_topic(std::string_view name);

}  // namespace jamsock
