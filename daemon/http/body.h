// Takes a message's body off its framing, piece by piece, without ever holding more of it than the
// caller's buffers. The head must have passed head_rules. Trailers are read and dropped.
// Moves no bytes over sockets itself. The home of Beast, hidden in the .cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "daemon/http/head_rules.h"

namespace jamsock {

class BodyReader {
  public:
    explicit BodyReader(const RequestHead& head);
    // A response to HEAD has no body whatever its head says.
    BodyReader(const ResponseHead& head, bool answers_head);
    BodyReader(BodyReader&&) noexcept;
    BodyReader& operator=(BodyReader&&) noexcept;
    ~BodyReader();

    // The whole body, and the framing around it, has been taken from the input.
    bool is_done() const;
    // Ends only where its connection ends: no length, no chunks.
    bool lasts_until_close() const;

    struct Step {
        std::size_t consumed = 0;  // of the input
        std::size_t produced = 0;  // into the output
        bool is_malformed = false;
    };
    // Decodes until the output is full, the input gives no more, or the body is done.
    Step read(std::string_view input, std::span<char> output);

    // The connection has ended. False: the body is cut short.
    bool finish();

    struct Parser;

  private:
    Step copy(std::string_view input, std::span<char> output);

    std::unique_ptr<Parser> parser_;  // empty: the body's length is known
    std::uint64_t left_ = 0;          // of that length
};

}  // namespace jamsock
