#include "daemon/http/body.h"

#include <algorithm>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <limits>

#include "daemon/asio.h"

namespace jamsock {

namespace beast_http = boost::beast::http;

// One interface over Beast's two kinds of parsers.
struct BodyReader::Parser {
    virtual ~Parser() = default;
    virtual bool is_done() const = 0;
    virtual bool need_eof() const = 0;
    virtual std::size_t put(asio::const_buffer input, error_code& failed) = 0;
    virtual bool put_eof() = 0;
    virtual void set_output(std::span<char> output) = 0;
    virtual std::size_t output_left() const = 0;
};

namespace {

constexpr auto unlimited =
    std::numeric_limits<std::uint64_t>::max();  // boost::none means 0 in 1.74

template <bool is_request>
struct BeastParser final : BodyReader::Parser {
    using Implementation = beast_http::parser<is_request, beast_http::buffer_body>;

    explicit BeastParser(std::string_view head) {
        parser.header_limit(longest_head);
        parser.body_limit(unlimited);
        error_code failed;
        const std::size_t taken = parser.put(asio::buffer(head.data(), head.size()), failed);
        is_sound = !failed && taken == head.size() && parser.is_header_done();
    }

    bool is_done() const override { return is_sound && parser.is_done(); }
    bool need_eof() const override { return !parser.is_done() && !parser.chunked(); }
    std::size_t put(asio::const_buffer input, error_code& failed) override {
        if (is_sound) return parser.put(input, failed);
        failed = beast_http::make_error_code(beast_http::error::bad_value);
        return 0;
    }
    bool put_eof() override {
        error_code failed;
        parser.put_eof(failed);
        return is_sound && !failed && parser.is_done();
    }
    void set_output(std::span<char> output) override {
        parser.get().body().data = output.data();
        parser.get().body().size = output.size();
    }
    std::size_t output_left() const override { return parser.get().body().size; }

    Implementation parser;
    bool is_sound = false;  // Beast reads the head as we do
};

// RFC 9112, 6.3.
bool has_no_body(int status) {
    return status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

BodyReader::BodyReader(const RequestHead& head)
    : parser_(head.is_chunked ? std::make_unique<BeastParser<true>>(head.text) : nullptr),
      left_(head.content_length.value_or(0)) {
}

BodyReader::BodyReader(const ResponseHead& head, bool answers_head) {
    if (answers_head || has_no_body(head.status)) return;
    left_ = head.content_length.value_or(0);
    if (!head.content_length) parser_ = std::make_unique<BeastParser<false>>(head.text);
}

BodyReader::BodyReader(BodyReader&&) noexcept = default;
BodyReader& BodyReader::operator=(BodyReader&&) noexcept = default;
BodyReader::~BodyReader() = default;

bool BodyReader::is_done() const {
    return parser_ ? parser_->is_done() : left_ == 0;
}

bool BodyReader::lasts_until_close() const {
    return parser_ && parser_->need_eof();
}

BodyReader::Step BodyReader::read(std::string_view input, std::span<char> output) {
    if (!parser_) return copy(input, output);
    Step step;
    if (is_done()) return step;
    parser_->set_output(output);
    // Without input a parser would report neither progress nor a need.
    while (!is_done() && parser_->output_left() > 0 && step.consumed < input.size()) {
        const std::string_view rest = input.substr(step.consumed);
        error_code failed;
        step.consumed += parser_->put(asio::buffer(rest.data(), rest.size()), failed);
        if (failed == beast_http::error::need_more) break;
        if (failed && failed != beast_http::error::need_buffer) {
            step.is_malformed = true;
            break;
        }
    }
    step.produced = output.size() - parser_->output_left();
    return step;
}

BodyReader::Step BodyReader::copy(std::string_view input, std::span<char> output) {
    const std::size_t size = std::min<std::uint64_t>({left_, input.size(), output.size()});
    std::copy_n(input.data(), size, output.data());
    left_ -= size;
    return {.consumed = size, .produced = size};
}

bool BodyReader::finish() {
    return is_done() || (parser_ && parser_->put_eof());
}

}  // namespace jamsock
