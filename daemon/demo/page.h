// The demo's one page, as HTML with its style and script inside (page.html, page.css and page.js,
// taken in by the build): nothing comes from anywhere else.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace jamsock::demo {

struct PageFacts {
    std::string key;
    std::string backend_id;
    std::string fencing_token;
};

// What changes from one look to the next.
struct PageMoment {
    std::size_t lookers = 0;
    std::chrono::seconds uptime{0};
};

// Everything is escaped here. `nonce` is the one of the security policy sent with the page.
std::string page(const PageFacts& facts, const PageMoment& moment, const std::string& nonce);

// The Content-Security-Policy that lets a page do what this one does, and no more.
std::string security_policy(const std::string& nonce);

// A number that nobody can guess, new for each page.
std::string new_nonce();

}  // namespace jamsock::demo
