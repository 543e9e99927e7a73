#include "tests/support/manual.h"

#include <fmt/format.h>
#include <utf8.h>

#include <iterator>
#include <optional>
#include <sstream>
#include <vector>

#include "cli/command_table.h"
#include "cli/help_topics.h"
#include "cli/verb_options.h"
#include "common/version.h"

namespace jamsock::test {

namespace {

constexpr std::string_view date = "2026-11-29";

constexpr std::string_view opening = R"(
jamsock gives every key at most one running
.IR backend :
a process that owns one thing while people use it, such as a document or a room.
Asking for the key always gets you it, whatever crashed in between.
.PP
.B jamsock connect
prints the URL of the backend that holds a key, and starts one if there is none.
A small daemon,
.BR jamsockd (8),
keeps the backends; the commands that need it start it.
.PP
Each backend runs a command that serves HTTP on 127.0.0.1, port $PORT: the one behind
.BR \-\- ,
that of a
.I service
with a name, or, without both, a page of text that all with the URL share.
.PP
Where a command means running backends, an id can stand, or
.B \-\-key
with a key or a glob of keys.
)";

std::vector<std::string> lines_of(std::string_view text) {
    std::istringstream stream{std::string(text)};
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

// As roff reads it: no escapes, no requests, ASCII alone.
std::string plain(std::string_view text) {
    std::string result = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
    for (auto at = text.begin(); at != text.end();) {
        const auto code = utf8::unchecked::next(at);
        if (code == '\\') {
            result += "\\e";
        } else if (code == '-') {
            result += "\\-";
        } else if (code == '\'') {
            result += "\\(aq";
        } else if (code == '"') {
            result += "\\(dq";
        } else if (code == '~') {
            result += "\\(ti";
        } else if (code == '^') {
            result += "\\(ha";
        } else if (code == '`') {
            result += "\\(ga";
        } else if (code < 0x80) {
            result += static_cast<char>(code);
        } else {
            result += fmt::format("\\[u{:04X}]", code);
        }
    }
    return result;
}

std::string code_lines(const std::vector<std::string>& lines) {
    std::string page = ".PP\n.nf\n.RS\n";
    for (const std::string& line : lines)
        page += plain(line) + "\n";
    return page + ".RE\n.fi\n";
}

std::string tagged(const std::string& tag, std::string_view text) {
    return fmt::format(".TP\n.B {}\n{}\n", tag, plain(text));
}

std::string bold(std::string_view text) {
    return fmt::format("\\fB{}\\fR", plain(text));
}

std::string option(const VerbOption& option) {
    std::string tag;
    for (const std::string& name : option.names)
        tag += (tag.empty() ? "" : ", ") + bold(name);
    if (!option.value.empty() && !option.is_word) tag += " \\fI" + plain(option.value) + "\\fR";
    return fmt::format(".TP\n{}\n{}.\n", tag, plain(option.about));
}

// Of those that every command has.
bool is_common(const VerbOption& option) {
    return option.names.back() == "--help" || option.names.back() == "--color";
}

std::string common_options() {
    std::string page = ".SH OPTIONS\nEvery command takes these.\n";
    for (const VerbOption& one : describe(command_table().front()).options)
        if (is_common(one)) page += option(one);
    return page + ".PP\n" + bold("jamsock --version") + " prints the version.\n";
}

std::string command(const Verb& verb) {
    const VerbDescription description = describe(verb);
    std::string page = fmt::format(".SS {}\n", plain(verb.name));
    page += ".nf\n";
    for (const std::string& usage : lines_of(verb.usage))
        page += fmt::format("{}{}\n", bold(fmt::format("jamsock {}", verb.name)), plain(usage));
    page += fmt::format(".fi\n.PP\n{}\n", plain(verb.summary));
    if (!verb.alias.empty()) page += fmt::format("The same is {}.\n", bold(verb.alias));
    for (const VerbOption& one : description.options)
        if (!is_common(one)) page += option(one);
    if (!description.notes.empty()) page += ".PP\n";
    for (const std::string& line : lines_of(description.notes))
        page += plain(line) + "\n";
    return page + code_lines(lines_of(verb.examples));
}

// "  TERM  text" and what follows it further in, or plain lines.
std::string topic_text(std::string_view text) {
    std::string page;
    bool is_in_list = false;
    for (const std::string& line : lines_of(text)) {
        const auto start = line.find_first_not_of(' ');
        if (start == std::string::npos) continue;
        const auto gap = line.find("  ", start);
        if (start == 2 && gap != std::string::npos) {
            page += tagged(plain(line.substr(start, gap - start)), line.substr(gap + 2));
        } else if (start == 2) {
            page += code_lines({line.substr(start)});
        } else if (start > 2) {
            page += plain(line.substr(start)) + "\n";
        } else {
            const bool is_new = page.empty() || is_in_list;
            page += (is_new ? ".PP\n" : "") + plain(line) + "\n";
        }
        is_in_list = start >= 2;
    }
    if (page.starts_with(".PP\n")) page.erase(0, 4);
    return page;
}

std::string topic(std::string_view heading, std::string_view name) {
    return fmt::format(".SH {}\n{}", heading, topic_text(find_topic(name)->text));
}

}  // namespace

std::string manual() {
    std::string page = fmt::format(
        ".\\\" Made of the command line's own tables; see CONTRIBUTING.\n"
        ".TH JAMSOCK 1 {} \"jamsock {}\" \"User Commands\"\n"
        ".SH NAME\njamsock \\- one running backend for each key\n"
        ".SH SYNOPSIS\n.B jamsock\n.I COMMAND\n.RI [ OPTIONS ]\n"
        ".SH DESCRIPTION{}{}.SH COMMANDS\n",
        date, version(), opening, common_options());
    for (const Verb& verb : command_table())
        page += command(verb);
    page += topic("KEYS", "keys");
    page += topic("EXIT STATUS", "exit-codes");
    page += topic("ENVIRONMENT", "environment");
    page += topic("FILES", "files");
    page += ".SH SEE ALSO\n.BR jamsockd (8),\n.BR jamsock\\-shim (8)\n";
    return page;
}

}  // namespace jamsock::test
