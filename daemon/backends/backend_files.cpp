#include "daemon/backends/backend_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>

#include "common/output_files.h"
#include "common/runtime_paths.h"
#include "common/text.h"
#include "daemon/backends/mark.h"
#include "daemon/backends/start_failure.h"
#include "daemon/log.h"
#include "daemon/shim/process_table.h"

namespace jamsock {

namespace {

constexpr const char* identity_file = "identity";
constexpr const char* ready_file = "ready";
constexpr const char* ipv6_file = "ipv6";          // there: it listens on [::1] only
constexpr const char* listener_file = "listener";  // the socket with which it does
constexpr std::size_t longest_tail = 16 * 1024;
constexpr std::size_t longest_listener = 64;
constexpr std::size_t largest_identity = 4 * 1024 * 1024;

UniqueFd open_directory(int parent, const std::string& name) {
    return UniqueFd(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

UniqueFd make_directory(int parent, const std::string& name) {
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) return UniqueFd();
    return open_directory(parent, name);
}

bool has_file(int directory, const char* name) {
    return ::faccessat(directory, name, F_OK, 0) == 0;
}

void touch(int directory, const char* name) {
    const UniqueFd file(::openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

const char* hint_for(int error) {
    return error == ENOSPC || error == EDQUOT ? "df -h" : "jamsock daemon logs";
}

// Not synced: it is for this boot alone, as its backend is, and a start doesn't wait for the disk.
bool write_whole(int directory, const char* name, std::string_view bytes) {
    const UniqueFd file(::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return false;
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

// Up to `limit` bytes from the end of the file.
std::string read_end(int directory, const char* name, std::size_t limit) {
    const UniqueFd file(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) return {};
    const auto size = static_cast<std::size_t>(status.st_size);
    std::string bytes(std::min(size, limit), '\0');
    const ssize_t length =
        ::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(size - bytes.size()));
    bytes.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return bytes;
}

std::vector<std::string> last_lines(std::string_view text, std::size_t count) {
    std::vector<std::string> lines;
    if (text.ends_with('\n')) text.remove_suffix(1);
    while (!text.empty() && lines.size() < count) {
        const auto start = text.rfind('\n');
        lines.emplace_back(text.substr(start == std::string_view::npos ? 0 : start + 1));
        if (start == std::string_view::npos) break;
        text = text.substr(0, start);
    }
    return {lines.rbegin(), lines.rend()};
}

// "<user> <cookie>". A backend that a daemon of before started has none.
std::optional<KnownListener> read_listener(int directory) {
    const std::string text = read_end(directory, listener_file, longest_listener);
    const auto space = text.find(' ');
    long long user = 0;
    long long cookie = 0;
    if (space == std::string::npos || !parse_number(text.substr(0, space), user) ||
        !parse_number(text.substr(space + 1), cookie)) {
        return std::nullopt;
    }
    return KnownListener{static_cast<uid_t>(user), static_cast<std::uint64_t>(cookie)};
}

// In place of that of a mark that nobody came to record.
void write_listener(int directory, const std::optional<KnownListener>& listener) {
    ::unlinkat(directory, listener_file, 0);
    if (!listener) return;
    const auto cookie = static_cast<std::int64_t>(listener->cookie);
    write_whole(directory, listener_file, fmt::format("{} {}", listener->user, cookie));
}

// UsageLimit where asking again may help.
ErrorCode code_of(int error) {
    return is_blindness(error) ? ErrorCode::usage_limit : ErrorCode::daemon_unavailable;
}

tl::unexpected<Error> unreadable_backends(int error) {
    return fail(code_of(error),
                fmt::format("The daemon can't take over its backends, which go on without it: {}.",
                            ::strerror(error)),
                is_blindness(error) ? "ulimit -n" : "jamsock daemon logs");
}

// Of a directory that is not there, or not whole, nothing is to be known.
Result<std::optional<BackendFiles::Found>> nothing_or_error(int error) {
    if (is_blindness(error)) return unreadable_backends(error);
    return std::optional<BackendFiles::Found>();
}

}  // namespace

Result<BackendFiles> BackendFiles::open(int state_directory) {
    BackendFiles files;
    files.state_directory_ = directory_identity(state_directory);
    for (const auto& [name, directory] : {std::pair{state_file::backends, &files.backends_},
                                          std::pair{state_file::history, &files.history_},
                                          std::pair{state_file::locks, &files.locks_},
                                          std::pair{state_file::mounts, &files.mounts_}}) {
        *directory = make_directory(state_directory, name);
        if (*directory) continue;
        return fail(code_of(errno),
                    fmt::format("The directory {} in the state directory can't be used: {}.",
                                in_quotes(name), ::strerror(errno)),
                    hint_for(errno));
    }
    return files;
}

Result<UniqueFd> BackendFiles::create(const BackendRecord& record) const {
    UniqueFd directory;
    if (::mkdirat(backends_.get(), record.id.str().c_str(), 0700) == 0) {
        directory = open_directory(backends_.get(), record.id.str());
    }
    if (!directory || !write_whole(directory.get(), identity_file, record.encode())) {
        return tl::unexpected(start_failure("The backend's directory can't be made", errno));
    }
    return directory;
}

Result<> BackendFiles::make_mount(const std::string& path) const {
    UniqueFd directory = open_directory(mounts_.get(), ".");
    for (const auto& part : std::filesystem::path(path)) {
        if (directory) directory = make_directory(directory.get(), part);
    }
    if (directory) return {};
    const int cause = errno;
    return tl::unexpected(
        start_failure("The backend's mount can't be made", cause,
                      fmt::format("{} in {}", in_quotes(path), in_quotes(state_file::mounts))));
}

Result<std::vector<BackendId>> BackendFiles::live() const {
    std::vector<BackendId> ids;
    UniqueFd again = open_directory(backends_.get(), ".");
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(again ? ::fdopendir(again.get()) : nullptr,
                                                      &::closedir);
    if (!listing) return unreadable_backends(errno);
    again.release();
    while (const dirent* entry = ::readdir(listing.get())) {
        if (entry->d_name[0] == '.') continue;
        if (auto id = BackendId::parse(entry->d_name)) ids.push_back(*id);
    }
    return ids;
}

Result<std::optional<BackendFiles::Found>> BackendFiles::read(const BackendId& id) const {
    UniqueFd directory = open_directory(backends_.get(), id.str());
    if (!directory) return nothing_or_error(errno);
    errno = 0;
    auto record = BackendRecord::decode(read_end(directory.get(), identity_file, largest_identity));
    if (!record || record->id != id) return nothing_or_error(errno);
    errno = 0;
    auto shim = read_record(directory.get());
    if (!shim && is_blindness(errno)) return unreadable_backends(errno);
    std::optional<ReadyMark> ready;
    if (has_file(directory.get(), ready_file))
        ready = ReadyMark{.is_ipv6 = has_file(directory.get(), ipv6_file),
                          .listener = read_listener(directory.get())};
    return Found{std::move(directory), std::move(*record), std::move(shim), ready};
}

void BackendFiles::mark_ready(int directory, const ReadyMark& mark) {
    if (mark.is_ipv6) {
        touch(directory, ipv6_file);
    } else {
        ::unlinkat(directory, ipv6_file, 0);  // of a mark that nobody came to record
    }
    write_listener(directory, mark.listener);
    touch(directory, ready_file);
}

void BackendFiles::move_to_history(const BackendId& id) const {
    const char* name = id.str().c_str();
    if (::renameat(backends_.get(), name, history_.get(), name) != 0 && errno != ENOENT) {
        log::error("backend {}: its directory can't be moved to history: {}", id.str(),
                   ::strerror(errno));
    }
}

bool BackendFiles::has_ended(std::string_view id) const {
    const auto parsed = BackendId::parse(id);
    return parsed && ::faccessat(history_.get(), parsed->str().c_str(), F_OK, 0) == 0;
}

std::optional<ShimRecord> BackendFiles::record_of_ended(const BackendId& id,
                                                        const std::string& mark) const {
    const UniqueFd directory = open_directory(history_.get(), id.str());
    if (!directory) return std::nullopt;
    const auto ended =
        BackendRecord::decode(read_end(directory.get(), identity_file, largest_identity));
    if (!ended || ended->mark != mark) return std::nullopt;
    return read_record(directory.get()).value_or(ShimRecord{});
}

// Of a log that was just rotated the end stands in the older file.
std::vector<std::string> BackendFiles::log_tail(const BackendId& id, std::size_t count) const {
    const UniqueFd directory = directory_of(id);
    std::string text;
    for (const char* name : output_file::names) {
        text.insert(0, read_end(directory.get(), name, longest_tail - text.size()));
        if (text.size() == longest_tail) break;
    }
    if (text.size() == longest_tail) text.erase(0, text.find('\n') + 1);  // it begins within a line
    return last_lines(text, count);
}

std::uint64_t BackendFiles::dropped_log_bytes(const BackendId& id) const {
    const auto record = read_record(directory_of(id).get());
    return record ? record->dropped_log_bytes : 0;
}

UniqueFd BackendFiles::directory_of(const BackendId& id) const {
    UniqueFd directory = open_directory(backends_.get(), id.str());
    return directory ? std::move(directory) : open_directory(history_.get(), id.str());
}

}  // namespace jamsock
