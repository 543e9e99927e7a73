// Takes a request's body off its framing, piece by piece, and keeps none of it. The head must have
// passed head_rules. Trailers are read and dropped. Pure; no sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/chunked.h"
#include "daemon/http/head_rules.h"

namespace jamsock {

class BodyReader {
  public:
    explicit BodyReader(const RequestHead& head);

    // The whole body, and the framing around it, has been taken from the input.
    bool is_done() const { return chunks_ ? chunks_->is_done() : left_ == 0; }

    // Appends to `body` what `input` has of it. What was not consumed must be at the begin of the
    // next input.
    ChunkedReader::Step read(std::string_view input, std::string& body);

  private:
    std::optional<ChunkedReader> chunks_;  // empty: the body's length is known
    std::uint64_t left_ = 0;               // of that length
};

}  // namespace jamsock
