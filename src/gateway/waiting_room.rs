//! The waiting room: people who open a page of a platform that is full get a page that asks again by itself, and come in in the
//! order in which they came. Programs get 503 at once, and so does whoever finds the room full.
//! Shape: a ticket says when somebody came, sealed against changes by a key that all nodes have; it holds nothing about the
//! person, and is good at one platform. Each platform has a line of those who were seen lately; who does not come back in time
//! is passed over, and has the old place again when it was not passed meanwhile. While somebody waits, a free place is for
//! those in front, not for whoever asks first; people who are signed in wait in the queue (`queue.rs`) before they come here.
//! A ticket that was used counts as none: nobody who came before the last one admitted is let in by the ticket alone. Another
//! node, or this one after an upgrade, knows the order by the tickets, but not which of them were used elsewhere.
//! Cost: while nobody waits one load; else one lock for the time it takes to pass along a line. Bounded: `waiting_room_max`.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::COOKIE;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};

use crate::domain::{PlatformId, Timestamp};

/// The name begins as that of every cookie of the gateway, so that no platform sees or sets it.
const COOKIE_PREFIX: &str = "__Host-yimen-turn-";
/// Nobody waits longer.
const TICKET_LIFE: Duration = Duration::from_secs(6 * 3600);
/// Clocks of two nodes may differ by so much.
const CLOCK_SKEW: Duration = Duration::from_secs(5);
/// Those near the front ask this often, so that a free place is soon taken; the others less, so that they cost little.
const RETRY_FRONT_S: u32 = 3;
const RETRY_S: u32 = 10;
/// How many are near the front.
const FRONT: usize = 100;
/// Later than said and this much more: not there. Browsers slow the timers of pages that nobody looks at.
const GRACE: Duration = Duration::from_secs(5);
/// Absent so long: gone.
const ABSENCE_MAX: Duration = Duration::from_secs(60);
const LOOK_FOR_GONE: Duration = Duration::from_secs(1);

/// When somebody came, and a number that no other one who came then has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    arrived_ms: u64,
    number: u64,
}

/// What somebody who waits is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// People in front.
    pub(crate) ahead: usize,
    /// When the page asks again, in seconds.
    pub(crate) retry_s: u32,
    /// The ticket, as a `Set-Cookie` value.
    pub(crate) ticket: String,
}

/// Makes tickets, and tells ours from others.
pub(crate) struct Tickets(hmac::Key);

impl Tickets {
    /// `key`: the same on every node.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// A ticket for one who comes now. `None` when the system has no randomness.
    fn fresh(now: Timestamp) -> Option<Turn> {
        let mut number = [0; 8];
        rand::fill(&mut number).ok()?;
        Some(Turn { arrived_ms: now.millis(), number: u64::from_be_bytes(number) })
    }

    fn cookie(&self, turn: Turn, platform: &PlatformId) -> String {
        let tag = hmac::sign(&self.0, &said(turn, platform));
        let ticket = [&turn.bytes()[..], tag.as_ref()].concat();
        let life = TICKET_LIFE.as_secs();
        let ticket = URL_SAFE_NO_PAD.encode(ticket);
        format!("{COOKIE_PREFIX}{platform}={ticket}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={life}")
    }

    /// The turn by the ticket for this platform among the cookies; `None` for none, one that we did not make, an old one.
    pub(crate) fn read(&self, headers: &HeaderMap, platform: &PlatformId, now: Timestamp) -> Option<Turn> {
        let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
        let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let ours = |name: &str| name.strip_prefix(COOKIE_PREFIX) == Some(platform.as_str());
        let ticket = pairs.filter(|(name, _)| ours(name)).map(|(_, ticket)| ticket).next()?;
        let mut bytes = [0; 49]; // one more than a ticket has, so that a longer one is none
        let length = URL_SAFE_NO_PAD.decode_slice(ticket, &mut bytes).ok()?;
        let (turn, tag) = bytes.get(..length)?.split_first_chunk::<16>()?;
        let turn = Turn::of(*turn);
        hmac::verify(&self.0, &said(turn, platform), tag).ok()?;
        let arrived = Timestamp::from_millis(turn.arrived_ms);
        (arrived <= now.plus(CLOCK_SKEW) && now.since(arrived) < TICKET_LIFE).then_some(turn)
    }
}

/// What the seal of a ticket is for.
fn said(turn: Turn, platform: &PlatformId) -> Vec<u8> {
    [&turn.bytes()[..], platform.as_str().as_bytes()].concat()
}

impl Turn {
    fn bytes(self) -> [u8; 16] {
        (u128::from(self.arrived_ms) << 64 | u128::from(self.number)).to_be_bytes()
    }

    fn of(bytes: [u8; 16]) -> Self {
        let [a1, a2, a3, a4, a5, a6, a7, a8, n1, n2, n3, n4, n5, n6, n7, n8] = bytes;
        let arrived_ms = u64::from_be_bytes([a1, a2, a3, a4, a5, a6, a7, a8]);
        Self { arrived_ms, number: u64::from_be_bytes([n1, n2, n3, n4, n5, n6, n7, n8]) }
    }
}

/// Those who wait for one platform.
pub(crate) struct Room {
    line: Mutex<Line>,
    /// Of the line, to be read without its lock.
    length: AtomicUsize,
    max: usize,
    seen: Seen,
}

/// The room's metrics.
pub(crate) struct Seen {
    /// `yimen_waiting_room_people`.
    pub(crate) people: IntGauge,
    /// `yimen_waiting_room_total`, by outcome.
    pub(crate) entered: IntCounter,
    pub(crate) admitted: IntCounter,
    pub(crate) left: IntCounter,
    pub(crate) full: IntCounter,
}

#[derive(Default)]
struct Line {
    /// In their order.
    waiting: Vec<Waiting>,
    /// The last that was let in by a ticket, in the order of tickets.
    passed: Turn,
    looked_at: Timestamp,
}

struct Waiting {
    turn: Turn,
    /// To be seen again until then.
    due: Timestamp,
}

impl Room {
    pub(crate) fn new(max: usize, seen: Seen) -> Self {
        Self { line: Mutex::default(), length: AtomicUsize::new(0), max, seen }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Relaxed) == 0
    }

    /// Whether one of so many free places is for somebody with this ticket, or with none.
    pub(crate) fn is_turn_of(&self, turn: Option<Turn>, free: usize, now: Timestamp) -> bool {
        let line = self.line.lock();
        free > line.ahead_of(line.counts(turn), now)
    }

    /// Somebody with this ticket got in.
    pub(crate) fn admit(&self, turn: Turn) {
        let mut line = self.line.lock();
        if let Ok(at) = line.find(turn) {
            line.waiting.remove(at);
            line.passed = line.passed.max(turn);
            self.seen.admitted.inc();
            self.show(&line);
        }
    }

    /// Somebody with this ticket, or with none, has to wait. `None`: there is no room left.
    pub(crate) fn enter(
        &self,
        tickets: &Tickets,
        turn: Option<Turn>,
        platform: &PlatformId,
        now: Timestamp,
    ) -> Option<Wait> {
        let mut line = self.line.lock();
        self.forget_gone(&mut line, now);
        let turn = line.counts(turn).or_else(|| Tickets::fresh(now))?;
        let at = match line.find(turn) {
            Ok(at) => at,
            Err(at) => {
                if line.waiting.len() >= self.max {
                    self.seen.full.inc();
                    return None;
                }
                self.seen.entered.inc();
                line.waiting.insert(at, Waiting { turn, due: now });
                at
            }
        };
        let ahead = line.ahead_of(Some(turn), now);
        let retry_s = if ahead < FRONT { RETRY_FRONT_S } else { RETRY_S };
        if let Some(waiting) = line.waiting.get_mut(at) {
            waiting.due = now.plus(Duration::from_secs(retry_s.into())).plus(GRACE);
        }
        self.show(&line);
        drop(line);
        Some(Wait { ahead, retry_s, ticket: tickets.cookie(turn, platform) })
    }

    /// Now and then, and whenever the room is full.
    fn forget_gone(&self, line: &mut Line, now: Timestamp) {
        let full = line.waiting.len() >= self.max;
        if !full && now.since(line.looked_at) < LOOK_FOR_GONE {
            return;
        }
        line.looked_at = now;
        let before = line.waiting.len();
        let bearable = if full { Duration::ZERO } else { ABSENCE_MAX };
        line.waiting.retain(|waiting| waiting.due.plus(bearable) >= now);
        self.seen.left.inc_by(u64::try_from(before - line.waiting.len()).unwrap_or_default());
    }

    fn show(&self, line: &Line) {
        self.length.store(line.waiting.len(), Relaxed);
        self.seen.people.set(i64::try_from(line.waiting.len()).unwrap_or(i64::MAX));
    }
}

impl Line {
    fn find(&self, turn: Turn) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&turn, |waiting| waiting.turn)
    }

    /// The ticket, unless it was used, or its place was passed by somebody while it was away.
    fn counts(&self, turn: Option<Turn>) -> Option<Turn> {
        turn.filter(|turn| *turn > self.passed || self.find(*turn).is_ok())
    }

    /// How many are there that come before this one, or before one who comes now.
    fn ahead_of(&self, turn: Option<Turn>, now: Timestamp) -> usize {
        let before = |waiting: &&Waiting| turn.is_none_or(|turn| waiting.turn < turn);
        self.waiting.iter().take_while(before).filter(|waiting| waiting.due >= now).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hall {
        room: Room,
        tickets: Tickets,
        platform: PlatformId,
    }

    fn hall(max: usize) -> Hall {
        let counter = |name: &str| IntCounter::new(name, "help").unwrap();
        let seen = Seen {
            people: IntGauge::new("people", "help").unwrap(),
            entered: counter("entered"),
            admitted: counter("admitted"),
            left: counter("left"),
            full: counter("full"),
        };
        Hall { room: Room::new(max, seen), tickets: Tickets::new([7; 32]), platform: "hangzhou".parse().unwrap() }
    }

    impl Hall {
        fn enters(&self, turn: Option<Turn>, at_s: u64) -> Option<(Turn, usize)> {
            let wait = self.room.enter(&self.tickets, turn, &self.platform, at(at_s))?;
            Some((self.read(&wait.ticket, at_s).unwrap(), wait.ahead))
        }

        fn read(&self, set_cookie: &str, at_s: u64) -> Option<Turn> {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, format!("a=b; {}", set_cookie.split(';').next().unwrap()).parse().unwrap());
            self.tickets.read(&headers, &self.platform, at(at_s))
        }

        fn is_turn(&self, turn: Option<Turn>, free: usize, at_s: u64) -> bool {
            self.room.is_turn_of(turn, free, at(at_s))
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((1_000_000 + seconds) * 1000)
    }

    #[test]
    fn those_who_wait_come_in_in_their_order_and_a_newcomer_after_them() {
        let hall = hall(10);
        let turns = [0, 1, 2].map(|second| hall.enters(None, second).unwrap());
        assert_eq!(turns.map(|(_, ahead)| ahead), [0, 1, 2]);
        let [(first, _), (second, _), (third, _)] = turns;
        assert!(!hall.is_turn(Some(second), 1, 3) && !hall.is_turn(Some(third), 2, 3));
        assert!(hall.is_turn(Some(first), 1, 3) && hall.is_turn(Some(second), 2, 3));
        assert!(!hall.is_turn(None, 3, 3) && hall.is_turn(None, 4, 3));
        hall.room.admit(first);
        assert!(hall.is_turn(Some(second), 1, 3));
        assert_eq!((hall.room.seen.people.get(), hall.room.seen.admitted.get()), (2, 1));
    }

    #[test]
    fn a_ticket_is_good_once() {
        let hall = hall(10);
        let (first, _) = hall.enters(None, 0).unwrap();
        let (second, _) = hall.enters(None, 1).unwrap();
        hall.room.admit(first);
        assert!(!hall.is_turn(Some(first), 1, 2), "used");
        let (again, ahead) = hall.enters(Some(first), 2).unwrap();
        assert!(again > second && ahead == 1);
    }

    #[test]
    fn one_who_does_not_come_back_is_passed_over_and_has_the_place_again_until_somebody_has_passed() {
        let hall = hall(10);
        let (first, _) = hall.enters(None, 0).unwrap();
        let (second, _) = hall.enters(None, 1).unwrap();
        hall.enters(Some(second), 9).unwrap();
        assert!(hall.is_turn(Some(second), 1, 9), "the first is late");
        assert!(hall.is_turn(Some(first), 1, 9), "and still the first");
        hall.enters(Some(second), 60).unwrap();
        hall.enters(Some(second), 70).unwrap();
        assert_eq!((hall.room.seen.left.get(), hall.room.seen.people.get()), (1, 1), "the first has gone");
        assert_eq!(hall.enters(Some(first), 71).unwrap(), (first, 0), "not passed yet");
        hall.room.admit(second);
        assert_eq!(hall.room.seen.people.get(), 1);
    }

    #[test]
    fn a_ticket_from_another_node_has_its_place() {
        let (here, there) = (hall(10), hall(10));
        let (early, _) = there.enters(None, 0).unwrap();
        let (late, _) = here.enters(None, 5).unwrap();
        assert_eq!(here.enters(Some(early), 6).unwrap(), (early, 0));
        assert!(!here.is_turn(Some(late), 1, 6));
    }

    #[test]
    fn a_room_has_an_end_which_those_who_left_make_way_for() {
        let hall = hall(3);
        for second in 0..3 {
            hall.enters(None, second).unwrap();
        }
        assert_eq!(hall.enters(None, 3), None);
        assert_eq!((hall.room.seen.full.get(), hall.room.line.lock().waiting.len()), (1, 3));
        assert!(hall.enters(None, 9).is_some(), "the first has not come back");
        assert_eq!(hall.enters(None, 10).map(|(_, ahead)| ahead), Some(2), "nor has the second");
        assert_eq!(hall.room.line.lock().waiting.len(), 3);
    }

    #[test]
    fn no_other_ticket_is_taken_for_ours() {
        let hall = hall(10);
        let cookie = hall.tickets.cookie(Tickets::fresh(at(0)).unwrap(), &hall.platform);
        assert!(hall.read(&cookie, 0).is_some());
        let start = cookie.find('=').unwrap() + 1;
        for place in start..start + 64 {
            let mut changed = cookie.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(hall.read(std::str::from_utf8(&changed).unwrap(), 0), None, "character {place}");
        }
        assert_eq!(hall.read(&cookie.replace("turn-hangzhou", "turn-ministry"), 0), None);
        assert_eq!(hall.read(cookie.get(..start + 40).unwrap(), 0), None);
        assert_eq!(hall.read(&cookie, 6 * 3600), None, "old");
        let other = Tickets::new([8; 32]).cookie(Tickets::fresh(at(0)).unwrap(), &hall.platform);
        assert_eq!(hall.read(&other, 0), None, "another gateway's");
        let ahead_of_time = hall.tickets.cookie(Tickets::fresh(at(60)).unwrap(), &hall.platform);
        assert_eq!(hall.read(&ahead_of_time, 0), None, "from a clock that is wrong");
        let elsewhere = hall.tickets.cookie(Tickets::fresh(at(0)).unwrap(), &"ministry".parse().unwrap());
        assert_eq!(hall.read(&elsewhere.replace("turn-ministry", "turn-hangzhou"), 0), None, "another platform's");
    }
}
