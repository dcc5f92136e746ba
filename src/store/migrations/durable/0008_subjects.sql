-- For whom people act, what is known of them, and to whom they let it go. `subject` is the id of an account. Times are
-- milliseconds since 1970, days those of China. One text for SQLite and PostgreSQL.

-- Roles of people for legal persons. Rows stay when a role is withdrawn or over: they say who could act for whom, and when.
CREATE TABLE subject_role (
    id           TEXT PRIMARY KEY NOT NULL,
    subject      TEXT NOT NULL,
    usc          TEXT NOT NULL,
    name         TEXT NOT NULL,         -- of the legal person
    role         TEXT NOT NULL CHECK (role IN ('legal_representative', 'agent')),
    valid_from   TEXT NOT NULL,         -- 2026-11-24
    valid_until  TEXT NOT NULL,         -- the last day
    granted_by   TEXT NOT NULL,
    granted_at   BIGINT NOT NULL,
    withdrawn_by TEXT,
    withdrawn_at BIGINT
);
CREATE INDEX subject_role_subject ON subject_role (subject);

-- Sealed by the vault; the tags are keyed hashes, by which a number is found again.
CREATE TABLE personal (
    subject   TEXT PRIMARY KEY NOT NULL,
    id_number TEXT,
    id_tag    TEXT UNIQUE,
    phone     TEXT,
    phone_tag TEXT
);
CREATE INDEX personal_phone ON personal (phone_tag) WHERE phone_tag IS NOT NULL;

-- What of a person may go to a platform outside the authority that runs the gateway. Rows stay when a consent is withdrawn.
CREATE TABLE consent (
    subject      TEXT NOT NULL,
    platform     TEXT NOT NULL,
    attributes   TEXT NOT NULL,         -- words with a space between
    given_at     BIGINT NOT NULL,
    withdrawn_at BIGINT,
    PRIMARY KEY (subject, platform)
);
