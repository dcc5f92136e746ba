-- How much each platform was used: a platform, a day in China, a run of a node. Runs of days that are over are folded into one.
CREATE TABLE day_of_use (
    platform_id  TEXT NOT NULL,
    day          TEXT NOT NULL,         -- 2026-11-24
    run          TEXT NOT NULL,         -- drawn when a node starts; empty: folded
    requests     BIGINT NOT NULL,
    successes    BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    last_success BIGINT,                -- milliseconds since 1970
    people       TEXT NOT NULL,         -- a sketch, which holds nobody
    PRIMARY KEY (platform_id, day, run)
);
CREATE INDEX day_of_use_success ON day_of_use (platform_id, day) WHERE successes > 0;
CREATE INDEX day_of_use_day ON day_of_use (day);
