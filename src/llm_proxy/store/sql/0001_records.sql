-- One row per request, appended in the order of its time-sortable id, attempts inside it.
-- Without a rowid the id's tree is the table: one tree to write per row instead of two.
CREATE TABLE records (
    id             TEXT PRIMARY KEY,
    at_ms          INTEGER NOT NULL, -- wall clock, milliseconds since 1970
    format         TEXT NOT NULL,
    method         TEXT NOT NULL,
    path           TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    status         INTEGER NOT NULL,
    caller         TEXT,
    client         TEXT,
    model          TEXT,
    served         TEXT,
    upstream       TEXT,
    key            TEXT,             -- a masked label, never a key
    stream         INTEGER NOT NULL,
    error          TEXT,
    attempts       TEXT NOT NULL,    -- JSON list
    first_token_ms REAL,
    total_ms       REAL NOT NULL,
    input          INTEGER,          -- tokens; NULL = unknown
    cache_read     INTEGER,
    cache_write    INTEGER,
    output         INTEGER,
    reasoning      INTEGER,
    bytes_up       INTEGER NOT NULL,
    bytes_down     INTEGER NOT NULL,
    notice         TEXT,
    broken_events  INTEGER NOT NULL
) WITHOUT ROWID;

-- The id is part of it, so a caller's own list is paged without a scan.
CREATE INDEX records_by_caller ON records (caller);

-- Roll-ups, so that totals and sparklines need no scan of the records.
CREATE TABLE minutes (
    minute          INTEGER PRIMARY KEY, -- minutes since 1970
    requests        INTEGER NOT NULL,
    ok              INTEGER NOT NULL,
    rescued         INTEGER NOT NULL,
    client_errors   INTEGER NOT NULL,
    failed          INTEGER NOT NULL,
    rate_limited    INTEGER NOT NULL,
    rate_limits_met INTEGER NOT NULL,
    client_gone     INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    input_tokens    INTEGER NOT NULL,
    output_tokens   INTEGER NOT NULL
);

-- What the proxy wants to know again after a restart.
CREATE TABLE state (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
