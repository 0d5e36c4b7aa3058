-- What each request cost, and how many attempts it took: a number that an index can hold.
ALTER TABLE records ADD COLUMN cost_nano INTEGER; -- billionths of a US dollar; NULL = unknown
ALTER TABLE records ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
UPDATE records SET tries = json_array_length(attempts);

-- One index per question that the page asks. All are read from the newest on, as ids sort by
-- time; those with a condition hold only the few rows that meet it.
CREATE INDEX records_by_model ON records (model);
CREATE INDEX records_by_upstream ON records (upstream);
CREATE INDEX records_eventful ON records (id) WHERE outcome <> 'ok' OR tries > 1;
CREATE INDEX records_rescued ON records (id) WHERE outcome = 'ok' AND tries > 1;
CREATE INDEX records_slow ON records (id) WHERE coalesce(first_token_ms, total_ms) >= 10000;

-- Tokens from caches and money; f0 … f19 count streams by their time to the first content.
ALTER TABLE minutes ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN cost_nano INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN priced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f0 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f1 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f2 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f3 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f4 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f5 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f6 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f7 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f8 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f9 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f10 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f11 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f12 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f13 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f14 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f15 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f16 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f17 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f18 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE minutes ADD COLUMN f19 INTEGER NOT NULL DEFAULT 0;

-- The same per hour, for what spans weeks.
CREATE TABLE hours (
    hour            INTEGER PRIMARY KEY, -- hours since 1970
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
    output_tokens   INTEGER NOT NULL,
    cached_tokens   INTEGER NOT NULL DEFAULT 0,
    cost_nano       INTEGER NOT NULL DEFAULT 0,
    priced          INTEGER NOT NULL DEFAULT 0,
    unpriced        INTEGER NOT NULL DEFAULT 0,
    f0  INTEGER NOT NULL DEFAULT 0, f1  INTEGER NOT NULL DEFAULT 0,
    f2  INTEGER NOT NULL DEFAULT 0, f3  INTEGER NOT NULL DEFAULT 0,
    f4  INTEGER NOT NULL DEFAULT 0, f5  INTEGER NOT NULL DEFAULT 0,
    f6  INTEGER NOT NULL DEFAULT 0, f7  INTEGER NOT NULL DEFAULT 0,
    f8  INTEGER NOT NULL DEFAULT 0, f9  INTEGER NOT NULL DEFAULT 0,
    f10 INTEGER NOT NULL DEFAULT 0, f11 INTEGER NOT NULL DEFAULT 0,
    f12 INTEGER NOT NULL DEFAULT 0, f13 INTEGER NOT NULL DEFAULT 0,
    f14 INTEGER NOT NULL DEFAULT 0, f15 INTEGER NOT NULL DEFAULT 0,
    f16 INTEGER NOT NULL DEFAULT 0, f17 INTEGER NOT NULL DEFAULT 0,
    f18 INTEGER NOT NULL DEFAULT 0, f19 INTEGER NOT NULL DEFAULT 0
);
INSERT INTO hours (hour, requests, ok, rescued, client_errors, failed, rate_limited,
                   rate_limits_met, client_gone, attempts, input_tokens, output_tokens)
SELECT minute / 60, sum(requests), sum(ok), sum(rescued), sum(client_errors), sum(failed),
       sum(rate_limited), sum(rate_limits_met), sum(client_gone), sum(attempts),
       sum(input_tokens), sum(output_tokens)
FROM minutes GROUP BY minute / 60;

-- Failed attempts by cause and key, per minute (span 1) and per hour (span 60).
CREATE TABLE faults (
    span     INTEGER NOT NULL,
    at       INTEGER NOT NULL, -- minutes or hours since 1970
    fault    TEXT NOT NULL,
    upstream TEXT NOT NULL,
    key      TEXT NOT NULL,    -- a masked label
    count    INTEGER NOT NULL,
    rescued  INTEGER NOT NULL, -- of these, in requests that succeeded all the same
    last_ms  INTEGER NOT NULL,
    PRIMARY KEY (span, at, fault, upstream, key)
) WITHOUT ROWID;
