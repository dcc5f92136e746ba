-- A client of the OpenID Provider that a session has signed on to. When the session ends `parent` becomes NULL, and the row
-- stays until somebody takes it to tell the client.
CREATE TABLE sign_on (
    key        BLOB PRIMARY KEY NOT NULL,
    parent     BLOB,
    client     BLOB NOT NULL,    -- keyed hash
    value      BLOB NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX sign_on_client ON sign_on (parent, client);
CREATE INDEX sign_on_ended ON sign_on (key) WHERE parent IS NULL;
CREATE INDEX sign_on_expiry ON sign_on (expires_at);
