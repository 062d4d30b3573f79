//! Where functions begin in a library. Total on any input: every read is checked.
//!
//! Layout from `elf.h`, 64 bits, the byte order of this host.

/// A table of the symbols that others may use.
const DYNAMIC_SYMBOLS: u32 = 11;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// Most symbols looked at; a libc has some three thousand.
const MOST: usize = 100_000;

/// A section: its kind, its address when loaded, its place in the file, its length, and the section it refers to.
#[derive(Clone, Copy)]
struct Section {
    kind: u32,
    address: u64,
    place: u64,
    length: u64,
    other: u32,
}

/// The place in the file of each of these functions that the library has.
pub(super) fn places<const N: usize>(library: &[u8], functions: [&str; N]) -> [Option<u64>; N] {
    let mut places = [None; N];
    let count = usize::from(half(library, 60).unwrap_or(0));
    let sections = (0..count).filter_map(|number| section(library, number));
    for symbols in sections.filter(|section| section.kind == DYNAMIC_SYMBOLS) {
        let Some(names) = section(library, symbols.other as usize).and_then(|names| content(library, names))
        else {
            continue;
        };
        let table = content(library, symbols).unwrap_or_default();
        for symbol in table.chunks_exact(SYMBOL).take(MOST) {
            let Some(name) = word(symbol, 0).and_then(|at| names.get(at as usize..)) else {
                continue;
            };
            for (function, place) in functions.iter().zip(&mut places) {
                let is = name.get(function.len()) == Some(&0) && name.starts_with(function.as_bytes());
                if is && place.is_none() {
                    *place = place_of(library, symbol);
                }
            }
        }
    }
    places
}

/// The place in the file of what a symbol names; one that is only wanted here has none.
fn place_of(library: &[u8], symbol: &[u8]) -> Option<u64> {
    let number = half(symbol, 6).filter(|number| *number != 0)?;
    let within = section(library, number.into())?;
    let offset = long(symbol, 8)?.checked_sub(within.address)?;
    (offset < within.length).then(|| within.place.checked_add(offset))?
}

fn section(library: &[u8], number: usize) -> Option<Section> {
    let table = usize::try_from(long(library, 40)?).ok()?;
    let at = table.checked_add(number.checked_mul(SECTION)?)?;
    Some(Section {
        kind: word(library, at + 4)?,
        address: long(library, at + 16)?,
        place: long(library, at + 24)?,
        length: long(library, at + 32)?,
        other: word(library, at + 40)?,
    })
}

fn content(library: &[u8], section: Section) -> Option<&[u8]> {
    let begin = usize::try_from(section.place).ok()?;
    let end = begin.checked_add(usize::try_from(section.length).ok()?)?;
    library.get(begin..end)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn functions_of_the_libc_at_hand() {
        for path in super::super::libraries::found() {
            let library = std::fs::read(path).unwrap();
            let [first, none, second] = places(&library, ["getaddrinfo", "getaddrinf", "freeaddrinfo"]);
            assert_ne!(first, second);
            assert!(first.is_some_and(|place| (place as usize) < library.len()));
            assert!(second.is_some() && none.is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(
            mut bytes in proptest::collection::vec(any::<u8>(), 64..600),
            table in 0u64..600,
            count in 0u16..9,
        ) {
            bytes[40..48].copy_from_slice(&table.to_ne_bytes());
            bytes[60..62].copy_from_slice(&count.to_ne_bytes());
            let _ = places(&bytes, ["a", ""]);
        }
    }
}
