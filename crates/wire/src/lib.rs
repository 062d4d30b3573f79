//! Bytes → facts: frames become packets, payload becomes what was said, files become frames.
//!
//! In: frames from a capture file or a packet ring, and payload in order. Out: [`packet::Packet`]s, the facts of
//! protocols (`model::protocol`), fingerprints. Every function here is total on hostile input: it answers or says
//! what is wrong, within bounded time and memory, and never panics.
//!
//! This room must not know: clocks, sockets, which process, what is a connection, or any other room but `model`.

pub mod analyser;
pub mod capture;
pub mod conversation;
pub mod frame;
pub mod greetings;
pub mod http;
mod lines;
pub mod names;
pub mod packet;
pub mod protocols;
pub mod services;
mod shared;
pub mod stream;
mod text;
pub mod tls;

pub use analyser::{Analyser, Appetite, Guess, Limits, Opening, Over, Piece, Said, Speaker};
pub use conversation::Conversation;
pub use frame::{Frame, LinkType};
pub use packet::{Decoder, Ip, Packet, Segment};
