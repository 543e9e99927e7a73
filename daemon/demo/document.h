// The shared text with its versions: takes edits that were made on an older version, as long as it
// remembers what happened since. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/demo/splice.h"

namespace jamsock::demo {

inline constexpr std::size_t longest_text = 1 << 20;  // UTF-16 code units
inline constexpr std::size_t most_splices = 1000;     // in one edit

// What one window did since its last edit; makes one version.
struct Edit {
    std::string by;            // the window
    std::uint64_t number = 0;  // of this window's edits: 1, 2, …
    std::vector<Splice> splices;
};

class Document {
  public:
    enum class Outcome {
        applied,
        known,  // this edit was applied before: it was sent twice
        too_old,
        too_long,
        invalid,
    };

    // `base` is the version that the edit was made on. Nothing but `applied` changes anything.
    Outcome apply(Edit edit, std::uint64_t base);

    const std::u16string& text() const { return text_; }
    std::uint64_t version() const { return first_ + edits_.size(); }

    // Whether all edits after `version` are remembered; then edit_after(version) is the first.
    bool remembers(std::uint64_t version) const;
    const Edit& edit_after(std::uint64_t version) const { return edits_[version - first_]; }

    // The number of the window's last edit, also when the edit itself is forgotten. 0: there was
    // none, or many windows have been heard since.
    std::uint64_t last_number_of(const std::string& by) const;

  private:
    struct LastEdit {
        std::uint64_t number = 0;
        std::uint64_t base = 0;  // the version before it
    };

    void remember(Edit edit);
    void remember_last(const Edit& edit);

    std::u16string text_;
    std::deque<Edit> edits_;
    std::uint64_t first_ = 0;           // the version before the first remembered edit
    std::size_t remembered_units_ = 0;  // inserted by all remembered edits
    std::unordered_map<std::string, LastEdit> last_edits_;  // by window
};

}  // namespace jamsock::demo
