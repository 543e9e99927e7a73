// A place in the order of keys (Registry::keys), as text for those who ask for a list in pieces.
// Names a place, not an entry: it is good also when the backend there has ended. Pure.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/key.h"

namespace jamsock {

struct KeyCursor {
    std::optional<Key> key;
    BackendId id;

    // The id and, behind a dot, the key as base64url: fit for a query.
    std::string str() const;
    // InvalidRequest if `text` is none that `str` gave.
    static Result<KeyCursor> parse(std::string_view text);

    friend auto operator<=>(const KeyCursor&, const KeyCursor&) = default;
};

}  // namespace jamsock
