// Looks for a line in a backend's output as it grows, over the rotation of its files
// (common/output_files.h). Starts at the oldest byte that is kept, so that nothing is missed by who
// comes late. Blocks: for a helper thread, which many share, so a look is short whatever the output
// and the pattern are.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/log_pattern.h"
#include "common/unique_fd.h"

namespace jamsock {

class LogWatch {
  public:
    static constexpr std::size_t longest_line = 4096;  // of longer ones this much is looked at

    // A look ends after so much of the processor's time, with the line that it is at.
    static constexpr std::chrono::milliseconds longest_look{5};

    // `backend_directory` may be closed afterwards. The first look compiles `pattern`; one that
    // LogPattern refuses, as a stored one may be, matches nothing.
    LogWatch(int backend_directory, std::string pattern);

    // Reads on from where the last look ended. True as soon as a whole line has matched, and from
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
    bool is_spent() const;
    std::size_t feed(std::string_view bytes);
    void test_line();

    UniqueFd directory_;
    std::string pattern_;
    bool is_compiled_ = false;
    std::optional<LogPattern> compiled_;
    std::chrono::nanoseconds end_of_look_{};
    UniqueFd file_;
    off_t offset_ = 0;
    std::string line_;
    bool has_matched_ = false;
};

}  // namespace jamsock
