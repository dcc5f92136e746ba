-- Times are milliseconds since 1970. Keys and names are hashes; values are sealed by whoever wrote them.
CREATE TABLE session (
    key        BLOB PRIMARY KEY NOT NULL,
    subject    BLOB,             -- keyed hash; NULL for a child, which is neither listed nor counted
    parent     BLOB,
    value      BLOB NOT NULL,
    seen_at    INTEGER NOT NULL,
    begun_at   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX session_subject ON session (subject, begun_at) WHERE subject IS NOT NULL;
CREATE INDEX session_parent ON session (parent) WHERE parent IS NOT NULL;
CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE once (
    name       BLOB PRIMARY KEY NOT NULL,
    value      BLOB NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX once_expiry ON once (expires_at);

CREATE TABLE rate (
    name       BLOB PRIMARY KEY NOT NULL,
    counted    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX rate_expiry ON rate (expires_at);

-- AUTOINCREMENT: ids go up by one and are never used twice, so a follower misses none without noticing.
CREATE TABLE notice (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL
);
