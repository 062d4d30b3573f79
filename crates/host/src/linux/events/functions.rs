//! Where a few of the kernel's functions are.
//!
//! A connection that we end first goes from `FIN_WAIT2` to `CLOSE` either because the peer's FIN came, or because its
//! process let it go. Only in the first case is the FIN among the bytes received, and the kernel's counters do not say
//! which it was; the functions on the way there do.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use super::samples::ReceivingFunctions;

/// They run for what the peer sent, not for its acknowledgement.
const RECEIVING: [&str; 2] = ["tcp_fin", "tcp_data_queue"];
/// No function is longer.
const LONGEST: u64 = 64 << 10;
/// Most symbols that are read.
const MOST_SYMBOLS: usize = 2_000_000;

/// None where the kernel hides its addresses.
pub(super) fn receiving() -> ReceivingFunctions {
    let Ok(file) = File::open("/proc/kallsyms") else {
        return ReceivingFunctions::default();
    };
    let lines = BufReader::with_capacity(256 << 10, file)
        .split(b'\n')
        .map_while(Result::ok);
    ReceivingFunctions(find(lines.take(MOST_SYMBOLS)))
}

/// Lines such as `ffffffff820205d0 T tcp_fin`, mostly rising.
fn find(lines: impl Iterator<Item = Vec<u8>>) -> Vec<std::ops::Range<u64>> {
    let mut found: Vec<std::ops::Range<u64>> = Vec::new();
    let mut open = false;
    for line in lines {
        let Some((address, name)) = symbol(&line) else {
            continue;
        };
        if open
            && let Some(last) = found.last_mut()
            && address > last.start
        {
            last.end = address.min(last.start.saturating_add(LONGEST));
            open = false;
            if found.len() == RECEIVING.len() {
                break;
            }
        }
        if address != 0 && RECEIVING.iter().any(|wanted| wanted.as_bytes() == name) {
            found.push(address..address);
            open = true;
        }
    }
    // One that is missing was made part of the other by the compiler, or this kernel works otherwise.
    found.retain(|function| !function.is_empty());
    found
}

fn symbol(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.split(|byte| *byte == b' ');
    let address = std::str::from_utf8(words.next()?).ok()?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let is_code = words.next()?.eq_ignore_ascii_case(b"t");
    is_code.then_some((address, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<std::ops::Range<u64>> {
        find(text.lines().map(|line| line.as_bytes().to_vec()))
    }

    #[test]
    fn a_function_ends_where_the_next_begins() {
        let text = "10 t tcp_fin.cold\n100 T tcp_fin\n100 d data\n180 T next\n200 t tcp_data_queue\n210 T after\n220 T x";
        assert_eq!(found(text), [0x100..0x180, 0x200..0x210]);
        let long = found("100 T tcp_fin\n100 T alias\nfffff T far");
        assert_eq!(long, [0x100..0x100 + LONGEST, 0..0][..1]);
    }

    #[test]
    fn hidden_addresses_are_no_addresses() {
        assert!(found("0000000000000000 T tcp_fin\n0000000000000000 T tcp_data_queue\n0 T x").is_empty());
        assert!(found("garbage\n\nzz T tcp_fin\n1 T\n").is_empty());
    }
}
