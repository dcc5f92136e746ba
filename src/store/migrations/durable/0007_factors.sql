-- What people sign in with besides their password. Times are milliseconds since 1970.
CREATE TABLE factor (
    id         TEXT PRIMARY KEY NOT NULL,
    account_id TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('totp', 'passkey', 'sms', 'mail')),
    label      TEXT NOT NULL,
    content    TEXT NOT NULL,          -- TOTP secret, telephone, address: sealed; of a passkey its public key
    handle     TEXT UNIQUE,            -- of a passkey its credential id
    last_step  BIGINT NOT NULL,        -- of TOTP the last time step that was used
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX factor_account ON factor (account_id);
CREATE TABLE recovery_code (
    account_id TEXT NOT NULL,
    hash       TEXT NOT NULL,          -- HMAC of 80 random bits
    PRIMARY KEY (account_id, hash)
);
