#include "daemon/proxy/body_flow.h"

#include <algorithm>
#include <charconv>

namespace jamsock {

namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view last_chunk = "0\r\n";
constexpr std::string_view end_of_chunks = "0\r\n\r\n";
constexpr std::size_t longest_size_line = 20;

// RFC 9112, 6.3.
bool has_no_body(int status) {
    return status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

bool announces_what_must_not_come(const ResponseHead& head) {
    return head.status == 204 && (head.is_chunked || head.content_length.value_or(0) > 0);
}

Framing framing_of(const ResponseHead& head, bool answers_head, bool client_is_http_1_0) {
    if (answers_head || has_no_body(head.status)) return Framing::none;
    if (head.content_length) return Framing::length;
    return client_is_http_1_0 ? Framing::until_close : Framing::chunked;
}

BodyFlow::BodyFlow(const RequestHead& head) : leaves_in_chunks_(head.is_chunked) {
    if (head.is_chunked) {
        from_ = From::chunks;
        chunks_.emplace(ChunkedReader::Pass::framing_and_data);
    } else if (head.content_length.value_or(0) > 0) {
        from_ = From::length;
        left_ = *head.content_length;
    }
}

BodyFlow::BodyFlow(const ResponseHead& head, Framing framing)
    : leaves_in_chunks_(framing == Framing::chunked) {
    if (framing == Framing::none) return;
    if (head.is_chunked) {
        from_ = From::chunks;
        chunks_.emplace(leaves_in_chunks_ ? ChunkedReader::Pass::framing_and_data
                                          : ChunkedReader::Pass::data);
    } else if (head.content_length) {
        from_ = *head.content_length > 0 ? From::length : From::nothing;
        left_ = *head.content_length;
    } else {
        from_ = From::until_close;
    }
}

bool BodyFlow::is_done() const {
    switch (from_) {
        case From::nothing:
            return true;
        case From::length:
            return left_ == 0;
        case From::chunks:
            return chunks_->is_done();
        case From::until_close:
            return has_ended_;
    }
    return true;
}

BodyFlow::Step BodyFlow::take(std::string_view input, Pieces& pieces) {
    if (input.empty() || is_done()) return {};
    if (from_ == From::chunks) return take_chunks(input, pieces);
    if (from_ == From::until_close) {
        put_chunk(input, pieces);
        return {.consumed = input.size()};
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
    left_ -= size;
    pieces.push_back(input.substr(0, size));
    return {.consumed = size};
}

BodyFlow::Step BodyFlow::take_chunks(std::string_view input, Pieces& pieces) {
    const ChunkedReader::Step step = chunks_->read(input, pieces);
    const bool stands_still = step.consumed == 0 && input.size() > longest_head;
    if (step.is_malformed || stands_still) return {step.consumed, true};
    if (chunks_->is_done() && leaves_in_chunks_) {
        text_ = last_chunk;
        append_trailers(text_, chunks_->trailers());
        text_ += line_end;
        pieces.push_back(text_);
    }
    return {.consumed = step.consumed};
}

void BodyFlow::put_chunk(std::string_view data, Pieces& pieces) {
    if (!leaves_in_chunks_) return pieces.push_back(data);
    std::array<char, longest_size_line> digits;
    const auto end = std::to_chars(digits.begin(), digits.end(), data.size(), 16).ptr;
    text_.assign(digits.begin(), end);
    text_ += line_end;
    pieces.insert(pieces.end(), {text_, data, line_end});
}

void BodyFlow::end(Pieces& pieces) {
    has_ended_ = true;
    if (leaves_in_chunks_) pieces.push_back(end_of_chunks);
}

}  // namespace jamsock
