-- Which target made what a provider keeps under an id, so that it is asked there again.
CREATE TABLE made (
    id     TEXT PRIMARY KEY,
    target TEXT NOT NULL,    -- fingerprint of address and key
    caller TEXT NOT NULL,    -- name of the access key it was made for
    at_ms  INTEGER NOT NULL  -- wall clock, milliseconds since 1970
) WITHOUT ROWID;

-- The newest are read at the start, the oldest deleted.
CREATE INDEX made_by_time ON made (at_ms);
