// The demo's one page, as HTML with its style and script inside: nothing comes from anywhere else.
#pragma once

#include <string>

namespace jamsock::demo {

struct PageFacts {
    std::string key;
    std::string backend_id;
    std::string fencing_token;
};

// `text` is the shared text at this moment; all of it is escaped here.
std::string page(const PageFacts& facts, const std::string& text);

}  // namespace jamsock::demo
