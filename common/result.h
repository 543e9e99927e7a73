// Result<T>: a value, or the Error to tell the user. For what is expected to fail;
// an exception is for a bug, and a library's exception is caught where the library is called.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "common/error.h"

namespace jamsock {

template <class T = void>
using Result = tl::expected<T, Error>;

// fail(code, "sentence", "command to run next"): what a function that gives a Result returns.
inline tl::unexpected<Error> fail(ErrorCode code, std::string message, std::string hint = {}) {
    return tl::unexpected(Error{code, std::move(message), std::move(hint), {}});
}

// The same with an error that anybody may be told as it stands (Error::public_message).
inline tl::unexpected<Error> fail_openly(ErrorCode code, std::string message,
                                         std::string hint = {}) {
    return tl::unexpected(for_anybody({code, std::move(message), std::move(hint), {}}));
}

// Hands the error of one Result on as that of another type.
template <class T>
tl::unexpected<Error> pass_on(Result<T>& failed) {
    return tl::unexpected(std::move(failed.error()));
}

}  // namespace jamsock
