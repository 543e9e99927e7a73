// When a backend counts as ready, as a service sets it (README, Services): the sign that it waits
// for, and whose the port must be. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace jamsock {

// What shows that a backend is ready, in place of an answer to `HEAD /`.
class ReadySign {
  public:
    enum class Kind {
        log,   // a line of its output matches a regular expression (LogPattern)
        path,  // `GET` of the path is answered with a status from 200 to 399
        exec,  // a command for `sh -c` exits with 0
    };
    static constexpr std::array kinds{Kind::log, Kind::path, Kind::exec};

    // InvalidRequest, with the reason or the position, if `text` is none; `called` begins the
    // sentence ("The option --ready-log").
    static Result<ReadySign> parse(Kind kind, std::string text, std::string_view called);
    // As `parse` once took it, without another look: a pattern is not compiled again.
    static ReadySign from_stored(Kind kind, std::string text) { return {kind, std::move(text)}; }

    Kind kind() const { return kind_; }
    const std::string& text() const { return text_; }
    friend bool operator==(const ReadySign&, const ReadySign&) = default;

  private:
    ReadySign(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
    Kind kind_;
    std::string text_;
};

// "log", "path", "exec": behind `--ready-` and `ready_`.
const char* word(ReadySign::Kind kind);

// Who may listen on the port of a backend that is ready.
enum class PortRule {
    tree,  // a process of its own
    any,   // anybody: its server is in another network namespace, or behind docker-proxy
};
const char* word(PortRule rule);
std::optional<PortRule> port_rule_from_word(std::string_view word);

// As an environment or a service sets it; what is empty is not set there.
struct ReadinessRule {
    std::optional<ReadySign> sign;
    std::optional<bool> listen_fd;  // it gets its listening socket at descriptor 3
    std::optional<PortRule> port_owner;

    bool takes_any_owner() const { return port_owner == PortRule::any; }
    // This one, and what it doesn't set as `base` has it.
    ReadinessRule over(const ReadinessRule& base) const;
    friend bool operator==(const ReadinessRule&, const ReadinessRule&) = default;
};

}  // namespace jamsock
