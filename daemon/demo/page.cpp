#include "daemon/demo/page.h"

#include <fmt/format.h>

#include <map>
#include <random>
#include <string_view>

#include "common/text.h"
#include "daemon/demo/document.h"
#include "page_parts.h"

namespace jamsock::demo {

namespace {

using Values = std::map<std::string, std::string, std::less<>>;

// `text` with each {{name}} replaced by its value, once: values are not looked into.
std::string filled(std::string_view text, const Values& values) {
    std::string out;
    while (true) {
        const auto begin = text.find("{{");
        out += text.substr(0, begin);
        if (begin == std::string_view::npos) return out;
        text.remove_prefix(begin + 2);
        const auto end = text.find("}}");
        out += values.find(text.substr(0, end))->second;
        text.remove_prefix(end + 2);
    }
}

// The command that opens the key again, or its beginning if the key can't be shown as it is.
std::string reopening_command(const std::string& key) {
    if (escaped(key) != key) return "jamsock connect --key …";
    if (key.starts_with('-')) return shell_line({"jamsock", "connect", "--key=" + key});
    return shell_line({"jamsock", "connect", "--key", key});
}

}  // namespace

std::string page(const PageFacts& facts, const PageMoment& moment, const std::string& nonce) {
    return filled(page_parts::html, {{"style", std::string(page_parts::style)},
                                     {"script", std::string(page_parts::script)},
                                     {"nonce", nonce},
                                     {"key", html_escaped(escaped(facts.key))},
                                     {"backend", html_escaped(facts.backend_id)},
                                     {"fencing token", html_escaped(facts.fencing_token)},
                                     {"lookers", fmt::to_string(moment.lookers)},
                                     {"uptime", fmt::to_string(moment.uptime.count())},
                                     {"reopen", html_escaped(reopening_command(facts.key))},
                                     {"longest text", fmt::to_string(longest_text)},
                                     {"most splices", fmt::to_string(most_splices)}});
}

std::string security_policy(const std::string& nonce) {
    return fmt::format(
        "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        nonce);
}

std::string new_nonce() {
    std::random_device random;
    return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

}  // namespace jamsock::demo
