// A backend's output, live or ended, as its shim writes it into the state directory
// (common/output_files.h). Needs no daemon.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/unique_fd.h"

namespace jamsock {

// The files of one moment, read as one text: the oldest output first.
class OutputFiles {
  public:
    explicit OutputFiles(int backend_directory);

    std::size_t size() const { return size_; }
    // Up to `size` bytes from `offset` on.
    std::string read_at(std::size_t offset, std::size_t size) const;

    // Where the output begins that came at this time (wall milliseconds) or later. Rather more than
    // less: up to a second earlier, and from the beginning of a line.
    std::size_t start_since(std::int64_t time) const;

    // Where, in these later files, what `earlier` had not yet goes on. Nothing if the newest file
    // of `earlier` has been removed since.
    std::optional<std::size_t> end_of(const OutputFiles& earlier) const;
    // What came to the newest file after this moment.
    std::string rest() const;

  private:
    struct File {
        UniqueFd log;
        UniqueFd times;
        struct stat status {};
        std::size_t start = 0;  // in the whole text

        std::size_t size() const { return static_cast<std::size_t>(status.st_size); }
        std::size_t start_since(std::int64_t time) const;
    };

    void open_all(int directory);
    bool are_in_place(int directory) const;
    std::size_t start_of_line(std::size_t offset) const;

    std::vector<File> files_;  // oldest first
    std::size_t size_ = 0;
};

Error no_such_backend(const BackendId& id);

inline constexpr std::size_t told_lines = 20;  // of the output of one that failed

// Of the output, oldest first, as far as its last 64 KiB have them; none if there is no output.
std::vector<std::string> last_lines(const BackendId& id, std::size_t count);

class BackendOutput {
  public:
    // BackendNotFound if there never was such a backend, or it was swept.
    static Result<BackendOutput> find(int state_directory, const BackendId& id);

    OutputFiles files() const { return OutputFiles(directory_.get()); }

    // Whether more may come. Once it can't, `files` has everything.
    bool may_grow() const;

  private:
    BackendOutput(int state_directory, const BackendId& id, UniqueFd directory)
        : state_directory_(state_directory), id_(id), directory_(std::move(directory)) {}

    int state_directory_;  // not owned
    BackendId id_;
    UniqueFd directory_;
};

}  // namespace jamsock
