// JSON for human eyes, too. Pure.
#pragma once

#include <string>

namespace jamsock {

// A JSON text of the same value, in whose strings control characters (common/control_characters.h)
// are \uNNNN: JSON itself demands that of C0 alone.
std::string with_controls_escaped(std::string json);

}  // namespace jamsock
