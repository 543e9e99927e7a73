#include "daemon/shim/output_times.h"

#include <fcntl.h>
#include <unistd.h>

namespace jamsock {

void OutputTimes::begin(int directory, std::uint64_t log_inode) {
    file_.reset(::openat(directory, output_file::times_names.front(),
                         O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    log_inode_ = log_inode;
    records_ = 0;
    last_.reset();
}

void OutputTimes::note(std::uint64_t offset, std::int64_t wall_milliseconds) {
    const bool covered = last_ && wall_milliseconds >= *last_ &&
                         wall_milliseconds - *last_ < output_file::time_spacing;
    if (covered || !file_ || is_full()) return;
    if (records_ == 0 &&
        !write({output_file::times_magic, static_cast<std::int64_t>(log_inode_)})) {
        return;
    }
    if (write({offset, wall_milliseconds})) last_ = wall_milliseconds;
}

bool OutputTimes::is_full() const {
    return records_ >= output_file::largest_times / sizeof(output_file::TimesRecord);
}

// At its place: a record that was cut by a full disk is written over.
bool OutputTimes::write(const output_file::TimesRecord& record) {
    const auto place = static_cast<off_t>(records_ * sizeof record);
    if (::pwrite(file_.get(), &record, sizeof record, place) != sizeof record) return false;
    ++records_;
    return true;
}

}  // namespace jamsock
