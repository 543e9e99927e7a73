#include "common/text.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "common/control_characters.h"

namespace jamsock {

namespace {

void append_escaped(std::string& out, char32_t c, std::string_view as_written) {
    const auto code = static_cast<unsigned>(c);
    if (c == '\n') {
        out += "\\n";
    } else if (c == '\t') {
        out += "\\t";
    } else if (c < 0x80 && is_control(c)) {
        fmt::format_to(std::back_inserter(out), "\\x{:02x}", code);
    } else if (is_control(c) || is_bidirectional_control(c)) {
        fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", code);
    } else {
        out += as_written;
    }
}

// For $'…': every byte that isn't printable ASCII as \NNN, which ends after three digits.
std::string with_shell_escapes(std::string_view word) {
    std::string out;
    for (const char c : word) {
        const bool is_plain = c >= ' ' && c <= '~' && c != '\'' && c != '\\';
        if (is_plain) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "\\{:03o}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

bool needs_shell_quotes(char c) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_./:=@%+,").find(c) != std::string_view::npos;
    return !plain;
}

}  // namespace

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (auto at = text.begin(); at != text.end();) {
        const auto start = at;
        try {
            const char32_t c = utf8::next(at, text.end());
            append_escaped(out, c, std::string_view(start, at));
        } catch (const utf8::exception&) {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}",
                           static_cast<unsigned char>(*start));
            at = std::next(start);
        }
    }
    return out;
}

bool has_control_character(std::string_view text) {
    try {
        for (auto at = text.begin(); at != text.end();) {
            if (is_control(utf8::next(at, text.end()))) return true;
        }
        return false;
    } catch (const utf8::exception&) {
        return true;
    }
}

std::string in_quotes(std::string_view text) {
    return "'" + escaped(text) + "'";
}

std::string single_quoted(std::string_view word) {
    std::string out = "'";
    for (const char c : word)
        out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + '\'';
}

std::string shell_line(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) line += ' ';
        if (escaped(word) != word) {
            line += "$'" + with_shell_escapes(word) + '\'';
        } else if (word.empty() || std::ranges::any_of(word, needs_shell_quotes)) {
            line += single_quoted(word);
        } else {
            line += word;
        }
    }
    return line;
}

std::string html_escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string percent_encoded(std::string_view text, std::string_view plain) {
    constexpr std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string encoded;
    for (const char c : text) {
        const bool is_plain =
            unreserved.find(c) != std::string_view::npos || plain.find(c) != std::string_view::npos;
        encoded +=
            is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

bool parse_number(std::string_view text, long long& number) {
    if (text.empty() || text.front() == '-') return false;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    return failed == std::errc{} && end == text.data() + text.size();
}

}  // namespace jamsock
