-- Queries as their queriers signed them, from before they are entered on the ledger: request is the digest.
CREATE TABLE signed_query (
    request BLOB PRIMARY KEY CHECK (length(request) = 32),
    signed BLOB NOT NULL
);

-- The ledger's lists of releases as far as they were followed; refused is the check that a query failed, NULL if none.
CREATE TABLE entered (
    dataset TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    request BLOB NOT NULL CHECK (length(request) = 32),
    head_size INTEGER NOT NULL CHECK (head_size >= 0),
    refused TEXT,
    part TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (dataset, number),
    UNIQUE (dataset, request)
);
