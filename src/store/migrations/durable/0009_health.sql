-- Health checks of a platform's instances on a day, so that a platform whose checks have failed for long is told in the report.
ALTER TABLE day_of_use ADD COLUMN checks_passed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE day_of_use ADD COLUMN checks_failed BIGINT NOT NULL DEFAULT 0;
