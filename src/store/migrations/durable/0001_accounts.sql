-- Times are milliseconds since 1970. One text for SQLite and PostgreSQL.
CREATE TABLE account (
    id            TEXT PRIMARY KEY NOT NULL,
    login         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    name          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    assurance     BIGINT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('active', 'disabled')),
    created_at    BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL
);
