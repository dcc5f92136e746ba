-- Names under which a session can be ended besides its key and its subject, as keyed hashes: the provider's words for it.
CREATE TABLE session_label (
    label BLOB NOT NULL,
    key   BLOB NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    PRIMARY KEY (label, key)
) WITHOUT ROWID;
CREATE INDEX session_label_key ON session_label (key);
