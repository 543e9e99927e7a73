#include "daemon/demo/document.h"

#include <algorithm>
#include <numeric>

namespace jamsock::demo {

namespace {

constexpr std::size_t most_edits = 4096;
constexpr std::size_t most_units = 4 * longest_text;
constexpr std::size_t most_windows = 4096;

std::size_t inserted_units(const Edit& edit) {
    return std::accumulate(
        edit.splices.begin(), edit.splices.end(), std::size_t{0},
        [](std::size_t sum, const Splice& splice) { return sum + splice.inserted.size(); });
}

}  // namespace

Document::Outcome Document::apply(Edit edit, std::uint64_t base) {
    if (edit.number <= last_number_of(edit.by)) return Outcome::known;
    if (base > version() || edit.splices.size() > most_splices) return Outcome::invalid;
    if (!remembers(base)) return Outcome::too_old;
    for (std::uint64_t at = base; at < version(); ++at) {
        std::vector<Splice> theirs = edit_after(at).splices;
        pass(edit.splices, theirs);
    }
    std::u16string next = text_;
    for (const Splice& splice : edit.splices) {
        if (!demo::apply(next, splice)) return Outcome::invalid;
    }
    if (next.size() > longest_text) return Outcome::too_long;
    text_ = std::move(next);
    remember_last(edit);
    remember(std::move(edit));
    return Outcome::applied;
}

bool Document::remembers(std::uint64_t version) const {
    return version >= first_ && version <= this->version();
}

std::uint64_t Document::last_number_of(const std::string& by) const {
    const auto last = last_edits_.find(by);
    return last == last_edits_.end() ? 0 : last->second.number;
}

void Document::remember(Edit edit) {
    remembered_units_ += inserted_units(edit);
    edits_.push_back(std::move(edit));
    while (edits_.size() > most_edits || remembered_units_ > most_units) {
        remembered_units_ -= inserted_units(edits_.front());
        edits_.pop_front();
        ++first_;
    }
}

void Document::remember_last(const Edit& edit) {
    last_edits_[edit.by] = {edit.number, version()};
    if (last_edits_.size() <= most_windows) return;
    last_edits_.erase(std::ranges::min_element(
        last_edits_, {}, [](const auto& entry) { return entry.second.base; }));
}

}  // namespace jamsock::demo
