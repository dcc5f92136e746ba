//! Following: from the register's revision to the table of this node.
//! Shape: notice or poll ──▶ rows since our revision ── read ──▶ `RouteTable::with`, aside ── publish, once ──▶ copy on disk.
//! A change costs in proportion to its filings. A filing that cannot be taken keeps its last good version and is named. A set
//! that is another one and much smaller (a register emptied, or restored from long ago) is refused until it is confirmed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use tokio::sync::watch;

use super::copy::{Copy, Mark};
use super::place::placed;
use super::{Register, RegisterError};
use crate::domain::{PlatformId, Timestamp};
use crate::registry::Rules;
use crate::registry::own::OWN_ID;
use crate::routing::{Compiled, Platform, PlatformState, RouteTable};
use crate::store::{InForceRow, NodeRow, Standing, StoreError};

/// Between two looks at the register's revision: with it alone a change is on all nodes within a second.
pub(super) const POLL_EVERY: Duration = Duration::from_millis(500);
/// Between two reports of a node that nothing happened to.
const REPORT_EVERY: Duration = Duration::from_secs(15);
/// A node that said nothing for so long is no more.
const FORGOTTEN: Duration = Duration::from_secs(7 * 86_400);
/// Rows read at a time: half a megabyte as a rule, and 500 MB if every document were as long as may be.
const PAGE: u16 = 500;
/// From so many changed filings on, compiling everything anew is faster than changing the table one by one: 20 ms each beside
/// half a second at 1.25 million routes.
const ANEW_FROM: usize = 100;

/// Where this node stands.
#[derive(Debug)]
pub(super) struct Follower {
    register: String,
    revision: u64,
    copy: Option<Copy>,
    quarantined: BTreeMap<PlatformId, String>,
    /// The last day of each platform that is served, and the day on which we last looked for those that are over.
    ends: HashMap<PlatformId, Date>,
    day: Option<Date>,
    /// Whether a shrunken set waits for confirmation.
    refused: bool,
    copy_path: PathBuf,
}

/// What others of this node ask, without waiting for the follower.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) away: AtomicBool,
}

/// A first table, and where it stands.
pub(super) struct First {
    pub(super) table: RouteTable,
    pub(super) follower: Follower,
    pub(super) build: Duration,
}

impl Follower {
    /// The table of the copy on disk; of the register when there is no copy.
    pub(super) fn of_copy(rules: &Rules, path: PathBuf, now: Timestamp) -> (First, bool) {
        let (copy, rows) = match Copy::open(&path) {
            Ok((copy, rows)) => (Some(copy), rows),
            Err(cause) => {
                tracing::error!(path = %path.display(), %cause, "the copy of the register cannot be read");
                (None, Vec::new())
            }
        };
        let mark = copy.as_ref().map(|copy| copy.mark().clone()).unwrap_or_default();
        let is_there = mark.revision > 0;
        let mut follower = Self {
            register: mark.register,
            revision: mark.revision,
            copy,
            quarantined: BTreeMap::new(),
            ends: HashMap::new(),
            day: None,
            refused: false,
            copy_path: path,
        };
        let waiting =
            mark.quarantined.into_iter().map(|id| (id, "its newest version has not been tried again yet".to_owned()));
        follower.quarantined.extend(waiting);
        let started = Instant::now();
        let table = follower.compiled(rules, &rows, None, now.day());
        (First { table, follower, build: started.elapsed() }, is_there)
    }

    /// Everything compiled at once; what cannot be taken is put into quarantine, and stays as `now` has it.
    fn compiled(&mut self, rules: &Rules, rows: &[InForceRow], now: Option<&RouteTable>, day: Date) -> RouteTable {
        let mut platforms = Vec::with_capacity(rows.len());
        for (row, read) in rows.iter().zip(read_all(rules, rows, day)) {
            match read {
                Ok((platform, last)) => {
                    self.note_end(&platform, last);
                    platforms.push(platform);
                }
                Err(why) => {
                    self.quarantine(&row.platform, why);
                    platforms.extend(
                        now.and_then(|now| now.platform(row.platform.as_str())).map(|held| Platform::clone(held)),
                    );
                }
            }
        }
        // Those that are gone come last: somebody else may have their places.
        platforms.sort_by_key(|platform| platform.state == PlatformState::Retired);
        let Compiled { table, refused } = rules.compile(platforms);
        for error in refused {
            let state = |row: &&InForceRow| Some(&row.platform) == error.platform() && row.state != "retired";
            if let Some(row) = rows.iter().find(state) {
                self.quarantine(&row.platform, error.to_string());
            }
        }
        table
    }

    fn quarantine(&mut self, id: &PlatformId, why: String) {
        tracing::error!(platform = %id, why, "a filing in force cannot be taken; its last good version goes on");
        self.quarantined.insert(id.clone(), why);
    }

    fn note_end(&mut self, platform: &Platform, last: Option<Date>) {
        match (last, &platform.state) {
            (Some(last), PlatformState::Active) => self.ends.insert(platform.id.clone(), last),
            _ => self.ends.remove(&platform.id), // what it was before counts no more
        };
    }

    /// The table with changed filings. Those that did not fit are tried again when the others are in: one may have left the
    /// place that another one takes.
    fn changed(&mut self, rules: &Rules, mut table: RouteTable, rows: &[InForceRow], day: Date) -> RouteTable {
        let mut waiting = Vec::new();
        for row in rows {
            match rules.platform(row, day) {
                Ok((platform, last)) => waiting.push((platform, last)),
                Err(why) => self.quarantine(&row.platform, why),
            }
        }
        loop {
            let tried = waiting.len();
            let mut left = Vec::new();
            for (platform, last) in waiting {
                match placed(&table, &platform) {
                    Ok(next) => {
                        table = next;
                        self.quarantined.remove(&platform.id);
                        self.note_end(&platform, last);
                    }
                    Err(error) => left.push((platform, last, error.to_string())),
                }
            }
            if left.is_empty() || left.len() == tried {
                for (platform, _, why) in left {
                    self.quarantine(&platform.id, why);
                }
                return table;
            }
            waiting = left.into_iter().map(|(platform, last, _)| (platform, last)).collect();
        }
    }

    /// The table in which those have expired whose last day is over; `None`: nobody's is.
    fn expired(&mut self, table: &RouteTable, day: Date) -> Option<RouteTable> {
        if self.day.replace(day) == Some(day) {
            return None;
        }
        let over: Vec<PlatformId> =
            self.ends.iter().filter(|(_, last)| **last < day).map(|(id, _)| id.clone()).collect();
        let mut next = None;
        for id in over {
            self.ends.remove(&id);
            let table = next.as_ref().unwrap_or(table);
            let Some(platform) = table.platform(id.as_str()).filter(|held| held.state == PlatformState::Active) else {
                continue;
            };
            let mut platform = Platform::clone(platform);
            platform.state = PlatformState::Expired;
            tracing::warn!(platform = %id, "its filing has expired; it is answered 503 until it is renewed");
            next = table.with(platform).ok().or(next);
        }
        next
    }

    fn mark(&self) -> Mark {
        let quarantined = self.quarantined.keys().cloned().collect();
        Mark { register: self.register.clone(), revision: self.revision, after: 0, quarantined }
    }

    /// A copy that could not be written is opened again: what it lacks since is added to it.
    fn open_again(&mut self) {
        if self.copy.is_none() {
            let opened = Copy::open(&self.copy_path).ok().map(|(copy, _)| copy);
            self.copy = opened.filter(|copy| copy.mark().register == self.register);
        }
    }

    /// Keeps what was taken. A copy that cannot be written is no reason to stop; the next change tries to write all of it.
    fn keep(&mut self, rows: &[InForceRow], everything: bool) {
        let mark = self.mark();
        let good: Vec<InForceRow> =
            rows.iter().filter(|row| !self.quarantined.contains_key(&row.platform)).cloned().collect();
        let Some(copy) = &mut self.copy else { return };
        let kept = if everything { copy.replace(&good, mark) } else { copy.append(&good, mark) };
        if let Err(cause) = kept {
            tracing::error!(path = %self.copy_path.display(), %cause, "the copy of the register cannot be written");
            self.copy = None;
        }
    }
}

/// Reads documents on all cores: at a start there are tens of thousands.
fn read_all(rules: &Rules, rows: &[InForceRow], day: Date) -> Vec<Result<(Platform, Option<Date>), String>> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = rows.len().div_ceil(cores).max(1);
    let read = |rows: &[InForceRow]| rows.iter().map(|row| rules.platform(row, day)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let parts: Vec<_> = rows.chunks(share).map(|rows| (rows.len(), scope.spawn(move || read(rows)))).collect();
        let lost = |rows| vec![Err("reading it ended with a panic".to_owned()); rows];
        parts.into_iter().flat_map(|(rows, part)| part.join().unwrap_or_else(|_| lost(rows))).collect()
    })
}

impl Register {
    /// Follows until `stopped`.
    pub async fn run(self: Arc<Self>, stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.looks_on(stopped) => {}
            () = self.notices.follow(|| self.changed.notify_one()) => {}
        }
    }

    async fn looks_on(&self, mut stopped: watch::Receiver<bool>) {
        let mut reported = (Instant::now().checked_sub(REPORT_EVERY), String::new());
        loop {
            let now = Timestamp::now();
            self.look(now).await;
            let state = self.report(now).await;
            let due = reported.0.is_none_or(|last| last.elapsed() >= REPORT_EVERY);
            if let Some(state) = state.filter(|state| due || reported.1 != format!("{state:?}")) {
                let row = NodeRow { seen_at: now, ..state.clone() };
                let past = Timestamp::from_millis(now.millis().saturating_sub(FORGOTTEN.as_secs() * 1000));
                if self.durable.report_node(&row, past).await.is_ok() {
                    reported = (Some(Instant::now()), format!("{state:?}"));
                }
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
        }
    }

    /// Looks at the register at once.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// One look at the register, at the calendar and at leases, as `run` does them.
    pub async fn look(&self, now: Timestamp) {
        if self.catch_up(now).await.is_err() {
            return; // it has told what is wrong; a lease that could not be renewed meanwhile is not lost
        }
        match self.durable.lost_leases(now).await {
            Ok(lost) => self.live.instances().lose(lost.into_iter().collect()),
            Err(cause) => tracing::warn!(%cause, "leases cannot be read; what was known of them goes on"),
        }
    }

    /// What this node tells of itself; without the time, so that it can be compared.
    async fn report(&self, _: Timestamp) -> Option<NodeRow> {
        let follower = self.follower.lock().await;
        let standing = match (follower.refused, follower.quarantined.is_empty()) {
            (true, _) => "refused",
            (false, false) => "quarantine",
            (false, true) => "current",
        };
        let quarantined: Vec<_> = follower.quarantined.iter().collect();
        let quarantined = serde_json::to_string(&quarantined).ok()?;
        let seen_at = Timestamp::default();
        let (name, standing) = (self.node.clone(), standing.to_owned());
        Some(NodeRow { name, revision: follower.revision, seen_at, standing, quarantined })
    }

    /// Brings the table of this node to the register's revision. Cheap when it is there already.
    pub(super) async fn catch_up(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut follower = self.follower.lock().await;
        self.expire(&mut follower, now);
        let caught = self.caught_up(&mut follower, now).await;
        match (&caught, self.heard.away.swap(caught.is_err(), Ordering::AcqRel)) {
            (Err(cause), false) => tracing::warn!(%cause, "the register is away; what is in force goes on"),
            (Ok(()), true) => tracing::info!(revision = follower.revision, "the register answers again"),
            _ => {}
        }
        self.measure(&follower, caught.is_ok());
        caught
    }

    /// The register did not answer in time.
    pub(super) fn missed(&self) {
        if !self.heard.away.swap(true, Ordering::AcqRel) {
            tracing::warn!("the register is away; what the copy holds goes on");
        }
        self.metrics.register_up.set(0);
    }

    async fn caught_up(&self, follower: &mut Follower, now: Timestamp) -> Result<(), StoreError> {
        let standing = self.durable.standing().await?;
        if standing.id != follower.register || standing.revision < follower.revision {
            return self.taken_whole(follower, standing, now).await;
        }
        follower.refused = false;
        if standing.revision == follower.revision {
            return Ok(());
        }
        follower.open_again();
        let kept = follower.copy.as_ref().map_or(follower.revision, |copy| copy.mark().revision);
        let rows = self.rows_since(kept.min(follower.revision)).await?;
        if rows.len() >= ANEW_FROM {
            let rows = self.rows_since(0).await?;
            self.taken_anew(follower, standing, &rows, now);
            return Ok(());
        }
        let started = Instant::now();
        let table = follower.changed(&self.rules, RouteTable::clone(&self.live.snapshot()), &rows, now.day());
        follower.revision = rows.last().map_or(standing.revision, |last| last.revision.max(standing.revision));
        self.publish(table, started.elapsed());
        follower.keep(&rows, false);
        Ok(())
    }

    /// Another register, or one that went back: everything of it, unless it is much less than what is served.
    async fn taken_whole(&self, follower: &mut Follower, standing: Standing, now: Timestamp) -> Result<(), StoreError> {
        let rows = self.rows_since(0).await?;
        let known = filed(&self.live.snapshot());
        let confirmed = standing.confirmed > 0 && standing.confirmed >= standing.revision;
        if is_shrunken(rows.len(), known) && !confirmed {
            if !follower.refused {
                let found = rows.len();
                tracing::error!(
                    found,
                    known,
                    "the register holds much less than is served, and is not followed; if that is wanted, confirm it"
                );
                self.metrics.table_reloads.with_label_values(&["refused"]).inc();
            }
            follower.refused = true;
            return Ok(());
        }
        self.taken_anew(follower, standing, &rows, now);
        Ok(())
    }

    /// Reads every filing in force once more, since files beside them have changed, such as a platform's certificates. One that
    /// cannot be read any more keeps its last good version.
    pub async fn read_again(&self, now: Timestamp) -> Result<(), RegisterError> {
        let mut follower = self.follower.lock().await;
        let (standing, rows) = (self.durable.standing().await?, self.rows_since(0).await?);
        self.taken_anew(&mut follower, standing, &rows, now);
        Ok(())
    }

    fn taken_anew(&self, follower: &mut Follower, standing: Standing, rows: &[InForceRow], now: Timestamp) {
        let started = Instant::now();
        let another = follower.register != standing.id || standing.revision < follower.revision;
        (follower.quarantined, follower.ends, follower.refused) = (BTreeMap::new(), HashMap::new(), false);
        let table = follower.compiled(&self.rules, rows, Some(&self.live.snapshot()), now.day());
        follower.register = standing.id;
        follower.revision = rows.last().map_or(standing.revision, |last| last.revision.max(standing.revision));
        self.publish(table, started.elapsed());
        follower.keep(rows, another); // of the same register the last good version of what is in quarantine stays
    }

    async fn rows_since(&self, revision: u64) -> Result<Vec<InForceRow>, StoreError> {
        let (mut rows, mut last) = (Vec::new(), revision);
        loop {
            let page = self.durable.in_force_since(last, PAGE).await?;
            let full = page.len() == usize::from(PAGE);
            last = page.last().map_or(last, |row| row.revision);
            rows.extend(page);
            if !full {
                return Ok(rows);
            }
        }
    }

    fn expire(&self, follower: &mut Follower, now: Timestamp) {
        if let Some(table) = follower.expired(&self.live.snapshot(), now.day()) {
            self.publish(table, Duration::ZERO);
        }
    }

    pub(super) fn publish(&self, table: RouteTable, build: Duration) {
        let revision = self.live.publish(table);
        self.metrics.table_revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        if build > Duration::ZERO {
            self.metrics.table_build.set(build.as_secs_f64());
        }
        self.count();
    }

    /// What the table holds, for the graph.
    pub(super) fn count(&self) {
        let table = self.live.snapshot();
        for (kind, count) in [("item", table.item_routes()), ("path", table.path_routes())] {
            self.metrics.table_routes.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut counts = BTreeMap::<_, i64>::new();
        for (_, platform) in table.platforms() {
            *counts.entry((platform.level.word(), platform.state.word())).or_default() += 1;
        }
        self.metrics.platforms.reset();
        for ((level, state), count) in counts {
            self.metrics.platforms.with_label_values(&[level, state]).set(count);
        }
    }

    pub(super) fn measure(&self, follower: &Follower, up: bool) {
        self.metrics.register_up.set(i64::from(up));
        self.metrics.register_revision.set(i64::try_from(follower.revision).unwrap_or(i64::MAX));
        let quarantined = i64::try_from(follower.quarantined.len()).unwrap_or(i64::MAX);
        self.metrics.filings_quarantined.set(quarantined);
        self.metrics.register_refused.set(i64::from(follower.refused));
    }

    /// After a commit: this node at once, the others by notice.
    pub(super) async fn published(&self, now: Timestamp) {
        let _ = self.catch_up(now).await; // the change is made; if we cannot see it now, the next look does
        let revision = self.follower.lock().await.revision;
        self.notices.announce(revision).await;
        self.changed.notify_one(); // to report it
    }

    /// Tries what is in quarantine again: a missing certificate may have come.
    pub async fn retry(&self, now: Timestamp) -> Result<(), RegisterError> {
        let mut follower = self.follower.lock().await;
        let ids: Vec<PlatformId> = follower.quarantined.keys().cloned().collect();
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.durable.in_force(&id).await?);
        }
        if !rows.is_empty() {
            let table = follower.changed(&self.rules, RouteTable::clone(&self.live.snapshot()), &rows, now.day());
            self.publish(table, Duration::ZERO);
            follower.keep(&rows, false);
        }
        self.measure(&follower, true);
        Ok(())
    }
}

/// Platforms that somebody filed; our own pages are always there and do not count.
fn filed(table: &RouteTable) -> usize {
    table.platforms().filter(|(_, platform)| platform.id.as_str() != OWN_ID).count()
}

/// Whether so much is gone that a mistake is likelier: all, or more than a fifth.
pub(super) fn is_shrunken(found: usize, known: usize) -> bool {
    found.saturating_mul(5) < known.saturating_mul(4) || found == 0 && known > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_fifth_less_is_shrunken_and_nothing_of_nothing_is_not() {
        let of = [(0, 1), (7, 10), (79, 100), (80, 100), (4, 5), (5, 5), (0, 0), (5, 0), (7, 3)];
        assert_eq!(
            of.map(|(found, known)| is_shrunken(found, known)),
            [true, true, true, false, false, false, false, false, false]
        );
    }
}
