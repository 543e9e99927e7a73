#include "daemon/shim/message.h"

#include <charconv>

namespace jamsock {

namespace {

std::string_view up_to_nul(std::string_view text) {
    return text.substr(0, text.find('\0'));
}

// The fields of a well-formed message, one after the other.
class Fields {
  public:
    explicit Fields(std::string_view bytes) : left_(bytes) { next_part(); }

    bool next() {
        if (left_.empty()) return false;
        const std::string_view field = next_part();
        const std::size_t equals = field.find('=');
        name = field.substr(0, equals);
        value = equals == std::string_view::npos ? std::string_view{} : field.substr(equals + 1);
        well_formed = equals != std::string_view::npos && equals > 0;
        return true;
    }

    std::string_view name;
    std::string_view value;
    bool well_formed = true;

  private:
    std::string_view next_part() {
        const std::string_view part = up_to_nul(left_);
        left_.remove_prefix(part.size() + 1);
        return part;
    }

    std::string_view left_;
};

}  // namespace

Message::Message(std::string_view verb) : bytes_(up_to_nul(verb)) {
    bytes_ += '\0';
}

std::optional<Message> Message::decode(std::string_view bytes) {
    if (bytes.empty() || bytes.back() != '\0' || bytes.front() == '\0') return std::nullopt;
    for (Fields fields(bytes); fields.next();) {
        if (!fields.well_formed) return std::nullopt;
    }
    Message message("");
    message.bytes_ = bytes;
    return message;
}

std::string_view Message::verb() const {
    return up_to_nul(bytes_);
}

Message& Message::add(std::string_view name, std::string_view value) {
    bytes_ += up_to_nul(name);
    bytes_ += '=';
    bytes_ += up_to_nul(value);
    bytes_ += '\0';
    return *this;
}

Message& Message::add(std::string_view name, std::int64_t value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

std::optional<std::string_view> Message::text(std::string_view name) const {
    for (Fields fields(bytes_); fields.next();) {
        if (fields.name == name) return fields.value;
    }
    return std::nullopt;
}

std::optional<std::int64_t> Message::number(std::string_view name) const {
    const auto value = text(name);
    if (!value) return std::nullopt;
    std::int64_t number = 0;
    const char* end = value->data() + value->size();
    const auto [stop, failed] = std::from_chars(value->data(), end, number);
    if (failed != std::errc{} || stop != end) return std::nullopt;
    return number;
}

std::vector<std::string> Message::all(std::string_view name) const {
    std::vector<std::string> values;
    for (Fields fields(bytes_); fields.next();) {
        if (fields.name == name) values.emplace_back(fields.value);
    }
    return values;
}

}  // namespace jamsock
