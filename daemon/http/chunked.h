// Reads the chunked coding (RFC 9112, 7.1) as strictly as head_rules reads heads, and copies
// nothing: what passes on are slices of what came. Chunk extensions are cut out. Pure; no sockets.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "daemon/http/head_rules.h"

namespace jamsock {

class ChunkedReader {
  public:
    // What passes on: for a receiver that reads chunks itself, or for one that reads until the end
    // of the connection.
    enum class Pass { framing_and_data, data };

    explicit ChunkedReader(Pass pass) : pass_(pass) {}

    struct Step {
        std::size_t consumed = 0;  // of the input
        bool is_malformed = false;
    };
    // Appends the slices of `input` that pass on, in order: a body that comes without extensions
    // gives one. What was not consumed must be at the begin of the next input, and may be no more
    // than `longest_head`: the line of a chunk's size, and the trailer section, are taken only when
    // they are whole. The last chunk and the trailer section are in no slice: who writes chunks
    // ends them with "0\r\n", the trailers it lets pass, and "\r\n".
    Step read(std::string_view input, std::vector<std::string_view>& slices);

    // The last chunk and the trailer section have been taken.
    bool is_done() const { return expected_ == Expected::nothing; }

    // Views into the input of the call that took them.
    const std::vector<Field>& trailers() const { return trailers_; }

  private:
    enum class Expected { size_line, data, data_end, trailers, nothing };
    enum class Taken { some, none, malformed };

    Taken take_next(std::string_view input, std::size_t& at, std::vector<std::string_view>& slices);
    Taken take_size_line(std::string_view rest, std::size_t& at,
                         std::vector<std::string_view>& slices);
    Taken take_data(std::string_view rest, std::size_t& at, std::vector<std::string_view>& slices);
    Taken take_data_end(std::string_view rest, std::size_t& at,
                        std::vector<std::string_view>& slices);
    Taken take_trailers(std::string_view rest, std::size_t& at);

    Pass pass_;
    Expected expected_ = Expected::size_line;
    std::uint64_t left_ = 0;  // of the chunk's data
    std::size_t seen_ = 0;    // of a trailer section that is not whole yet
    std::vector<Field> trailers_;
};

}  // namespace jamsock
