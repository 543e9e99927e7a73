// A backend's output, cut into lines that one event each can carry. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jamsock {

// `text` as every parser of events takes it for one line: CR is written as \r, and U+FFFD stands
// for what else some take for a line's end and for each byte that is no UTF-8. At most three times
// as long as `text`.
std::string event_line(std::string_view text);

class LogLines {
  public:
    // Of longer lines each so many bytes are a line: clients that parse what they read take an
    // event for whole, and read up to 64 KiB.
    static constexpr std::size_t longest = 16 * 1024;

    void add(std::string_view bytes);
    // Forgets the line that is not whole: what follows is not its rest.
    void break_off() { text_.clear(), at_ = 0; }

    // The next whole line, as event_line has it; nothing until more is added.
    std::optional<std::string> next();
    // After these, and after the end of all: a last line that has no line end.
    std::optional<std::string> last();

  private:
    std::string text_;
    std::size_t at_ = 0;  // so much of it has been given
};

}  // namespace jamsock
