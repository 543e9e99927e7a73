#include "daemon/demo/splice.h"

namespace jamsock::demo {

namespace {

bool is_within_character(const std::u16string& text, std::size_t at) {
    return at < text.size() && text[at] >= 0xDC00 && text[at] <= 0xDFFF;
}

// The two ranges have units in common, or one lies strictly inside the other.
Splice transformed_overlapping(const Splice& mine, const Splice& theirs, bool mine_first) {
    const std::size_t my_end = mine.at + mine.removed;
    const std::size_t their_end = theirs.at + theirs.removed;
    const std::size_t left = theirs.at > mine.at ? theirs.at - mine.at : 0;
    const std::size_t right = my_end > their_end ? my_end - their_end : 0;
    if (!mine_first) return {theirs.at + theirs.inserted.size(), right, mine.inserted};
    if (right == 0) return {mine.at, left, mine.inserted};
    // What is left to remove lies on both sides of their insertion: that is put back.
    return {mine.at, left + theirs.inserted.size() + right, mine.inserted + theirs.inserted};
}

}  // namespace

bool apply(std::u16string& text, const Splice& splice) {
    if (splice.at > text.size() || splice.removed > text.size() - splice.at) return false;
    if (is_within_character(text, splice.at)) return false;
    if (is_within_character(text, splice.at + splice.removed)) return false;
    text.replace(splice.at, splice.removed, splice.inserted);
    return true;
}

Splice transformed(const Splice& mine, const Splice& theirs, First first) {
    const bool is_before = mine.at + mine.removed <= theirs.at;
    const bool is_after = theirs.at + theirs.removed <= mine.at;
    const bool mine_first = mine.at < theirs.at || (mine.at == theirs.at && first == First::mine);
    if (is_before && (!is_after || mine_first)) return mine;
    if (is_after) {
        return {mine.at - theirs.removed + theirs.inserted.size(), mine.removed, mine.inserted};
    }
    return transformed_overlapping(mine, theirs, mine_first);
}

void pass(std::vector<Splice>& mine, std::vector<Splice>& theirs) {
    for (Splice& my : mine) {
        for (Splice& their : theirs) {
            Splice my_next = transformed(my, their, First::theirs);
            their = transformed(their, my, First::mine);
            my = std::move(my_next);
        }
    }
}

}  // namespace jamsock::demo
