//! How much each platform was used.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Durable, failed, number, signed, time, unsigned};
use crate::domain::{PlatformId, Timestamp};
use crate::store::StoreError;

/// Rows of one statement: SQLite takes 32,766 arguments, PostgreSQL 65,535, and a row has ten.
const ROWS_MAX: usize = 500;
/// Days that one call of `fold_days` looks at: one pass a minute gets through 20,000 platforms within a few hours of midnight.
const FOLDED_MAX: i64 = 200;

/// A platform's use on a day as one run of a node saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOfUseRow {
    /// Whose.
    pub platform: PlatformId,
    /// ISO 8601, so that text sorts as days do.
    pub day: String,
    /// Who counted; empty: several runs, folded.
    pub run: String,
    /// Answered requests.
    pub requests: u64,
    /// Answered well.
    pub successes: u64,
    /// Answered 5xx.
    pub failures: u64,
    /// Health checks that went well.
    pub checks_passed: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
    /// When one last went well.
    pub last_success: Option<Timestamp>,
    /// A sketch of who came.
    pub people: String,
}

impl Durable {
    /// Puts each row in the place of what its run said before of that day.
    pub async fn put_days(&self, rows: &[DayOfUseRow]) -> Result<(), StoreError> {
        let work = async {
            let mut transaction = self.writer().await?.begin().await.map_err(failed)?;
            for rows in rows.chunks(ROWS_MAX) {
                put(&mut transaction, rows).await?;
            }
            transaction.commit().await.map_err(failed)
        };
        super::bounded(10 * super::DEADLINE, work).await // every platform of the country in one go, once a minute
    }

    /// The days of one platform after `day`.
    pub async fn days(&self, platform: &PlatformId, day: &str) -> Result<Vec<DayOfUseRow>, StoreError> {
        let work =
            sqlx::query("SELECT * FROM day_of_use WHERE platform_id = $1 AND day > $2 ORDER BY day, run LIMIT 100000")
                .bind(platform.as_str())
                .bind(day)
                .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(row).collect()
    }

    /// The last day on which something went well, for platforms from `first` to `last`; those without one are left out.
    pub async fn last_days(
        &self,
        first: &PlatformId,
        last: &PlatformId,
    ) -> Result<Vec<(PlatformId, String)>, StoreError> {
        let work = sqlx::query(
            "SELECT platform_id, MAX(day) FROM day_of_use WHERE platform_id >= $1 AND platform_id <= $2 AND successes > 0 \
             GROUP BY platform_id ORDER BY platform_id",
        )
        .bind(first.as_str())
        .bind(last.as_str())
        .fetch_all(self.reader().await?);
        let pair = |row: &AnyRow| Ok((platform(row)?, row.try_get(1).map_err(failed)?));
        self.asked(work).await?.iter().map(pair).collect()
    }

    /// Makes one row of each platform and day before `day` that several runs counted, by `fold`. Returns how many it made;
    /// call it again until there are none. What another node folds meanwhile is left to it.
    pub async fn fold_days(
        &self,
        day: &str,
        fold: impl Fn(&DayOfUseRow, &[DayOfUseRow]) -> DayOfUseRow,
    ) -> Result<usize, StoreError> {
        let work = sqlx::query(
            "SELECT platform_id, day FROM day_of_use WHERE day < $1 GROUP BY platform_id, day HAVING COUNT(*) > 1 LIMIT $2",
        )
        .bind(day)
        .bind(FOLDED_MAX)
        .fetch_all(self.reader().await?);
        let places = self.asked(work).await?;
        for place in &places {
            let (platform, day): (_, String) = (platform(place)?, place.try_get(1).map_err(failed)?);
            super::bounded(2 * super::DEADLINE, self.fold_day(&platform, &day, &fold)).await?;
        }
        Ok(places.len())
    }

    /// Forgets the days before `day`.
    pub async fn forget_days(&self, day: &str) -> Result<(), StoreError> {
        let work = sqlx::query("DELETE FROM day_of_use WHERE day < $1").bind(day).execute(self.writer().await?);
        self.asked(work).await.map(drop)
    }

    async fn fold_day(
        &self,
        platform: &PlatformId,
        day: &str,
        fold: impl Fn(&DayOfUseRow, &[DayOfUseRow]) -> DayOfUseRow,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writer().await?.begin().await.map_err(failed)?;
        // Whoever deletes the rows has them: another node's delete waits for this one and then finds none.
        let taken = sqlx::query("DELETE FROM day_of_use WHERE platform_id = $1 AND day = $2 RETURNING *")
            .bind(platform.as_str())
            .bind(day)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        let rows: Vec<DayOfUseRow> = taken.iter().map(row).collect::<Result<_, _>>()?;
        let Some((first, others)) = rows.split_first() else { return Ok(()) };
        put(&mut transaction, &[fold(first, others)]).await?;
        transaction.commit().await.map_err(failed)
    }
}

async fn put(transaction: &mut Transaction<'static, Any>, rows: &[DayOfUseRow]) -> Result<(), StoreError> {
    const COLUMNS: usize = 10;
    let places = |row: usize| {
        let places: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
        format!("({})", places.join(", "))
    };
    let values: Vec<String> = (0..rows.len()).map(places).collect();
    let statement = format!(
        "INSERT INTO day_of_use (platform_id, day, run, requests, successes, failures, last_success, people, checks_passed, \
         checks_failed) VALUES {} \
         ON CONFLICT (platform_id, day, run) DO UPDATE SET requests = excluded.requests, successes = excluded.successes, \
         failures = excluded.failures, last_success = excluded.last_success, people = excluded.people, \
         checks_passed = excluded.checks_passed, checks_failed = excluded.checks_failed",
        values.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)); // nothing in it but places
    for row in rows {
        query = query
            .bind(row.platform.as_str())
            .bind(row.day.as_str())
            .bind(row.run.as_str())
            .bind(signed(row.requests))
            .bind(signed(row.successes))
            .bind(signed(row.failures))
            .bind(row.last_success.map(number))
            .bind(row.people.as_str())
            .bind(signed(row.checks_passed))
            .bind(signed(row.checks_failed));
    }
    query.execute(&mut **transaction).await.map(drop).map_err(failed)
}

fn platform(row: &AnyRow) -> Result<PlatformId, StoreError> {
    let text: String = row.try_get("platform_id").map_err(failed)?;
    text.parse().map_err(|_| StoreError::Corrupt { what: "a platform's name" })
}

fn row(row: &AnyRow) -> Result<DayOfUseRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let count = |column: &str| unsigned(row.try_get(column).map_err(failed)?);
    Ok(DayOfUseRow {
        platform: platform(row)?,
        day: text("day")?,
        run: text("run")?,
        requests: count("requests")?,
        successes: count("successes")?,
        failures: count("failures")?,
        checks_passed: count("checks_passed")?,
        checks_failed: count("checks_failed")?,
        last_success: row.try_get::<Option<i64>, _>("last_success").map_err(failed)?.map(time).transpose()?,
        people: text("people")?,
    })
}
