#include "daemon/http/body.h"

#include <algorithm>
#include <vector>

namespace jamsock {

BodyReader::BodyReader(const RequestHead& head) : left_(head.content_length.value_or(0)) {
    if (head.is_chunked) chunks_.emplace(ChunkedReader::Pass::data);
}

ChunkedReader::Step BodyReader::read(std::string_view input, std::string& body) {
    if (!chunks_) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
        body += input.substr(0, size);
        left_ -= size;
        return {.consumed = size};
    }
    std::vector<std::string_view> slices;
    const ChunkedReader::Step step = chunks_->read(input, slices);
    for (const std::string_view slice : slices)
        body += slice;
    return step;
}

}  // namespace jamsock
