-- The register. Times are milliseconds since 1970. One text for SQLite and PostgreSQL.

-- One row. Whoever changes the register first changes this row, and so waits for whoever is at it: revisions are handed out
-- and seen in one order.
CREATE TABLE register (
    one       BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    id        TEXT NOT NULL,            -- drawn once, so that a node notices another register
    revision  BIGINT NOT NULL,          -- counts changes of what is in force
    sequence  BIGINT NOT NULL,          -- counts records
    confirmed BIGINT NOT NULL           -- up to this revision a shrunken set is wanted
);

CREATE TABLE filing (
    platform_id    TEXT PRIMARY KEY NOT NULL,
    version        BIGINT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('draft', 'submitted', 'approved', 'suspended', 'retired')),
    in_force       BIGINT,              -- version that holds the document in force
    notice         TEXT,
    draft          BIGINT,              -- version that holds the document on its way
    draft_state    TEXT CHECK (draft_state IN ('draft', 'submitted')),
    submitted_by   TEXT,
    reason         TEXT,
    decided        BIGINT NOT NULL,     -- version of the last approval: whoever wrote after it may not approve
    owner          TEXT NOT NULL,
    division       TEXT NOT NULL,
    division_order BIGINT NOT NULL,     -- every division stands right before what lies below it
    name           TEXT NOT NULL,
    name_en        TEXT NOT NULL,
    valid_until    TEXT,
    attested_at    BIGINT,
    created_at     BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL      -- at which what is in force last changed; 0: never in force
);
CREATE INDEX filing_revision ON filing (revision);
CREATE INDEX filing_division ON filing (division_order, platform_id);

-- Every change of every filing, written in the transaction that makes it. Never changed, never deleted.
CREATE TABLE filing_version (
    platform_id TEXT NOT NULL REFERENCES filing (platform_id),
    version     BIGINT NOT NULL,
    action      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    at          BIGINT NOT NULL,
    reason      TEXT,
    state       TEXT NOT NULL,
    in_force    BIGINT,
    notice      TEXT,
    document    TEXT,                   -- JSON; only where the change brought one
    before_hash TEXT,
    after_hash  TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    PRIMARY KEY (platform_id, version)
);

-- Every change of anything, in one order, for the audit record.
CREATE TABLE record (
    sequence    BIGINT PRIMARY KEY NOT NULL,
    at          BIGINT NOT NULL,
    actor       TEXT NOT NULL,
    role        TEXT NOT NULL,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    before_hash TEXT,
    after_hash  TEXT,
    result      TEXT NOT NULL,
    request_id  TEXT NOT NULL
);

CREATE TABLE reservation (
    host        TEXT NOT NULL,          -- empty: the portal's hosts
    prefix      TEXT NOT NULL,          -- without a slash at its end; empty: the whole host
    platform_id TEXT NOT NULL,
    reserved_by TEXT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (host, prefix)
);
CREATE INDEX reservation_platform ON reservation (platform_id);

CREATE TABLE node (
    name        TEXT PRIMARY KEY NOT NULL,
    revision    BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    standing    TEXT NOT NULL,
    quarantined TEXT NOT NULL           -- JSON: pairs of platform and reason
);
