-- Sets of records whose sums were released, each once; positions are 8 bytes each, big-endian, ascending.
CREATE TABLE cohort (
    root BLOB PRIMARY KEY CHECK (length(root) = 32),
    positions BLOB NOT NULL
);

-- Queries that were answered: request is the digest of what the querier signed.
CREATE TABLE release (
    number INTEGER PRIMARY KEY,
    request BLOB NOT NULL UNIQUE CHECK (length(request) = 32),
    dataset TEXT NOT NULL,
    querier TEXT NOT NULL,
    query TEXT NOT NULL,
    head_size INTEGER NOT NULL CHECK (head_size >= 0),
    released_at INTEGER NOT NULL,
    receipt BLOB
);
CREATE INDEX release_dataset ON release (dataset, number);

CREATE TABLE release_cohort (
    number INTEGER NOT NULL REFERENCES release (number),
    ordinal INTEGER NOT NULL,
    root BLOB NOT NULL REFERENCES cohort (root),
    PRIMARY KEY (number, ordinal)
);
