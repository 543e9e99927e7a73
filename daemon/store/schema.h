// The store's tables, as a numbered list of steps: step n leads from `user_version` n to n + 1.
// A step that was ever released is never changed; a new one is appended.
#pragma once

#include <array>

namespace jamsock::schema {

// "jams": marks the file as ours (PRAGMA application_id).
inline constexpr int application_id = 0x6a616d73;

inline constexpr std::array steps{
    // 0 → 1
    R"sql(
    CREATE TABLE backend (
        id TEXT PRIMARY KEY,
        serial INTEGER NOT NULL UNIQUE,
        mac_key BLOB NOT NULL CHECK (length(mac_key) = 32),
        account TEXT NOT NULL,
        service TEXT NOT NULL,
        environment TEXT NOT NULL,
        key TEXT,
        lock_name TEXT NOT NULL,
        mark TEXT NOT NULL,
        fencing_token INTEGER NOT NULL CHECK (fencing_token > 0),
        created_at INTEGER NOT NULL,
        tag TEXT,
        argv BLOB NOT NULL,     -- arguments, each ended by a NUL byte
        cwd TEXT NOT NULL,
        port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
        ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1))
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX backend_live ON backend (id) WHERE ended = 0;

    CREATE TABLE backend_status (
        backend TEXT NOT NULL REFERENCES backend (id) ON DELETE CASCADE,
        status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 7),
        time INTEGER NOT NULL,
        reason INTEGER CHECK (reason BETWEEN 0 AND 5),
        kind INTEGER CHECK (kind BETWEEN 0 AND 1),
        exit_code INTEGER,
        exit_signal INTEGER,
        PRIMARY KEY (backend, status)
    ) STRICT, WITHOUT ROWID;

    -- The promise, as far as a database can keep it.
    CREATE TABLE held_key (
        account TEXT NOT NULL,
        service TEXT NOT NULL,
        key TEXT NOT NULL,
        backend TEXT NOT NULL UNIQUE REFERENCES backend (id),
        PRIMARY KEY (account, service, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE fencing (
        lock_name TEXT PRIMARY KEY,
        token INTEGER NOT NULL CHECK (token > 0)
    ) STRICT, WITHOUT ROWID;

    -- Only connection tokens that carry a user or auth data have a row.
    CREATE TABLE token (
        hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
        user TEXT,
        auth TEXT,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX token_expiry ON token (expires_at);
    )sql",
    // 1 → 2: services, and the limits of backends
    R"sql(
    -- The environment 'default' is the service itself. Empty columns are inherited.
    CREATE TABLE service (
        account TEXT NOT NULL,
        service TEXT NOT NULL,
        environment TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        argv BLOB CHECK (length(argv) > 0),  -- arguments, each ended by a NUL byte
        cwd TEXT,
        base_env BLOB NOT NULL, -- NAME=value entries, each ended by a NUL byte; as is env
        env BLOB NOT NULL,
        max_idle INTEGER CHECK (max_idle BETWEEN 0 AND 1000000000),
        lifetime INTEGER CHECK (lifetime BETWEEN 1 AND 1000000000),
        grace INTEGER CHECK (grace BETWEEN 0 AND 86400),
        startup INTEGER CHECK (startup BETWEEN 1 AND 3600),
        CHECK ((argv IS NULL) = (cwd IS NULL)),
        PRIMARY KEY (account, service, environment)
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE backend ADD COLUMN max_idle INTEGER CHECK (max_idle BETWEEN 0 AND 1000000000);
    ALTER TABLE backend ADD COLUMN lifetime INTEGER CHECK (lifetime BETWEEN 1 AND 1000000000);
    ALTER TABLE backend ADD COLUMN grace INTEGER CHECK (grace BETWEEN 0 AND 86400);
    ALTER TABLE backend ADD COLUMN startup INTEGER CHECK (startup BETWEEN 1 AND 3600);
    ALTER TABLE backend ADD COLUMN expires_at_boot INTEGER;
    CREATE INDEX backend_by_service ON backend (account, service, environment, created_at);
    )sql",
    // 2 → 3: what is swept, and what shows that a backend is ready (ready_kind: 0 log, 1 path, 2
    // exec; port_owner: 0 tree, 1 any)
    R"sql(
    CREATE INDEX fencing_by_token ON fencing (token);
    CREATE INDEX backend_end ON backend_status (time) WHERE status = 7;

    ALTER TABLE service ADD COLUMN ready_kind INTEGER CHECK (ready_kind BETWEEN 0 AND 2);
    ALTER TABLE service ADD COLUMN ready_sign TEXT
        CHECK ((ready_sign IS NULL) = (ready_kind IS NULL));
    ALTER TABLE service ADD COLUMN listen_fd INTEGER CHECK (listen_fd BETWEEN 0 AND 1);
    ALTER TABLE service ADD COLUMN port_owner INTEGER CHECK (port_owner BETWEEN 0 AND 1);
    ALTER TABLE backend ADD COLUMN ready_kind INTEGER CHECK (ready_kind BETWEEN 0 AND 2);
    ALTER TABLE backend ADD COLUMN ready_sign TEXT
        CHECK ((ready_sign IS NULL) = (ready_kind IS NULL));
    ALTER TABLE backend ADD COLUMN listen_fd INTEGER CHECK (listen_fd BETWEEN 0 AND 1);
    ALTER TABLE backend ADD COLUMN port_owner INTEGER CHECK (port_owner BETWEEN 0 AND 1);
    )sql",
    // 3 → 4: revoked connection tokens
    R"sql(
    ALTER TABLE token ADD COLUMN backend TEXT;  -- NULL: issued before this step
    CREATE INDEX token_by_user ON token (user, backend) WHERE user IS NOT NULL;

    CREATE TABLE revoked (
        backend TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (backend, hash)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revoked_expiry ON revoked (expires_at);
    )sql",
    // 4 → 5: whose pages may upgrade (0 any, 1 strict)
    R"sql(
    ALTER TABLE service ADD COLUMN allow_origins INTEGER CHECK (allow_origins BETWEEN 0 AND 1);
    ALTER TABLE backend ADD COLUMN allow_origins INTEGER NOT NULL DEFAULT 0
        CHECK (allow_origins BETWEEN 0 AND 1);
    )sql",
    // 5 → 6: one order of all statuses, and what explains an end (cause: 0 idle, 1 lifetime, 2 out
    // of memory). `seq` grows with each row and is its time in milliseconds or a little more; the
    // rows that there are get it in the order of their times, which for one backend never falls.
    R"sql(
    ALTER TABLE backend_status ADD COLUMN seq INTEGER;
    ALTER TABLE backend_status ADD COLUMN cause INTEGER CHECK (cause BETWEEN 0 AND 2);
    ALTER TABLE backend_status ADD COLUMN diagnosis TEXT;

    UPDATE backend_status SET seq = numbered.seq
    FROM (SELECT backend, status,
                 place + max(time - place) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS seq
          FROM (SELECT backend, status, time,
                       row_number() OVER (ORDER BY time, backend, status) AS place
                FROM (SELECT backend, status,
                             max(time) OVER (PARTITION BY backend ORDER BY status) AS time
                      FROM backend_status))) AS numbered
    WHERE backend_status.backend = numbered.backend AND backend_status.status = numbered.status;

    CREATE UNIQUE INDEX backend_status_by_seq ON backend_status (seq);
    -- One row: the greatest `seq` there was when rows were last forgotten.
    CREATE TABLE event_floor (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX backend_by_key ON backend (account, service, key, fencing_token);
    )sql",
};

}  // namespace jamsock::schema
