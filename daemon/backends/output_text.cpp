#include "daemon/backends/output_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "common/output_files.h"

namespace jamsock {

std::uint64_t OutputText::look() {
    if (!directory_) directory_ = backend_files_.directory_of(backend_);
    if (!directory_) return 0;
    Newer newer = newer_files();
    // After the newer ones were found: nothing comes to this one any more if there are such.
    look_at_newest();
    std::int64_t start = files_.empty() ? 0 : files_.back().end();
    if (!newer.follow_ours) start += 1;  // which nobody can read: there lies what was lost
    for (File& file : newer.files) {
        file.start = start;
        start = file.end();
        files_.push_back(std::move(file));
    }
    while (files_.size() > output_file::names.size())
        files_.erase(files_.begin());
    return files_.empty() ? 0 : static_cast<std::uint64_t>(files_.back().end());
}

// The shim empties a full file that it can't move away: then the text goes on at its new end.
void OutputText::look_at_newest() {
    struct stat status {};
    if (files_.empty() || ::fstat(files_.back().log.get(), &status) != 0) return;
    File& newest = files_.back();
    if (status.st_size < newest.size) newest.start = newest.end() - status.st_size;
    newest.size = status.st_size;
}

// Newest names first: a file that is rotated meanwhile is met twice then, not missed.
OutputText::Newer OutputText::newer_files() const {
    std::vector<File> found;
    bool meets_ours = files_.empty();
    for (const char* name : output_file::names) {
        File file{
            .log = UniqueFd(::openat(directory_.get(), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))};
        struct stat status {};
        if (!file.log || ::fstat(file.log.get(), &status) != 0) continue;
        file.inode = status.st_ino;
        file.size = status.st_size;
        meets_ours = meets_ours || files_.back().inode == file.inode;
        if (!files_.empty() && meets_ours) break;
        const bool is_met_twice = !found.empty() && found.front().inode == file.inode;
        if (!is_met_twice) found.insert(found.begin(), std::move(file));
    }
    const bool follow_ours = meets_ours || found.empty();
    return {std::move(found), follow_ours};
}

OutputText::Piece OutputText::read(std::uint64_t position, std::size_t size) const {
    const auto wanted = static_cast<std::int64_t>(position);
    const auto file = std::ranges::find_if(
        files_, [wanted](const File& one) { return one.end() > wanted && one.size > 0; });
    if (file == files_.end()) return {position, {}};
    const std::int64_t from = std::max(wanted, file->start);
    std::string bytes(std::min(size, static_cast<std::size_t>(file->end() - from)), '\0');
    const ssize_t length = ::pread(file->log.get(), bytes.data(), bytes.size(), from - file->start);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    return {static_cast<std::uint64_t>(from), std::move(bytes)};
}

}  // namespace jamsock
