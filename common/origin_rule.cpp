#include "common/origin_rule.h"

namespace jamsock {

const char* word(OriginRule rule) {
    return rule == OriginRule::strict ? "strict" : "any";
}

std::optional<OriginRule> origin_rule_from_word(std::string_view text) {
    for (const OriginRule rule : {OriginRule::any, OriginRule::strict}) {
        if (text == word(rule)) return rule;
    }
    return std::nullopt;
}

}  // namespace jamsock
