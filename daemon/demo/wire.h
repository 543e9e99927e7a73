// What the page and the demo say to each other: posted edits in, server-sent events out; JSON
// inside, in UTF-8. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/demo/document.h"

namespace jamsock::demo {

// One window that looks.
struct Looker {
    std::string id;  // the page's own, new at each load
    std::string name;
    int colour = 0;  // the lowest number that no other looker has
};

struct PostedEdit {
    Edit edit;
    std::uint64_t base = 0;  // the version it was made on
};

// Whether a page may call itself so: 1 to 64 of a-z and 0-9.
bool is_looker_id(std::string_view text);

// {"by":"…","number":1,"base":0,"splices":[{"at":0,"removed":0,"inserted":"…"}]}; nothing if the
// body is anything else.
std::optional<PostedEdit> posted_edit(const std::string& body);

// The whole text. `number`: of the receiver's last edit that is in it.
std::string state_event(const Document& document, std::uint64_t number,
                        std::chrono::seconds uptime);
std::string edit_event(const Edit& edit, std::uint64_t version);
std::string lookers_event(const std::vector<Looker>& lookers);
std::string full_event(std::size_t places);

// What a looker is called: `verified` if there is one, else what it asked for; shortened, without
// control characters, never empty.
std::string looker_name(const std::string& verified, const std::string& wanted);

}  // namespace jamsock::demo
