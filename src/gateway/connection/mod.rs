//! One connection of a visitor: what it may take before and between its requests.
//! The frame's time limits count from read to read, so a byte a second is never cut, and it does not count connections. So
//! `Front` stands before the frame's application: it gives each connection a seat, or closes it, and hands it on inside a
//! `Guarded` stream that knows from the phases (`Watch`) which part of the conversation it is in.
//! By HTTP/2 many conversations share a connection, and its frames say which part each is in (`Streams`).
//! `Front` also sees to it that deadlines cost no system call on the threads it runs on (`Pulse`).
//! Cost on a request's way: a few relaxed loads and stores; a clock is read only where somebody makes us wait.
//! Fails: a visitor who is too slow is cut (`yimen_connections_cut_total`), one too many is closed before TLS.

mod client_certificate;
mod front;
mod guarded;
mod pace;
mod proxy_protocol;
mod pulse;
mod seats;
mod sender;
mod streams;
mod watch;

pub use self::client_certificate::ClientCertificates;
pub(crate) use self::client_certificate::client_certificate;
pub use self::front::{ConnectionLimits, Front};
pub(crate) use self::pace::time_to_read;
pub(crate) use self::sender::Sender;
pub(crate) use self::watch::{Part, Watch};
