-- Score requests of banks and what enterprises answered. The state is ScoreState of the wire protocol.
CREATE TABLE score_request (
    sequence INTEGER PRIMARY KEY,
    request_id BLOB NOT NULL UNIQUE CHECK (length(request_id) = 32),
    bank TEXT NOT NULL,
    subject TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    signed BLOB NOT NULL,
    state INTEGER NOT NULL,
    sealed_proof BLOB NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX score_request_open ON score_request (subject, state, sequence);
