// A quirk of one client: the npm command line of Jamsocket counts its Content-Length in UTF-16
// units, so that a body with more than ASCII is longer than declared (CONTRACT, Errors). Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "daemon/http/message.h"

namespace jamsock {

// How many bytes at least follow a body that has come so far and whose Content-Length is its length
// in UTF-16 units: 0 if it is whole, or no such text.
std::size_t missing_of_utf16_length(std::string_view body, std::size_t declared);

// The same of a request whose declared length has come: 0 unless its User-Agent is that client's
// and its body is no whole JSON.
std::size_t missing_bytes(const Request& so_far);

}  // namespace jamsock
