//! What every reader of a protocol is: it is given pieces of payload in order and tells what was said.

use atalaya_model::{Application, Message, Side, Time};

/// A piece of payload: the next bytes of a stream, or one datagram.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// When it was captured.
    pub time: Time,
    /// Who said it: the side that began the conversation, or the other.
    pub side: Side,
    /// The bytes.
    pub data: &'a [u8],
    /// So many more followed these and were not captured (snap length). In a stream a gap follows then.
    pub cut: u32,
}

/// Something that was said, with the time at which it began.
pub type Said = (Time, Message);

/// What an analyser wants after it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appetite {
    /// To read on.
    More,
    /// Nothing: what follows says nothing more. It is not asked again, but for `end`.
    Enough,
    /// This is not its protocol after all: others may try, from the next piece on.
    NotMine,
    /// From here on it is another protocol (STARTTLS, CONNECT, Upgrade): named, or to be found out from what follows.
    /// `consumed` bytes of this piece belonged to the old one.
    Becomes {
        /// The new protocol, `None` where its own first bytes must tell.
        application: Option<Application>,
        /// Bytes of the piece that were still the old protocol's.
        consumed: usize,
    },
}

/// A reader of one protocol in one conversation. Bounded: it keeps at most a few kilobytes, whatever it is given.
pub trait Analyser: Send {
    /// What it reads; may become more exact as it reads (HTTP → WebSocket).
    fn application(&self) -> Application;

    /// Reads the next piece and appends what was said.
    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite;

    /// `bytes` of the stream are missing here on that side. Who cannot find its way again wants `Enough`.
    fn gap(&mut self, side: Side, bytes: u64, time: Time, out: &mut Vec<Said>) -> Appetite {
        let _ = (side, bytes, time, out);
        Appetite::Enough
    }

    /// Time passed, or the conversation is over (`over`): tells what waited for an answer in vain.
    fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        let _ = (now, over, out);
    }

    /// Something waits for an answer, so that `wait` should be called when time passes.
    fn is_waiting(&self) -> bool {
        false
    }

    /// It keeps nothing: a new one would read what comes next as well as this one does. Datagrams only.
    fn is_at_rest(&self) -> bool {
        false
    }
}

/// The first payload of a conversation, as far as it has come: what a protocol is recognised by.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Over streams, or over datagrams.
    pub over: Over,
    /// Port of the side that began.
    pub source_port: u16,
    /// Port of the side that answered.
    pub destination_port: u16,
    /// Who said `data`.
    pub side: Side,
    /// The first bytes that this side said, at most [`Limits::OPENING`]; a datagram is whole.
    pub data: &'a [u8],
    /// What the other side had said before, empty where it was silent; of datagrams the first bytes of the last one.
    pub before: &'a [u8],
    /// The first bytes of the datagram that this side said before; empty in streams.
    pub earlier: &'a [u8],
}

/// How payload travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Over {
    Stream,
    Datagrams,
}

/// Whether it is this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Surely.
    Yes,
    /// It may be, more bytes will tell (streams only).
    Maybe,
    /// No.
    No,
}

/// Makes a reader.
pub type Make = fn(&Limits) -> Box<dyn Analyser>;

/// One protocol in the list of those that are recognised.
pub struct Speaker {
    /// Its name.
    pub application: Application,
    /// How it travels.
    pub over: &'static [Over],
    /// The ports on which it usually is: asked first there, and where the content says nothing, named as a guess.
    pub ports: &'static [u16],
    /// Judges the first bytes. May be strict: on its own ports it is asked first, elsewhere after all more exact ones.
    pub recognise: fn(&Opening<'_>) -> Guess,
    /// Makes a reader; `None` where the first bytes have said everything (their facts come from `read` of a reader, so
    /// such a protocol has no facts).
    pub analyser: Option<Make>,
}

/// How much is kept and read. What goes beyond is left out and counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Keep query strings of HTTP requests; off by default, for they hold secrets.
    pub query_strings: bool,
    /// Bytes of each side of a stream that are offered to a protocol's reader at most, 0 for no limit.
    pub depth: u64,
    /// Bytes of segments out of order that wait for a missing one, each side.
    pub pending: usize,
}

impl Limits {
    /// First bytes of a side that are kept to recognise a protocol.
    pub const OPENING: usize = 2_048;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query_strings: false,
            depth: 0,
            pending: 64 << 10,
        }
    }
}
