//! Capture files: read with all their oddities, and written.
//!
//! **Formats** are found out by the first bytes, never by the name: pcap (both byte orders, microseconds and
//! nanoseconds, the variant with longer record heads that Kuznetzov's patches wrote), pcapng (any number of sections
//! and interfaces), snoop (RFC 1761), each also within gzip or zstd. The layouts are those of
//! draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng and RFC 1761.
mod error;
mod interface;
mod order;
mod pcap;
mod pcapng;
mod reader;
mod snoop;
mod source;
mod zstd;

pub use error::CaptureError;
pub use interface::Interface;
pub use reader::Reader;
