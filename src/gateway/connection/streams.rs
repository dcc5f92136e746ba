//! Whose turn it is on an HTTP/2 connection, read from its frames as they pass (RFC 9113). The frame keeps no deadline for a
//! header block whose end does not come, for a body that drips, or for a window that is never opened.
//! Shape: nine bytes in front of each frame, and what SETTINGS and WINDOW_UPDATE say; payloads are passed over, never kept.
//! Cost: a few comparisons a frame, and a short list of the streams that are open. Fails: never; what breaks the protocol is
//! the frame's to refuse.

use std::time::Instant;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// No kind of frame: what a visitor says first of all, section 3.4.
const PREFACE: u8 = u8::MAX;
const PREFACE_BYTES: u32 = 24;
const HEAD_BYTES: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u64 = 4;
/// Section 6.9.2.
const WINDOW: i64 = 65_535;
/// More than the frame lets be open at a time; it refuses those that are not followed here.
const OPEN_MAX: usize = 256;

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct Streams {
    visitor: Side,
    gateway: Side,
    open: Vec<Open>,
    newest: u32,
    /// The visitor's header block has begun and not ended.
    block: bool,
    /// Since when something of the visitor's that is no body is unfinished.
    unfinished_since: Option<Instant>,
}

/// One end of the connection, as the one who sends.
#[derive(Debug)]
struct Side {
    frames: Frames,
    /// What the other end lets it send, on all streams together.
    window: i64,
    /// And on a stream that opens.
    initial: i64,
}

/// A stream that is not closed on both sides.
#[derive(Debug)]
struct Open {
    id: u32,
    visitor: Half,
    gateway: Half,
}

#[derive(Debug)]
struct Half {
    window: i64,
    begun: bool,
    sent_data: bool,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Visitor,
    Gateway,
}

impl Streams {
    /// A connection on which nothing was said yet.
    pub(super) fn new(now: Instant) -> Self {
        let side = |frames| Side { frames, window: WINDOW, initial: WINDOW };
        let preface = Frames { kind: PREFACE, left: PREFACE_BYTES, ..Frames::default() };
        Self {
            visitor: side(preface),
            gateway: side(Frames::default()),
            open: Vec::new(),
            newest: 0,
            block: false,
            unfinished_since: Some(now),
        }
    }

    /// Takes in what one end said. Returns how many bytes of it were bodies.
    pub(super) fn follow(&mut self, by: By, mut bytes: &[u8], now: impl FnOnce() -> Instant) -> usize {
        let mut bodies = 0;
        while let Some(event) = self.side(by).frames.next(&mut bytes) {
            match event {
                Event::Begins(frame) => self.begins(by, frame),
                Event::Data(bytes) => bodies += bytes,
                Event::Ends(frame) => self.ends(by, frame),
                Event::Setting(id, value) if id == INITIAL_WINDOW_SIZE => self.starts_with(by, value),
                Event::Setting(..) => {}
                Event::Opens(stream, more) => self.opens(by, stream, more),
            }
        }
        if by == By::Visitor {
            // What follows the head of a body's frame is a body, which has a least rate of its own.
            let unfinished = self.block || self.visitor.frames.is_within_head();
            let since = self.unfinished_since.take();
            self.unfinished_since = unfinished.then(|| since.unwrap_or_else(now));
        }
        bodies
    }

    /// Since when a header block, or another frame that is no body's, is unfinished.
    pub(super) fn unfinished_since(&self) -> Option<Instant> {
        self.unfinished_since
    }

    /// Whether anybody is still sending a body, or has to.
    pub(super) fn has_uploads(&self) -> bool {
        self.open.iter().any(Open::is_upload)
    }

    /// How many bodies the visitor may go on with; one that the platform does not take, so that its window is closed, is not
    /// the visitor's fault.
    pub(super) fn to_send(&self) -> usize {
        let within = usize::from(self.visitor.frames.is_within_data());
        let open = self.open.iter().filter(|open| self.may_send(open)).count();
        open.max(within)
    }

    /// Whether all that is under way waits for the visitor, and some of it for a window.
    pub(super) fn waits_for_window(&self) -> bool {
        let shut = |open: &Open| {
            let ours = &open.gateway;
            ours.begun && !ours.ended && (ours.window <= 0 || self.gateway.window <= 0)
        };
        self.open.iter().any(shut) && self.open.iter().all(|open| shut(open) || self.may_send(open))
    }

    fn may_send(&self, open: &Open) -> bool {
        open.is_upload() && open.visitor.window > 0 && self.visitor.window > 0
    }

    fn side(&mut self, by: By) -> &mut Side {
        match by {
            By::Visitor => &mut self.visitor,
            By::Gateway => &mut self.gateway,
        }
    }

    fn find(&mut self, stream: u32) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.id == stream)
    }

    fn begins(&mut self, by: By, frame: Frame) {
        match frame.kind {
            HEADERS => {
                if by == By::Visitor {
                    self.block = true;
                    self.admit(frame.stream);
                }
                if let Some(open) = self.find(frame.stream) {
                    open.half(by).begun = true;
                }
            }
            DATA => {
                let length = i64::from(frame.length);
                self.side(by).window -= length;
                if let Some(open) = self.find(frame.stream) {
                    let half = open.half(by);
                    half.window -= length;
                    half.sent_data = true;
                }
            }
            RST_STREAM => self.open.retain(|open| open.id != frame.stream),
            _ => {}
        }
    }

    /// Only the visitor opens streams, each with a higher odd number (section 5.1.1).
    fn admit(&mut self, stream: u32) {
        if stream > self.newest && stream % 2 == 1 {
            self.newest = stream;
            if self.open.len() < OPEN_MAX {
                let half = |window| Half { window, begun: false, sent_data: false, ended: false };
                let (visitor, gateway) = (half(self.visitor.initial), half(self.gateway.initial));
                self.open.push(Open { id: stream, visitor, gateway });
            }
        }
    }

    fn ends(&mut self, by: By, frame: Frame) {
        if by == By::Visitor {
            if matches!(frame.kind, HEADERS | CONTINUATION) && frame.flags & END_HEADERS != 0 {
                self.block = false;
            }
            if !self.block {
                self.unfinished_since = None;
            }
        }
        if matches!(frame.kind, DATA | HEADERS)
            && frame.flags & END_STREAM != 0
            && let Some(open) = self.find(frame.stream)
        {
            open.half(by).ended = true;
            if open.visitor.ended && open.gateway.ended {
                self.open.retain(|open| open.id != frame.stream);
            }
        }
    }

    /// What one end says about windows is for the other (section 6.9.2).
    fn starts_with(&mut self, by: By, window: u32) {
        let sender = by.other();
        let more = i64::from(window) - self.side(sender).initial;
        self.side(sender).initial = window.into();
        for open in &mut self.open {
            open.half(sender).window += more;
        }
    }

    fn opens(&mut self, by: By, stream: u32, more: u32) {
        let sender = by.other();
        if stream == 0 {
            self.side(sender).window += i64::from(more);
        } else if let Some(open) = self.find(stream) {
            open.half(sender).window += i64::from(more);
        }
    }
}

impl By {
    fn other(self) -> Self {
        match self {
            Self::Visitor => Self::Gateway,
            Self::Gateway => Self::Visitor,
        }
    }
}

impl Open {
    fn half(&mut self, by: By) -> &mut Half {
        match by {
            By::Visitor => &mut self.visitor,
            By::Gateway => &mut self.gateway,
        }
    }

    /// A body is to come. Once a platform answers while it comes, both talk at leisure (gRPC).
    fn is_upload(&self) -> bool {
        !self.visitor.ended && !self.gateway.sent_data
    }
}

/// The head of a frame, section 4.1.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    length: u32,
}

#[derive(Debug)]
enum Event {
    Begins(Frame),
    /// Bytes of a body.
    Data(usize),
    Setting(u64, u32),
    /// A window opens by so much.
    Opens(u32, u32),
    Ends(Frame),
}

/// Where one direction is within its frames.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of a head, or of an entry of a payload that is read, and how many there are.
    word: u128,
    have: u8,
    kind: u8,
    flags: u8,
    stream: u32,
    /// Of the frame's payload.
    left: u32,
    /// The frame is over, which is still to be said.
    over: bool,
}

impl Frames {
    /// What the bytes say next; `None` when there are no more.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Event> {
        loop {
            if self.over {
                self.over = false;
                return Some(Event::Ends(self.frame(0)));
            }
            let event = if self.left == 0 {
                self.head(bytes)?
            } else {
                match self.kind {
                    SETTINGS => self.entry(bytes, 6)?,
                    WINDOW_UPDATE => self.entry(bytes, 4)?,
                    _ => self.payload(bytes)?,
                }
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn head(&mut self, bytes: &mut &[u8]) -> Option<Option<Event>> {
        self.byte(bytes)?;
        if self.have < HEAD_BYTES {
            return Some(None);
        }
        let [.., l1, l2, l3, kind, flags, s1, s2, s3, s4] = self.word.to_be_bytes();
        (self.have, self.kind, self.flags) = (0, kind, flags);
        self.stream = u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]);
        self.left = u32::from_be_bytes([0, l1, l2, l3]);
        self.over = self.left == 0;
        Some(Some(Event::Begins(self.frame(self.left))))
    }

    /// A part of a payload that is read, so many bytes long.
    fn entry(&mut self, bytes: &mut &[u8], length: u8) -> Option<Option<Event>> {
        self.byte(bytes)?;
        self.pass(1);
        if self.have < length {
            if self.left == 0 {
                self.have = 0; // of a length that makes no sense
            }
            return Some(None);
        }
        self.have = 0;
        let [.., i1, i2, v1, v2, v3, v4] = self.word.to_be_bytes();
        let value = u32::from_be_bytes([v1, v2, v3, v4]);
        Some(Some(match length {
            4 => Event::Opens(self.stream, value & 0x7fff_ffff),
            _ => Event::Setting(u16::from_be_bytes([i1, i2]).into(), value),
        }))
    }

    fn payload(&mut self, bytes: &mut &[u8]) -> Option<Option<Event>> {
        let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if taken == 0 {
            return None;
        }
        *bytes = bytes.get(taken..)?;
        self.pass(taken);
        Some((self.kind == DATA).then_some(Event::Data(taken)))
    }

    fn byte(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let (byte, rest) = bytes.split_first()?;
        (self.word, self.have, *bytes) = (self.word << 8 | u128::from(*byte), self.have + 1, rest);
        Some(())
    }

    fn pass(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.over = self.left == 0;
    }

    fn frame(&self, length: u32) -> Frame {
        Frame { kind: self.kind, flags: self.flags, stream: self.stream, length }
    }

    fn is_within_data(&self) -> bool {
        self.kind == DATA && self.left > 0
    }

    fn is_within_head(&self) -> bool {
        (self.left == 0 && self.have > 0) || (self.left > 0 && self.kind != DATA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn begun() -> Streams {
        let mut streams = Streams::new(Instant::now());
        streams.says(By::Visitor, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat());
        streams
    }

    impl Streams {
        /// In one piece, or byte by byte: it comes to the same.
        fn says(&mut self, by: By, bytes: &[u8]) -> usize {
            bytes.iter().map(|byte| self.follow(by, &[*byte], Instant::now)).sum()
        }
    }

    #[test]
    fn a_header_block_is_unfinished_until_its_last_frame() {
        let mut streams = begun();
        assert_eq!(streams.unfinished_since(), None);
        streams.follow(By::Visitor, &frame(HEADERS, END_STREAM, 1, b"half"), Instant::now);
        let since = streams.unfinished_since();
        assert!(since.is_some());
        streams.says(By::Visitor, &frame(CONTINUATION, 0, 1, b"more"));
        assert_eq!(streams.unfinished_since(), since, "a further frame is no new beginning");
        streams.says(By::Visitor, &frame(CONTINUATION, END_HEADERS, 1, b"end"));
        assert_eq!(streams.unfinished_since(), None);
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS, 3, b"whole")[..12]);
        assert!(streams.unfinished_since().is_some(), "within a frame");
    }

    #[test]
    fn a_body_is_not_unfinished_because_the_head_of_its_frame_came_in_two_pieces() {
        let mut streams = begun();
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS, 1, b"post"));
        let body = frame(DATA, 0, 1, b"body");
        streams.follow(By::Visitor, &body[..5], Instant::now);
        assert!(streams.unfinished_since().is_some());
        streams.follow(By::Visitor, &body[5..11], Instant::now);
        assert_eq!(streams.unfinished_since(), None);
    }

    #[test]
    fn nothing_said_is_unfinished_too() {
        assert!(Streams::new(Instant::now()).unfinished_since().is_some());
    }

    #[test]
    fn who_has_a_body_to_send_is_waited_for_until_it_has_ended() {
        let mut streams = begun();
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS, 1, b"post"));
        assert_eq!(streams.to_send(), 1);
        assert_eq!(streams.says(By::Visitor, &frame(DATA, 0, 1, b"body")), 4);
        assert_eq!((streams.to_send(), streams.has_uploads()), (1, true));
        streams.says(By::Visitor, &frame(DATA, END_STREAM, 1, b""));
        assert_eq!((streams.to_send(), streams.has_uploads()), (0, false));
        streams.says(By::Gateway, &frame(HEADERS, END_HEADERS | END_STREAM, 1, b"answer"));
        assert!(streams.open.is_empty());
    }

    #[test]
    fn a_body_that_nobody_takes_is_not_waited_for() {
        let mut streams = begun();
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS, 1, b"post"));
        for _ in 0..4 {
            streams.follow(By::Visitor, &frame(DATA, 0, 1, &[0; 16_383]), Instant::now);
        }
        assert_eq!(streams.to_send(), 1, "three bytes are left");
        streams.follow(By::Visitor, &frame(DATA, 0, 1, &[0; 3]), Instant::now);
        assert_eq!(streams.to_send(), 0);
        streams.says(By::Gateway, &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]));
        assert_eq!(streams.to_send(), 0, "the stream's own window is closed");
        streams.says(By::Gateway, &frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 9]));
        assert_eq!(streams.to_send(), 1);
    }

    #[test]
    fn an_answer_waits_for_a_window_only_where_all_else_waits_for_the_visitor() {
        let mut streams = begun();
        streams.says(By::Visitor, &frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9, 0, 4, 0, 0, 0, 5]));
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS | END_STREAM, 1, b"get"));
        assert!(!streams.waits_for_window(), "the platform has not answered");
        streams.says(By::Gateway, &frame(HEADERS, END_HEADERS, 1, b"answer"));
        assert!(!streams.waits_for_window());
        streams.says(By::Gateway, &frame(DATA, 0, 1, b"first"));
        assert!(streams.waits_for_window());
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS | END_STREAM, 3, b"get"));
        assert!(!streams.waits_for_window(), "another request waits for its platform");
        streams.says(By::Visitor, &frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]));
        assert!(streams.waits_for_window());
        streams.says(By::Visitor, &frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]));
        assert!(!streams.waits_for_window());
        streams.says(By::Visitor, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 4]));
        assert!(streams.waits_for_window(), "a smaller window from the beginning is a smaller one now");
    }

    #[test]
    fn once_the_platform_talks_too_nobody_is_waited_for() {
        let mut streams = begun();
        streams.says(By::Visitor, &frame(HEADERS, END_HEADERS, 1, b"post"));
        streams.says(By::Gateway, &frame(HEADERS, END_HEADERS, 1, b"100"));
        assert_eq!(streams.to_send(), 1, "an interim answer is no talk");
        streams.says(By::Gateway, &frame(DATA, 0, 1, b"message"));
        assert_eq!(streams.to_send(), 0);
    }

    #[test]
    fn streams_without_end_are_not_kept() {
        let mut streams = begun();
        for stream in 0..10_000 {
            streams.follow(By::Visitor, &frame(HEADERS, END_HEADERS, 2 * stream + 1, b""), Instant::now);
        }
        assert_eq!(streams.open.len(), OPEN_MAX);
    }

    proptest::proptest! {
        #[test]
        fn it_comes_to_the_same_however_the_bytes_are_cut(bytes: Vec<u8>, at: usize) {
            let (mut whole, mut parts) = (begun(), begun());
            let (first, second) = bytes.split_at(at % (bytes.len() + 1));
            let bodies = whole.follow(By::Visitor, &bytes, Instant::now);
            let both = parts.follow(By::Visitor, first, Instant::now) + parts.follow(By::Visitor, second, Instant::now);
            proptest::prop_assert_eq!(bodies, both);
            proptest::prop_assert_eq!((whole.to_send(), whole.open.len()), (parts.to_send(), parts.open.len()));
            proptest::prop_assert_eq!(whole.unfinished_since().is_some(), parts.unfinished_since().is_some());
        }
    }
}
