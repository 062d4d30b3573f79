//! `/proc/PID/stat`: one line whose second field is a name that the process chooses itself.

use atalaya_model::ProcessKey;

/// Longest line worth reading: 52 numbers and a name of at most 64 bytes.
pub const MAX_STAT: usize = 1536;

const PF_KTHREAD: u64 = 0x0020_0000;

/// What the line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// Process id.
    pub pid: u32,
    /// The name, without its parentheses.
    pub name: &'a [u8],
    /// One letter: `R`, `S`, `Z` …
    pub state: u8,
    /// Process id of the parent, 0 where there is none.
    pub parent: u32,
    /// Start in clock ticks since boot.
    pub start: u64,
    /// A thread of the kernel.
    pub kernel_thread: bool,
}

impl<'a> Stat<'a> {
    /// Reads the line. The name ends at the *last* closing parenthesis, as it may itself hold any byte.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let name = line.get(open + 1..close)?;
        let pid = number(line.get(..open)?.trim_ascii())?;
        let mut fields = line.get(close + 1..)?.trim_ascii().split(|byte| *byte == b' ');
        let state = *fields.next()?.first()?;
        let parent = number(fields.next()?)?;
        let flags = number(fields.nth(4)?)?; // field 9
        let start = number(fields.nth(12)?)?; // field 22
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            name,
            state,
            parent: u32::try_from(parent).ok()?,
            start,
            kernel_thread: flags & PF_KTHREAD != 0,
        })
    }

    /// The identity of the process.
    pub const fn key(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid,
            start: self.start,
        }
    }
}

/// A decimal number that is all of `digits` and fits 64 bits.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAIL: &str = "S 17 1 1 0 -1 4194304 5 0 0 0 1 2 0 0 20 0 1 0 428049 2998272 407 1 2 3\n";

    fn line(name: &[u8], tail: &str) -> Vec<u8> {
        [b"42 (", name, b") ", tail.as_bytes()].concat()
    }

    #[test]
    fn a_plain_line() {
        let bytes = line(b"sshd", TAIL);
        let stat = Stat::parse(&bytes).unwrap();
        assert_eq!(
            stat,
            Stat {
                pid: 42,
                name: b"sshd",
                state: b'S',
                parent: 17,
                start: 428_049,
                kernel_thread: false
            }
        );
    }

    #[test]
    fn kernel_threads_are_told_by_their_flag() {
        let bytes = line(b"kthreadd", &TAIL.replace("4194304", "2129984"));
        assert!(Stat::parse(&bytes).unwrap().kernel_thread);
    }

    #[test]
    fn broken_lines_are_refused() {
        for bytes in [
            "",
            "1",
            "1 (a",
            "1 )a(",
            "x (a) S 1",
            "1 (a) S 1 2 3",
            "1 (a) S -1",
        ] {
            assert_eq!(Stat::parse(bytes.as_bytes()), None, "{bytes}");
        }
        let huge = TAIL.replace("428049", "99999999999999999999");
        assert_eq!(Stat::parse(&line(b"a", &huge)), None);
    }

    proptest! {
        #[test]
        fn any_name_is_read_back(name in prop::collection::vec(any::<u8>(), 0..64)) {
            let bytes = line(&name, TAIL);
            let stat = Stat::parse(&bytes).unwrap();
            prop_assert_eq!(stat.name, &name[..]);
            prop_assert_eq!((stat.pid, stat.parent, stat.start), (42, 17, 428_049));
        }

        #[test]
        fn hostile_lines_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Stat::parse(&bytes);
        }

        #[test]
        fn names_that_look_like_the_rest_do_not_move_the_fields(name in r"[) (SZ0-9\n]{0,15}") {
            let bytes = line(name.as_bytes(), TAIL);
            prop_assert_eq!(Stat::parse(&bytes).unwrap().start, 428_049);
        }
    }
}
