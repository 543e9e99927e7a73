// What differs in programs that are built with a sanitizer: they are slower, and use more memory.
#pragma once

namespace jamsock::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

// Multiplies the tests' deadlines.
inline constexpr int slowness = is_sanitized ? 5 : 1;

}  // namespace jamsock::test
