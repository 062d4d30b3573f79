//! The interfaces that a capture was made on.

use crate::frame::LinkType;

/// An interface of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, empty where the file does not say it. At most [`Interface::NAME`] bytes.
    pub name: String,
    /// What its frames begin with.
    pub link: LinkType,
    /// Bytes of a frame that were kept at most, 0 for no limit; records may be longer all the same.
    pub snap_length: u32,
}

impl Interface {
    /// Longest name that is kept, in bytes.
    pub const NAME: usize = 256;

    /// The link type that a file's number means: some systems wrote their own number of raw IP.
    pub(super) fn link(number: u16) -> LinkType {
        match number {
            12 | 14 => LinkType::RAW,
            number => LinkType(number),
        }
    }
}
