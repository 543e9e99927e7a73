#include "daemon/shim/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "daemon/shim/message.h"

namespace jamsock {

namespace {

constexpr const char* file_name = "record";

// Each stage in a sector of its own: writing one can't tear another. A soft and a hard ending are
// two stages, so that a torn hard one leaves the soft one readable.
enum class Stage : std::size_t {
    begun,
    started,
    soft_ending,
    hard_ending,
    main_exited,
    tree_empty,
    log_dropped
};
constexpr std::size_t stage_count = 7;
constexpr std::size_t sector = 512;
constexpr std::size_t file_size = stage_count * sector;

struct Header {
    std::uint32_t magic = 0;
    std::uint32_t checksum = 0;  // of stage, length and payload
    std::uint32_t length = 0;
};
constexpr std::uint32_t magic = 0x4a534d52;  // "RMSJ" in the file
constexpr std::size_t largest_payload = sector - sizeof(Header);
constexpr std::size_t longest_reason = 64;

using Sector = std::array<char, sector>;

// CRC-32 (IEEE 802.3), bit by bit: a record has few short stages.
std::uint32_t crc32(std::uint32_t seed, std::string_view bytes) {
    std::uint32_t crc = ~seed;
    for (const char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

std::uint32_t checksum_of(Stage stage, std::string_view payload) {
    const std::uint32_t place[2] = {static_cast<std::uint32_t>(stage),
                                    static_cast<std::uint32_t>(payload.size())};
    const std::string_view place_bytes(reinterpret_cast<const char*>(place), sizeof place);
    return crc32(crc32(0, place_bytes), payload);
}

bool write_at(int fd, const char* bytes, std::size_t size, std::size_t offset) {
    ssize_t written;
    do {
        written = ::pwrite(fd, bytes, size, static_cast<off_t>(offset));
    } while (written < 0 && errno == EINTR);
    return written == static_cast<ssize_t>(size);
}

bool write_stage(int fd, Stage stage, const Message& message) {
    const std::string& payload = message.encode();
    if (payload.size() > largest_payload) return false;
    const Header header{magic, checksum_of(stage, payload),
                        static_cast<std::uint32_t>(payload.size())};
    Sector bytes{};
    ::memcpy(bytes.data(), &header, sizeof header);
    ::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
    return write_at(fd, bytes.data(), bytes.size(), static_cast<std::size_t>(stage) * sector);
}

bool write_stage_durably(int fd, Stage stage, const Message& message) {
    return write_stage(fd, stage, message) && ::fdatasync(fd) == 0;
}

std::optional<Message> read_stage(int fd, Stage stage) {
    Sector bytes;
    const auto offset = static_cast<off_t>(static_cast<std::size_t>(stage) * sector);
    if (::pread(fd, bytes.data(), bytes.size(), offset) != static_cast<ssize_t>(sector)) {
        return std::nullopt;
    }
    Header header;
    ::memcpy(&header, bytes.data(), sizeof header);
    if (header.magic != magic || header.length > largest_payload) return std::nullopt;
    const std::string_view payload(bytes.data() + sizeof header, header.length);
    if (header.checksum != checksum_of(stage, payload)) return std::nullopt;
    return Message::decode(payload);
}

std::int64_t number(const Message& message, std::string_view name) {
    return message.number(name).value_or(0);
}

std::optional<int> small_number(const Message& message, std::string_view name) {
    const auto value = message.number(name);
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

ShimRecord::Started read_started(const Message& stage) {
    return {static_cast<pid_t>(number(stage, "pid")),
            static_cast<std::uint64_t>(number(stage, "start"))};
}

ShimRecord::Ending read_ending(const char* kind, const Message& stage) {
    return {kind, std::string(stage.text("reason").value_or("")),
            std::string(stage.text("cause").value_or(""))};
}

ShimRecord::MainExited read_main_exited(const Message& stage) {
    return {.code = small_number(stage, "code"),
            .signal = small_number(stage, "signal"),
            .user_microseconds = number(stage, "user_us"),
            .system_microseconds = number(stage, "system_us"),
            .max_rss_kib = number(stage, "max_rss_kib"),
            .dropped_log_bytes = static_cast<std::uint64_t>(number(stage, "dropped_log_bytes"))};
}

}  // namespace

// Zeros, not holes: the disk may fill up later without a stage being lost.
std::optional<RecordWriter> RecordWriter::create(int backend_directory_fd) {
    UniqueFd file(::openat(backend_directory_fd, file_name,
                           O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return std::nullopt;
    constexpr std::array<char, file_size> zeros{};
    errno = 0;
    if (!write_at(file.get(), zeros.data(), zeros.size(), 0)) {
        if (errno == 0) errno = ENOSPC;
        return std::nullopt;
    }
    return RecordWriter(std::move(file), backend_directory_fd);
}

bool RecordWriter::begun(const std::string& boot_id, pid_t shim_pid, std::uint64_t shim_start_time,
                         std::uint64_t cgroup) {
    Message stage("begun");
    stage.add("boot_id", boot_id)
        .add("shim_pid", static_cast<std::int64_t>(shim_pid))
        .add("shim_start", static_cast<std::int64_t>(shim_start_time))
        .add("cgroup", static_cast<std::int64_t>(cgroup));
    return write_stage(file_.get(), Stage::begun, stage);
}

bool RecordWriter::started(const ShimRecord::Started& started) {
    Message stage("started");
    stage.add("pid", static_cast<std::int64_t>(started.pid))
        .add("start", static_cast<std::int64_t>(started.start_time));
    return write_stage(file_.get(), Stage::started, stage);
}

bool RecordWriter::ending(const ShimRecord::Ending& ending) {
    Message stage("ending");
    stage.add("reason", std::string_view(ending.reason).substr(0, longest_reason))
        .add("cause", std::string_view(ending.cause).substr(0, longest_reason));
    const bool hard = ending.kind == "hard";
    return write_stage_durably(file_.get(), hard ? Stage::hard_ending : Stage::soft_ending, stage);
}

bool RecordWriter::main_exited(const ShimRecord::MainExited& exited) {
    Message stage("main_exited");
    if (exited.code) stage.add("code", static_cast<std::int64_t>(*exited.code));
    if (exited.signal) stage.add("signal", static_cast<std::int64_t>(*exited.signal));
    stage.add("user_us", exited.user_microseconds)
        .add("system_us", exited.system_microseconds)
        .add("max_rss_kib", exited.max_rss_kib)
        .add("dropped_log_bytes", static_cast<std::int64_t>(exited.dropped_log_bytes));
    // The directory's entry is part of what must be durable.
    return write_stage_durably(file_.get(), Stage::main_exited, stage) && ::fsync(directory_) == 0;
}

bool RecordWriter::log_dropped(std::uint64_t bytes) {
    Message stage("log_dropped");
    stage.add("bytes", static_cast<std::int64_t>(bytes));
    return write_stage(file_.get(), Stage::log_dropped, stage);
}

bool RecordWriter::tree_empty() {
    return write_stage_durably(file_.get(), Stage::tree_empty, Message("tree_empty"));
}

std::optional<ShimRecord> read_record(int backend_directory_fd) {
    const UniqueFd file(
        ::openat(backend_directory_fd, file_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return std::nullopt;
    const auto begun = read_stage(file.get(), Stage::begun);
    if (!begun) return std::nullopt;

    ShimRecord record{.boot_id = std::string(begun->text("boot_id").value_or("")),
                      .shim_pid = static_cast<pid_t>(number(*begun, "shim_pid")),
                      .shim_start_time = static_cast<std::uint64_t>(number(*begun, "shim_start")),
                      .cgroup = static_cast<std::uint64_t>(number(*begun, "cgroup"))};
    if (auto stage = read_stage(file.get(), Stage::started)) record.started = read_started(*stage);
    if (auto stage = read_stage(file.get(), Stage::hard_ending)) {
        record.ending = read_ending("hard", *stage);
    } else if (auto soft = read_stage(file.get(), Stage::soft_ending)) {
        record.ending = read_ending("soft", *soft);
    }
    if (auto stage = read_stage(file.get(), Stage::main_exited)) {
        record.main_exited = read_main_exited(*stage);
        record.dropped_log_bytes = record.main_exited->dropped_log_bytes;
    }
    if (auto stage = read_stage(file.get(), Stage::log_dropped)) {
        const auto bytes = static_cast<std::uint64_t>(number(*stage, "bytes"));
        record.dropped_log_bytes = std::max(record.dropped_log_bytes, bytes);
    }
    record.tree_empty = read_stage(file.get(), Stage::tree_empty).has_value();
    return record;
}

std::string current_boot_id() {
    const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    char text[64];
    const ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    if (length <= 0) return {};
    const std::string_view line(text, static_cast<std::size_t>(length));
    return std::string(line.substr(0, line.find('\n')));
}

}  // namespace jamsock
