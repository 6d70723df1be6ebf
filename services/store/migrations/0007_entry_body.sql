-- Entries moved out of the table of the columns by which queries select: an entry fills most of a page of SQLite's, so
-- whoever read all of those columns, as a start does, read every page.
ALTER TABLE entry RENAME TO whole_entry;
CREATE TABLE entry (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    dataset TEXT NOT NULL,
    subject TEXT NOT NULL,
    period TEXT NOT NULL,
    attributes TEXT NOT NULL,
    key_fingerprint BLOB NOT NULL CHECK (length(key_fingerprint) = 32),
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    UNIQUE (dataset, subject, period)
);
CREATE TABLE entry_body (
    position INTEGER PRIMARY KEY REFERENCES entry (position),
    receipt BLOB,
    body BLOB NOT NULL
);
INSERT INTO entry (position, dataset, subject, period, attributes, key_fingerprint, leaf)
    SELECT position, dataset, subject, period, attributes, key_fingerprint, leaf FROM whole_entry ORDER BY position;
INSERT INTO entry_body (position, receipt, body) SELECT position, receipt, body FROM whole_entry ORDER BY position;
DROP TABLE whole_entry;
