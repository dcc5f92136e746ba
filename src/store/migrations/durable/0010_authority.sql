-- Who gave whom what, so that nobody checks what they could have made themselves. Times are milliseconds since 1970. One text for
-- SQLite and PostgreSQL. New columns are NULL in rows of before: what is not known there is judged by the names alone.

-- A chain of issue: `principal/division/credential`, with a space between, the root first.
ALTER TABLE token ADD COLUMN issuers TEXT;              -- of the token, without itself; empty: issued on the machine
ALTER TABLE filing_version ADD COLUMN lineage TEXT;     -- of whoever made the change, their own credential last
ALTER TABLE record ADD COLUMN credential TEXT;          -- by which it was done
CREATE INDEX token_principal ON token (lower(principal), id);

-- The division of whoever suspended or retired it: only that one, or one above it, lifts the stop.
ALTER TABLE filing ADD COLUMN stopped_by TEXT;

-- NULL: a place of the platform's own division, which takes nobody else.
ALTER TABLE reservation ADD COLUMN approved_by TEXT;

ALTER TABLE subject_role ADD COLUMN division TEXT;      -- of the legal person's registry, whose operators may grant and withdraw
ALTER TABLE subject_role ADD COLUMN approved_by TEXT;   -- NULL: granted by one, on the machine or by a version of before
ALTER TABLE subject_role ADD COLUMN evidence TEXT;      -- what was seen of it

-- What takes two people besides filings: put by one, in effect when another has approved it. Rows stay.
CREATE TABLE proposal (
    id          TEXT PRIMARY KEY NOT NULL,
    kind        TEXT NOT NULL,          -- role, reservation, realm
    division    TEXT NOT NULL,          -- whose operators may see it
    object      TEXT NOT NULL,          -- JSON; people by the id of their account
    proposed_by TEXT NOT NULL,
    lineage     TEXT NOT NULL,
    proposed_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'approved', 'rejected')),
    decided_by  TEXT,
    decision    TEXT,                   -- lineage of whoever decided
    decided_at  BIGINT,
    reason      TEXT
);
CREATE INDEX proposal_open ON proposal (id) WHERE state = 'open';

-- Files of a node are written by whoever has the machine, who needs nobody beside them.
UPDATE reservation SET approved_by = 'files' WHERE reserved_by = 'files';

-- Where the code of the registry is one. What has none is the nation's.
UPDATE subject_role SET division = substr(usc, 3, 6) WHERE trim(substr(usc, 3, 6), '0123456789') = '';
