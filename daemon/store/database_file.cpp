#include "daemon/store/database_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <vector>

#include "common/text.h"
#include "common/unique_fd.h"
#include "daemon/log.h"
#include "daemon/store/schema.h"

namespace jamsock {

std::optional<FileIdentity> file_identity(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

namespace {

int pragma_number(SQLite::Database& database, const char* name) {
    return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

tl::unexpected<Error> refuse(std::string_view why, std::string hint) {
    return fail(
        ErrorCode::daemon_unavailable,
        fmt::format("The database jamsock.db in the state directory {}; it was left as it is.",
                    why),
        std::move(hint));
}

// Running backends are found without their database, so it may be put aside: with its write-ahead
// log, without which it is not what it was.
tl::unexpected<Error> refuse_file(const std::string& path, std::string_view why) {
    const std::string aside = path + ".aside";
    std::vector<std::string> move{"mv", path};
    for (const char* beside : {"-wal", "-shm"}) {
        if (file_identity(path + beside)) move.push_back(path + beside);
    }
    move.push_back(aside);
    return refuse(why, shell_line({"mkdir", aside}) + " && " + shell_line(move));
}

Result<> check_marks(const std::string& path, int version, int application) {
    if (application != schema::application_id && (application != 0 || version != 0)) {
        return refuse_file(path, "belongs to another program");
    }
    if (version > static_cast<int>(schema::steps.size())) {
        return refuse_file(path, "was written by a newer version of jamsock");
    }
    return {};
}

std::uint32_t big_endian(const char* bytes) {
    std::uint32_t number = 0;
    for (int i = 0; i < 4; ++i)
        number = number << 8 | static_cast<unsigned char>(bytes[i]);
    return number;
}

// A look at the file's header alone (sqlite.org/fileformat.html, 1.3), which makes and writes
// nothing, not even the files beside it. The rest is not for SQLite to judge without its
// write-ahead log. Nothing of this process has the file open yet.
Result<> check_untouched(const std::string& path) {
    constexpr std::size_t header_size = 100, version_at = 60, application_at = 68;
    constexpr std::string_view magic("SQLite format 3\0", 16);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return {};
    std::array<char, header_size> header{};
    const ssize_t length = ::pread(file.get(), header.data(), header.size(), 0);
    if (length < 0 && errno == EISDIR) return refuse_file(path, "is a directory");
    if (length == 0) return {};
    if (length != static_cast<ssize_t>(header.size()) ||
        !std::string_view(header.data(), header.size()).starts_with(magic)) {
        return refuse_file(path, "is damaged or no database");
    }
    return check_marks(path, static_cast<int>(big_endian(header.data() + version_at)),
                       static_cast<int>(big_endian(header.data() + application_at)));
}

// The same with what its write-ahead log says, before anything is written.
Result<> check_before_writing(SQLite::Database& database, const std::string& path) {
    if (::sqlite3_db_readonly(database.getHandle(), "main") == 1) {
        return refuse("can't be written", shell_line({"chmod", "600", path}));
    }
    auto ours = check_marks(path, pragma_number(database, "user_version"),
                            pragma_number(database, "application_id"));
    if (!ours) return ours;
    const bool fresh = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
    if (fresh) return {};
    if (pragma_number(database, "application_id") != schema::application_id) {
        return refuse_file(path, "belongs to another program");
    }
    if (database.execAndGet("PRAGMA quick_check(1)").getString() != "ok")
        return refuse_file(path, "is damaged");
    return {};
}

// What is refused stays as it is: its write-ahead log is not folded into it when it is closed.
void keep_log_of(SQLite::Database& database, bool keep) {
    ::sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0,
                        nullptr);
}

bool has_write_ahead_log(const std::string& path) {
    struct stat status {};
    return ::stat((path + "-wal").c_str(), &status) == 0 && status.st_size > 0;
}

void configure(SQLite::Database& database) {
    database.exec(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;");
}

void migrate(SQLite::Database& database, const std::string& path) {
    const int version = pragma_number(database, "user_version");
    const int newest = static_cast<int>(schema::steps.size());
    if (version == newest) return;
    if (version > 0)
        database.backup(fmt::format("{}.v{}", path, version).c_str(), SQLite::Database::Save);
    SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
    for (int step = version; step < newest; ++step) {
        database.exec(schema::steps[static_cast<std::size_t>(step)]);
    }
    database.exec(fmt::format("PRAGMA application_id={}; PRAGMA user_version={};",
                              schema::application_id, newest));
    transaction.commit();
}

}  // namespace

// Of a database in memory there is nothing to say.
bool was_moved(SQLite::Database& database) {
    int moved = 0;
    const int answer =
        ::sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return answer == SQLITE_OK && moved != 0;
}

// SQLite's memory-mapped file beside the database fails to grow with another code than the rest.
bool is_full_disk(const SQLite::Exception& failure) {
    return failure.getErrorCode() == SQLITE_FULL ||
           failure.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE;
}

bool is_busy(const SQLite::Exception& failure) {
    return failure.getErrorCode() == SQLITE_BUSY || failure.getErrorCode() == SQLITE_LOCKED;
}

std::string show_free_space(const std::string& path) {
    return shell_line({"df", "-h", path});
}

Result<SQLite::Database> open_database(const std::string& path) try {
    if (auto ours = check_untouched(path); !ours) return pass_on(ours);
    const bool keep_log = has_write_ahead_log(path);
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                              busy_timeout_milliseconds);
    keep_log_of(database, keep_log);
    if (auto sound = check_before_writing(database, path); !sound) return pass_on(sound);
    keep_log_of(database, false);
    configure(database);
    migrate(database, path);
    return database;
} catch (const SQLite::Exception& failure) {
    const bool may_pass = errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                          failure.getErrorCode() == SQLITE_NOMEM;
    log::error("store: {} (SQLite code {})", failure.what(), failure.getExtendedErrorCode());
    if (is_full_disk(failure)) {
        return refuse("can't be used, because the disk is full", show_free_space(path));
    }
    if (may_pass) {
        return fail(ErrorCode::usage_limit,
                    "The database jamsock.db in the state directory can't be opened now: no "
                    "descriptor or memory is left.",
                    "ulimit -n");
    }
    switch (failure.getErrorCode()) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            return refuse_file(path, "is damaged or no database");
        case SQLITE_BUSY:
            return refuse("is in use by another program", shell_line({"fuser", "-v", path}));
        default:
            return refuse("can't be opened", shell_line({"ls", "-l", path}));
    }
}

Result<SQLite::Database> open_database_for_reading(const std::string& path) try {
    SQLite::Database database(path, SQLite::OPEN_READWRITE, reading_timeout_milliseconds);
    database.exec("PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;");
    return database;
} catch (const SQLite::Exception& failure) {
    log::error("store: {} (SQLite code {})", failure.what(), failure.getExtendedErrorCode());
    return refuse("can't be read", shell_line({"ls", "-l", path}));
}

}  // namespace jamsock
