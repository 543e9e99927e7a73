// How one message's body goes on from one side to the other: which bytes of what came pass, and in
// what framing they leave. Copies nothing, moves nothing itself. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/chunked.h"
#include "daemon/http/head_rules.h"
#include "daemon/proxy/header_rules.h"

namespace jamsock {

class BodyFlow {
  public:
    using Pieces = std::vector<std::string_view>;

    BodyFlow() = default;  // no body
    // It leaves in the framing in which it comes.
    explicit BodyFlow(const RequestHead& head);
    // It leaves as `framing_of` says.
    BodyFlow(const ResponseHead& head, Framing framing);

    // All of the body, and the framing around it, has come.
    bool is_done() const;
    // Its sender ends it by ending the connection.
    bool lasts_until_close() const { return from_ == From::until_close && !has_ended_; }

    struct Step {
        std::size_t consumed = 0;  // of the input; 0: it needs more
        bool is_malformed = false;
    };
    // Appends what is to be sent: views into `input` and into this, valid until the next call.
    Step take(std::string_view input, Pieces& pieces);
    // The sender has ended the connection, of a body that lasts until then.
    void end(Pieces& pieces);

  private:
    enum class From { nothing, length, chunks, until_close };

    Step take_chunks(std::string_view input, Pieces& pieces);
    void put_chunk(std::string_view data, Pieces& pieces);

    From from_ = From::nothing;
    bool leaves_in_chunks_ = false;
    bool has_ended_ = false;
    std::uint64_t left_ = 0;
    std::optional<ChunkedReader> chunks_;
    std::string text_;  // a chunk's size line, or the last chunk with its trailers
};

// A 204 has no body (RFC 9112, 6.3), but says that it has one: its sender may send that all the
// same, where the next response should begin.
bool announces_what_must_not_come(const ResponseHead& head);

// How the response's body leaves for the client.
Framing framing_of(const ResponseHead& head, bool answers_head, bool client_is_http_1_0);

}  // namespace jamsock
