-- Provider realms, and whose identities they vouched for. Times are milliseconds since 1970. One text for SQLite and PostgreSQL.

-- `document` is NULL for a realm that was taken away: its row stays, so that every change has a higher revision than the one
-- before. UNIQUE lets one of two changes at the same moment win.
CREATE TABLE realm (
    id         TEXT PRIMARY KEY NOT NULL,
    document   TEXT,
    revision   BIGINT NOT NULL UNIQUE,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- `identity` is a keyed hash of issuer and subject, in hex: a copy of the table does not say who somebody is elsewhere.
CREATE TABLE linked_identity (
    identity  TEXT PRIMARY KEY NOT NULL,
    realm     TEXT NOT NULL,
    subject   TEXT NOT NULL,
    linked_at BIGINT NOT NULL,
    seen_at   BIGINT NOT NULL
);
CREATE INDEX linked_identity_of ON linked_identity (subject);
