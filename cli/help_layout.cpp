#include "cli/help_layout.h"

#include <sstream>
#include <vector>

#include "cli/render.h"

namespace jamsock {

namespace {

constexpr std::size_t entry_indent = 2;
constexpr std::size_t entry_text_indent = 4;

bool begins_entry(const std::string& line) {
    const auto start = line.find_first_not_of(' ');
    return start == entry_indent && line.find("  ", start) != std::string::npos;
}

bool is_command(const std::string& line) {
    return line.find_first_not_of(' ') == entry_indent && !begins_entry(line);
}

// What goes on from line to line as one text.
struct Block {
    std::size_t indent = 0;       // of the first line
    std::size_t rest_indent = 0;  // of the others
    std::string term;             // as it stands, with the blanks behind it
    std::string text;

    std::string laid_out() const {
        const std::string head = std::string(indent, ' ') + term;
        return head + wrapped(text, display_width(head), rest_indent);
    }
};

Block entry(const std::string& line) {
    const auto gap = line.find("  ", entry_indent);
    return {entry_indent, entry_text_indent, line.substr(entry_indent, gap + 2 - entry_indent),
            line.substr(gap + 2)};
}

std::string without_indent(const std::string& line) {
    return line.substr(line.find_first_not_of(' '));
}

}  // namespace

std::string wrapped(std::string_view text, std::size_t start, std::size_t indent) {
    std::istringstream words{std::string(text)};
    std::string laid_out;
    std::size_t column = start;
    bool is_first = true;
    for (std::string word; words >> word; is_first = false) {
        const std::size_t width = display_width(word);
        if (!is_first && column + 1 + width > help_columns) {
            laid_out += '\n' + std::string(indent, ' ');
            column = indent;
        } else if (!is_first) {
            laid_out += ' ';
            ++column;
        }
        laid_out += word;
        column += width;
    }
    return laid_out + '\n';
}

std::string reflowed(std::string_view lines) {
    std::istringstream stream{std::string(lines)};
    std::string result;
    Block open;
    const auto close = [&] {
        if (!open.text.empty()) result += open.laid_out();
        open = {};
    };
    for (std::string line; std::getline(stream, line);) {
        if (line.empty() || is_command(line)) {
            close();
            result += line + '\n';
        } else if (begins_entry(line)) {
            close();
            open = entry(line);
        } else {
            const bool goes_on_in_entry = line.starts_with(' ');
            if (!goes_on_in_entry && open.indent > 0) close();
            open.text += (open.text.empty() ? "" : " ") + without_indent(line);
        }
    }
    close();
    return result;
}

}  // namespace jamsock
