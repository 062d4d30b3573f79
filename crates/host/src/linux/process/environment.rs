//! `/proc/PID/environ`: of everything in it only `LD_PRELOAD` is looked at, and nothing else is kept.

use rustix::io::Errno;

use super::files::{ProcessFolder, reason};
use atalaya_model::process::Unread;

/// Most of an environment that is read, in bytes.
const MAX_READ: usize = 512 << 10;
/// Longest value that is kept, in bytes.
pub const MAX_PRELOAD: usize = 512;

const NAME: &[u8] = b"LD_PRELOAD=";

/// The value of `LD_PRELOAD` in an environment, at most [`MAX_PRELOAD`] bytes of it; `None` where it is not set or
/// empty. `buffer` is for reading, and has to have room for a variable.
///
/// # Errors
/// Why it could not be read.
pub fn preload(folder: &ProcessFolder, buffer: &mut [u8]) -> Result<Option<Vec<u8>>, Unread> {
    let file = folder.open_file("environ")?;
    let mut search = Search::default();
    let mut read = 0;
    while read < MAX_READ {
        match rustix::io::read(&file, &mut *buffer) {
            Ok(0) => break,
            Ok(count) => {
                read += count;
                // `/proc` gives all there is, if it fits.
                if search.feed(&buffer[..count]) || count < buffer.len() {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(reason(error)),
        }
    }
    Ok(search.value())
}

/// The value in a whole variable, as the kernel programs tell it; `None` where it is empty.
pub fn value(variable: &[u8]) -> Option<Vec<u8>> {
    let mut search = Search::default();
    search.feed(variable);
    search.value()
}

/// Finds the first variable of this name in an environment that comes in pieces.
#[derive(Debug, Default)]
struct Search {
    /// How much of the name fits the variable under way; `None` where it does not.
    matched: Matched,
    value: Vec<u8>,
    is_done: bool,
}

#[derive(Debug)]
enum Matched {
    Name(usize),
    Other,
}

impl Default for Matched {
    fn default() -> Self {
        Self::Name(0)
    }
}

impl Search {
    /// Takes the next piece; `true` when nothing more is needed.
    fn feed(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            if self.is_done {
                break;
            }
            self.matched = match (&self.matched, *byte) {
                (Matched::Name(length), 0) => {
                    self.is_done = *length == NAME.len();
                    Matched::Name(0)
                }
                (Matched::Other, 0) => Matched::Name(0),
                (Matched::Other, _) => Matched::Other,
                (Matched::Name(length), byte) if *length == NAME.len() => {
                    self.value.push(byte);
                    self.is_done = self.value.len() >= MAX_PRELOAD;
                    Matched::Name(*length)
                }
                (Matched::Name(length), byte) if NAME[*length] == byte => Matched::Name(length + 1),
                _ => Matched::Other,
            };
        }
        self.is_done
    }

    fn value(self) -> Option<Vec<u8>> {
        (!self.value.is_empty()).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(environment: &[u8], expected: Option<&[u8]>) {
        assert_eq!(value(environment).as_deref(), expected);
    }

    #[test]
    fn only_the_variable_of_that_name_counts() {
        check(
            b"A=1\0LD_PRELOAD=/tmp/a.so:/b.so\0B=2\0",
            Some(b"/tmp/a.so:/b.so"),
        );
        check(b"LD_PRELOAD=x", Some(b"x"));
        check(b"A=LD_PRELOAD=x\0XLD_PRELOAD=y\0LD_PRELOADS=z\0LD_\0", None);
        check(b"LD_PRELOAD=\0LD_PRELOAD=late\0", None);
        check(b"", None);
        let long = [NAME, &[b'x'; 2 * MAX_PRELOAD]].concat();
        check(&long, Some(&[b'x'; MAX_PRELOAD]));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            parts in prop::collection::vec("(LD_PRELOAD=|LD_|A|=|/x[.]so|\u{0}){0,6}", 0..12),
        ) {
            let whole: Vec<u8> = parts.concat().into_bytes();
            let mut search = Search::default();
            for part in &parts {
                if search.feed(part.as_bytes()) {
                    break;
                }
            }
            prop_assert_eq!(search.value(), value(&whole));
        }
    }
}
