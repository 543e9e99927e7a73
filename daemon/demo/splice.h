// One change of a text, and how two that were made at the same time pass each other (operational
// transformation). Pure; page.js has the same rules, and a test holds the two against each other.
//
// Offsets and lengths count UTF-16 code units, here, in the page and between them: those are
// JavaScript's own. Only JSON has the text in UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jamsock::demo {

// From `at` on, `removed` units go and `inserted` comes.
struct Splice {
    std::size_t at = 0;
    std::size_t removed = 0;
    std::u16string inserted;

    bool operator==(const Splice&) const = default;
};

// False, with `text` as it was, if the splice reaches beyond the text, or begins or ends within a
// character.
bool apply(std::u16string& text, const Splice& splice);

// Whose insertion stands first where both are at one place.
enum class First { mine, theirs };

// `mine`, made to be applied after `theirs`: both were made for the same text. In whichever order
// the two are applied, the text comes out the same, and has both insertions whole.
Splice transformed(const Splice& mine, const Splice& theirs, First first);

// Two runs of splices from the same text, in which each splice follows the one before: both are
// changed to be applied after the other's run. Theirs stand first.
void pass(std::vector<Splice>& mine, std::vector<Splice>& theirs);

}  // namespace jamsock::demo
