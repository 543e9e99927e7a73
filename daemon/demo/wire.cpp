#include "daemon/demo/wire.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/json_escapes.h"
#include "common/text.h"

namespace jamsock::demo {

namespace {

using nlohmann::json;

constexpr std::size_t longest_id = 64;
constexpr std::ptrdiff_t longest_name = 40;        // characters
constexpr std::uint64_t largest_offset = 1 << 30;  // far beyond any text, far below an overflow

std::string event(std::string_view name, const json& data) {
    return fmt::format("event: {}\ndata: {}\n\n", name, with_controls_escaped(data.dump()));
}

bool is_offset(const json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= largest_offset;
}

std::optional<Splice> splice_of(const json& value) {
    if (!value.is_object() || !is_offset(value.value("at", json())) ||
        !is_offset(value.value("removed", json())) ||
        !value.value("inserted", json()).is_string()) {
        return std::nullopt;
    }
    const auto& inserted = value["inserted"].get_ref<const std::string&>();
    if (inserted.find('\r') != std::string::npos) return std::nullopt;  // a textarea drops it
    return Splice{value["at"].get<std::size_t>(), value["removed"].get<std::size_t>(),
                  utf8::utf8to16(inserted)};
}

json json_of(const Splice& splice) {
    return {{"at", splice.at},
            {"removed", splice.removed},
            {"inserted", utf8::utf16to8(splice.inserted)}};
}

std::string shortened(const std::string& name) {
    const std::string shown = escaped(name);
    auto end = shown.begin();
    for (std::ptrdiff_t count = 0; count < longest_name && end != shown.end(); ++count)
        utf8::next(end, shown.end());
    return end == shown.end() ? shown : std::string(shown.begin(), end) + "…";
}

}  // namespace

bool is_looker_id(std::string_view text) {
    return !text.empty() && text.size() <= longest_id && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    });
}

std::optional<PostedEdit> posted_edit(const std::string& body) {
    const json posted = json::parse(body, nullptr, false);
    if (!posted.is_object()) return std::nullopt;
    const json by = posted.value("by", json());
    const json number = posted.value("number", json());
    const json base = posted.value("base", json());
    const json splices = posted.value("splices", json());
    if (!by.is_string() || !is_looker_id(by.get_ref<const std::string&>()) ||
        !number.is_number_unsigned() || !base.is_number_unsigned() || !splices.is_array()) {
        return std::nullopt;
    }
    PostedEdit result{{by.get<std::string>(), number.get<std::uint64_t>(), {}},
                      base.get<std::uint64_t>()};
    for (const json& value : splices) {
        const auto splice = splice_of(value);
        if (!splice) return std::nullopt;
        result.edit.splices.push_back(*splice);
    }
    return result;
}

std::string state_event(const Document& document, std::uint64_t number,
                        std::chrono::seconds uptime) {
    return event("state", {{"version", document.version()},
                           {"text", utf8::utf16to8(document.text())},
                           {"number", number},
                           {"uptime", uptime.count()}});
}

std::string edit_event(const Edit& edit, std::uint64_t version) {
    json splices = json::array();
    for (const Splice& splice : edit.splices)
        splices.push_back(json_of(splice));
    return event("edit", {{"version", version},
                          {"by", edit.by},
                          {"number", edit.number},
                          {"splices", std::move(splices)}});
}

std::string lookers_event(const std::vector<Looker>& lookers) {
    json list = json::array();
    for (const Looker& looker : lookers)
        list.push_back({{"id", looker.id}, {"name", looker.name}, {"colour", looker.colour}});
    return event("lookers", list);
}

std::string full_event(std::size_t places) {
    return event("full", places);
}

std::string looker_name(const std::string& verified, const std::string& wanted) {
    const std::string name = shortened(verified.empty() ? wanted : verified);
    return name.find_first_not_of(' ') == std::string::npos ? "Somebody" : name;
}

}  // namespace jamsock::demo
