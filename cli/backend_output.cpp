#include "cli/backend_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <sstream>

#include "cli/log_tail.h"
#include "common/output_files.h"
#include "common/runtime_paths.h"
#include "common/text.h"

namespace jamsock {

namespace {

using output_file::TimesRecord;

constexpr int most_openings = 10;  // while the files are being rotated
constexpr std::size_t longest_last_lines = 64 * 1024;

UniqueFd open_file(int directory, const char* name) {
    return UniqueFd(::openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
}

std::string path_of(const char* place, const BackendId& id) {
    return fmt::format("{}/{}", place, id.str());
}

UniqueFd open_directory(int state_directory, const std::string& path) {
    return UniqueFd(
        ::openat(state_directory, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

// Those records of the index that can be believed: none if it is another log's.
std::vector<TimesRecord> read_times(int times, const struct stat& log) {
    const std::string bytes = read_at(times, 0, output_file::largest_times);
    std::vector<TimesRecord> records(bytes.size() / sizeof(TimesRecord));
    if (records.empty()) return {};
    ::memcpy(records.data(), bytes.data(), records.size() * sizeof(TimesRecord));
    if (records[0].offset != output_file::times_magic ||
        records[0].wall_milliseconds != static_cast<std::int64_t>(log.st_ino)) {
        return {};
    }
    records.erase(records.begin());
    const auto size = static_cast<std::uint64_t>(log.st_size);
    const auto believed_end =
        std::ranges::adjacent_find(records, [size](const TimesRecord& a, const TimesRecord& b) {
            return b.offset < a.offset || b.offset > size;
        });
    if (believed_end != records.end()) records.erase(believed_end + 1, records.end());
    return records;
}

std::int64_t last_written(const struct stat& status) {
    return status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000;
}

std::vector<std::string> last_lines_of(const OutputFiles& files, std::size_t count) {
    const std::size_t size = std::min(files.size(), longest_last_lines);
    const std::string end = files.read_at(files.size() - size, size);
    const auto read = [&end](std::size_t offset, std::size_t wanted) {
        return end.substr(offset, wanted);
    };
    std::istringstream text(end.substr(start_of_last_lines(read, end.size(), count)));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);)
        lines.push_back(line);
    return lines;
}

}  // namespace

OutputFiles::OutputFiles(int directory) {
    open_all(directory);
    for (int i = 1; i < most_openings && !are_in_place(directory); ++i)
        open_all(directory);
}

// The newest first: what is rotated meanwhile is met twice then, not missed.
void OutputFiles::open_all(int directory) {
    files_.clear();
    for (std::size_t age = 0; age < output_file::names.size(); ++age) {
        File file{.log = open_file(directory, output_file::names[age]),
                  .times = open_file(directory, output_file::times_names[age])};
        if (!file.log || ::fstat(file.log.get(), &file.status) != 0) continue;
        files_.insert(files_.begin(), std::move(file));
    }
    size_ = 0;
    for (File& file : files_) {
        file.start = size_;
        size_ += file.size();
    }
}

bool OutputFiles::are_in_place(int directory) const {
    struct stat newest {};
    const bool exists = ::fstatat(directory, output_file::names.front(), &newest, 0) == 0;
    return exists ? !files_.empty() && files_.back().status.st_ino == newest.st_ino
                  : files_.empty();
}

std::string OutputFiles::read_at(std::size_t offset, std::size_t size) const {
    std::string text;
    for (const File& file : files_) {
        if (offset >= file.start + file.size()) continue;
        const std::size_t left = file.start + file.size() - offset;
        const std::string part =
            jamsock::read_at(file.log.get(), offset - file.start, std::min(left, size));
        text += part;
        offset += part.size();
        size -= part.size();
        if (size == 0) break;
    }
    return text;
}

std::size_t OutputFiles::start_since(std::int64_t time) const {
    for (const File& file : files_) {
        const std::size_t start = file.start_since(time);
        if (start < file.size()) return start_of_line(file.start + start);
    }
    return size_;
}

// What has no time came when the file was written last, at the latest.
std::size_t OutputFiles::File::start_since(std::int64_t time) const {
    const auto records = read_times(times.get(), status);
    const auto first = std::ranges::find_if(records, [time](const TimesRecord& record) {
        return record.wall_milliseconds + output_file::time_spacing > time;
    });
    if (first == records.begin() && first != records.end()) return 0;
    if (first != records.end()) return first->offset;
    if (last_written(status) < time) return size();
    return records.empty() ? 0 : records.back().offset;
}

std::size_t OutputFiles::start_of_line(std::size_t offset) const {
    if (offset == 0 || read_at(offset - 1, 1) == "\n") return offset;
    return start_of_last_lines(
        [this](std::size_t from, std::size_t size) { return read_at(from, size); }, offset, 1);
}

// A file that was emptied goes on at its new end.
std::optional<std::size_t> OutputFiles::end_of(const OutputFiles& earlier) const {
    if (earlier.files_.empty()) return 0;
    const File& last = earlier.files_.back();
    const auto found = std::ranges::find_if(
        files_, [&](const File& file) { return file.status.st_ino == last.status.st_ino; });
    if (found == files_.end()) return std::nullopt;
    return found->start + std::min(last.size(), found->size());
}

std::string OutputFiles::rest() const {
    if (files_.empty()) return {};
    const File& last = files_.back();
    struct stat now {};
    if (::fstat(last.log.get(), &now) != 0 || now.st_size <= last.status.st_size) return {};
    return jamsock::read_at(last.log.get(), last.size(),
                            static_cast<std::size_t>(now.st_size - last.status.st_size));
}

Result<BackendOutput> BackendOutput::find(int state_directory, const BackendId& id) {
    for (const char* place : {state_file::backends, state_file::history}) {
        UniqueFd directory = open_directory(state_directory, path_of(place, id));
        if (directory) return BackendOutput(state_directory, id, std::move(directory));
    }
    return tl::unexpected(no_such_backend(id));
}

Error no_such_backend(const BackendId& id) {
    return Error{ErrorCode::backend_not_found,
                 fmt::format("There is no backend {}.", in_quotes(id.str())),
                 "jamsock list",
                 {}};
}

std::vector<std::string> last_lines(const BackendId& id, std::size_t count) {
    const auto state = open_existing_state_directory();
    if (!state || !*state) return {};
    const auto output = BackendOutput::find(state->get(), id);
    return output ? last_lines_of(output->files(), count) : std::vector<std::string>();
}

// Asks for the lock and takes none. Until there is a file the shim has not begun, or is rotating.
bool BackendOutput::may_grow() const {
    if (::faccessat(directory_.get(), output_file::names.front(), F_OK, 0) != 0) {
        return static_cast<bool>(
            open_directory(state_directory_, path_of(state_file::backends, id_)));
    }
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(directory_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace jamsock
