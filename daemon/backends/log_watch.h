// Looks for a line in a backend's output as it grows, over the rotation of its files
// (common/output_files.h). Starts at the oldest byte that is kept, so that nothing is missed by who
// comes late. Blocks: for the helper thread.
#pragma once

#include <regex.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/unique_fd.h"

namespace jamsock {

class LogWatch {
  public:
    static constexpr std::size_t longest_line = 4096;  // of longer ones this much is looked at

    // `backend_directory` may be closed afterwards. `pattern` is a POSIX extended regular
    // expression (ReadySign); the first look compiles it. What is none, or is refused by
    // objection_to (common/log_pattern.h), matches nothing: so may a stored one be.
    LogWatch(int backend_directory, std::string pattern);
    LogWatch(const LogWatch&) = delete;
    LogWatch& operator=(const LogWatch&) = delete;
    ~LogWatch();

    // Reads on, up to some megabytes at once. True as soon as a whole line has matched, and from
    // then on.
    bool look();

  private:
    bool can_match();
    bool read_piece();
    bool move_on();
    bool begin_at_oldest();
    UniqueFd open_file(std::size_t place) const;
    void begin(UniqueFd file);
    std::optional<std::size_t> place_of_file() const;
    bool is_emptied();
    void feed(std::string_view bytes);
    void test_line();

    UniqueFd directory_;
    std::string pattern_;
    regex_t compiled_{};
    std::optional<bool> is_compiled_;  // empty before the first look
    UniqueFd file_;
    off_t offset_ = 0;
    std::string line_;
    bool has_matched_ = false;
};

}  // namespace jamsock
