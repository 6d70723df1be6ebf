-- The submission log: what the node appended, or what a trustee replicated. The columns by which queries select come
-- first and the long ones last, so that reading all of the former leaves the pages of the latter alone.
CREATE TABLE entry (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    dataset TEXT NOT NULL,
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    attributes TEXT NOT NULL,
    key_fingerprint BLOB NOT NULL CHECK (length(key_fingerprint) = 32),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    receipt BLOB,
    ciphertext BLOB NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (dataset, subject, period)
);

-- Heads of the log that the ledger holds.
CREATE TABLE head (
    size INTEGER PRIMARY KEY CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32)
);
