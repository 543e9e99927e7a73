// The name of the resource that a backend owns.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace jamsock {

// 1 to 128 Unicode code points of valid UTF-8 without U+0000; not normalised, compared byte
// for byte (CONTRACT, Words). A Key can only come from `parse`, so holding one is the proof.
class Key {
  public:
    static constexpr std::size_t max_code_points = 128;

    // Fails with InvalidKey and a sentence that names the position (from 1) and the reason.
    static Result<Key> parse(std::string_view text);

    const std::string& str() const { return text_; }

    friend auto operator<=>(const Key&, const Key&) = default;

  private:
    explicit Key(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

}  // namespace jamsock

template <>
struct std::hash<jamsock::Key> {
    std::size_t operator()(const jamsock::Key& key) const {
        return std::hash<std::string>{}(key.str());
    }
};
