#include "daemon/store/database_file.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "common/text.h"
#include "daemon/log.h"
#include "daemon/store/schema.h"

namespace jamsock {

namespace {

// "file:…?immutable=1" (sqlite.org/uri.html): what has a meaning in a URI is written as %xx.
std::string immutable_uri(const std::string& path) {
    std::string uri = "file:";
    for (const char c : path) {
        if (std::string_view("%?#").find(c) == std::string_view::npos) {
            uri += c;
        } else {
            uri += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        }
    }
    return uri + "?immutable=1";
}

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

// Running backends are found without their database, so it may be put aside.
tl::unexpected<Error> refuse_file(const std::string& path, std::string_view why) {
    return refuse(why, shell_line({"mv", path, path + ".aside"}));
}

Result<> check_marks(SQLite::Database& database, const std::string& path) {
    const int version = pragma_number(database, "user_version");
    const int application = pragma_number(database, "application_id");
    if (application != schema::application_id && (application != 0 || version != 0)) {
        return refuse_file(path, "belongs to another program");
    }
    if (version > static_cast<int>(schema::steps.size())) {
        return refuse_file(path, "was written by a newer version of jamsock");
    }
    return {};
}

// A look at the file alone, which makes and writes nothing, not even the files beside it.
Result<> check_untouched(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || status.st_size == 0) return {};
    if (S_ISDIR(status.st_mode)) return refuse_file(path, "is a directory");
    SQLite::Database database(immutable_uri(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    return check_marks(database, path);
}

// The same with what its write-ahead log says, before anything is written.
Result<> check_before_writing(SQLite::Database& database, const std::string& path) {
    if (::sqlite3_db_readonly(database.getHandle(), "main") == 1) {
        return refuse("can't be written", shell_line({"chmod", "600", path}));
    }
    if (auto ours = check_marks(database, path); !ours) return ours;
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

std::optional<FileIdentity> file_identity(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return FileIdentity{status.st_dev, status.st_ino};
}

// SQLite's memory-mapped file beside the database fails to grow with another code than the rest.
bool is_full_disk(const SQLite::Exception& failure) {
    return failure.getErrorCode() == SQLITE_FULL ||
           failure.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE;
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
    log::error("store: {} (SQLite code {})", failure.what(), failure.getExtendedErrorCode());
    if (is_full_disk(failure)) {
        return refuse("can't be used, because the disk is full", show_free_space(path));
    }
    switch (failure.getErrorCode()) {
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            return refuse_file(path, "is damaged or no database");
        default:
            return refuse_file(path, "can't be opened");
    }
}

}  // namespace jamsock
