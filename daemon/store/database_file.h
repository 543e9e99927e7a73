// The file of the database: opened only if it is ours and sound, and brought up to date. What is
// refused stays as it is. Private to daemon/store.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "common/result.h"

namespace jamsock {

inline constexpr int busy_timeout_milliseconds = 5000;
inline constexpr int reading_timeout_milliseconds = 20;

// Opens or makes it, as Store::open says.
Result<SQLite::Database> open_database(const std::string& path);

// One more connection, which writes nothing and hardly waits: in WAL mode readers need no lock that
// a writer has.
Result<SQLite::Database> open_database_for_reading(const std::string& path);

struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
// What the path leads to; nothing if there is nothing.
std::optional<FileIdentity> file_identity(const std::string& path);

// Whether the path with which SQLite opened its file leads to another one by now.
bool was_moved(SQLite::Database& database);

bool is_full_disk(const SQLite::Exception& failure);
// Whether another program, or another connection, has it locked.
bool is_busy(const SQLite::Exception& failure);
// The command that shows how full its disk is.
std::string show_free_space(const std::string& path);

}  // namespace jamsock
