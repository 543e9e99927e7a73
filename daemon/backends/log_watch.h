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
    // expression that was found to be one (ReadySign).
    LogWatch(int backend_directory, const std::string& pattern);
    LogWatch(const LogWatch&) = delete;
    LogWatch& operator=(const LogWatch&) = delete;
    ~LogWatch();

    // Reads on, up to some megabytes at once. True as soon as a whole line has matched, and from
    // then on.
    bool look();

  private:
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
    regex_t pattern_{};
    bool can_match_;
    UniqueFd file_;
    off_t offset_ = 0;
    std::string line_;
    bool has_matched_ = false;
};

}  // namespace jamsock
