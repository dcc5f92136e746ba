-- Who may call the management API, and what it answered. Times are milliseconds since 1970. One text for SQLite and PostgreSQL.

-- Rows stay when a token has expired or is revoked: they say who could do what, and when. `hash` is SHA-256 of the token, in hex.
CREATE TABLE token (
    id         TEXT PRIMARY KEY NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    principal  TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('platform', 'operator', 'auditor', 'viewer')),
    division   TEXT NOT NULL,
    platform   TEXT,
    scope      TEXT NOT NULL,
    issued_by  TEXT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_by TEXT,
    revoked_at BIGINT,
    used_at    BIGINT
);

-- Answers to calls that carried an Idempotency-Key; `status` is NULL while the call is under way. Hashes are SHA-256 in hex.
CREATE TABLE answered (
    principal    TEXT NOT NULL,
    key_hash     TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    begun_at     BIGINT NOT NULL,
    status       BIGINT,
    fields       TEXT,
    body         TEXT,
    PRIMARY KEY (principal, key_hash)
);
CREATE INDEX answered_by_age ON answered (begun_at);

-- Instances that say by themselves that they are alive. `address` is as filed.
CREATE TABLE lease (
    platform   TEXT NOT NULL,
    address    TEXT NOT NULL,
    renewed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (platform, address)
);
