//! What the programs in the kernel write: one answer of the resolver. Its name is whatever the program asked for, and
//! so may be anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use atalaya_model::connection::NameSource;
use atalaya_model::observation::Resolution;
use atalaya_model::{ProcessKey, Text, Time};

/// Most addresses in one record.
const ADDRESSES: usize = 16;
/// Bytes of one address: the beginning of a `sockaddr_in` or `sockaddr_in6`.
const ADDRESS: usize = 24;
const LIST: usize = 24;
const NAME: usize = LIST + ADDRESSES * ADDRESS;
/// Bytes of the name, with the zero that ends it.
const LONGEST: usize = 256;
/// Most bytes of a name that is passed on.
const MOST: usize = 255;
/// A clock tick of `/proc`, in nanoseconds.
const TICK: u64 = 10_000_000;

/// The answer that a record of the ring tells; `None` where it tells no name of a host.
pub(super) fn resolution(bytes: &[u8], clock: &dyn Fn(u64) -> Time) -> Option<Resolution> {
    let number = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let half = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let name = bytes.get(NAME..NAME + LONGEST)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let name = plain(name).filter(|name| !is_address(name))?;
    let list = bytes.get(LIST..NAME)?.chunks_exact(ADDRESS);
    let mut addresses = Vec::new();
    for address in list.take(half(20)? as usize).filter_map(address) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    (!addresses.is_empty()).then_some(Resolution {
        time: clock(number(0)?),
        process: ProcessKey {
            pid: half(16)?,
            start: number(8)? / TICK,
        },
        name,
        addresses,
        source: NameSource::Resolver,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let address = match i32::from(family) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(address.to_canonical())
}

/// A name in lower case, without its final dot. Letters and digits of any script stay, and what else ASCII can show;
/// all other bytes are escaped, so that no name moves a cursor or writes backwards.
fn plain(bytes: &[u8]) -> Option<Text> {
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let mut name = String::new();
    let mut add = |part: &str| {
        let fits = name.len() + part.len() <= MOST;
        if fits {
            name.push_str(part);
        }
        fits
    };
    'name: for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let lower = letter.to_lowercase().collect::<String>();
            let shown = letter.is_alphanumeric() || letter.is_ascii_graphic() && letter != '\\';
            if !add(&if shown {
                lower
            } else {
                letter.escape_default().to_string()
            }) {
                break 'name;
            }
        }
        if !add(&chunk.invalid().escape_ascii().to_string()) {
            break;
        }
    }
    (!name.is_empty()).then(|| Text::from(name))
}

/// Is the name an address already, in any form that the resolver takes (`127.1`, `0x7f000001`, `fe80::1%eth0`)?
fn is_address(name: &str) -> bool {
    let address = name.split_once('%').map_or(name, |(address, _)| address);
    let is_number = |part: &str| {
        let (digits, is_digit): (&str, fn(&u8) -> bool) = match part.strip_prefix("0x") {
            Some(digits) => (digits, u8::is_ascii_hexdigit),
            None => (part, u8::is_ascii_digit),
        };
        !digits.is_empty() && digits.bytes().all(|byte| is_digit(&byte))
    };
    address.parse::<IpAddr>().is_ok() || address.split('.').count() <= 4 && address.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(name: &[u8], addresses: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(5_000u64.to_ne_bytes());
        bytes.extend(1_239_999_999u64.to_ne_bytes());
        bytes.extend(77u32.to_ne_bytes());
        bytes.extend((addresses.len() as u32).to_ne_bytes());
        for (family, address) in addresses {
            let begin = bytes.len();
            bytes.extend(family.to_ne_bytes());
            bytes.resize(begin + if address.len() == 16 { 8 } else { 4 }, 0);
            bytes.extend(*address);
            bytes.resize(begin + ADDRESS, 0);
        }
        bytes.resize(NAME, 0);
        bytes.extend(name);
        bytes.resize(NAME + LONGEST, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Resolution> {
        resolution(bytes, &|nanos| Time(nanos as i64 / 1_000))
    }

    #[test]
    fn an_answer_with_both_families() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
        let six = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let bytes = record(
            b"WWW.Example.COM.",
            &[
                (2, &[192, 0, 2, 1]),
                (10, &mapped),
                (10, &six.octets()),
                (1, b"x"),
            ],
        );
        let answer = read(&bytes).unwrap();
        assert_eq!(&*answer.name, "www.example.com");
        assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1]), six.into()]);
        assert_eq!(answer.process, ProcessKey { pid: 77, start: 123 });
        assert_eq!(answer.time, Time(5));
    }

    #[test]
    fn what_is_no_name_is_left_out() {
        let tells = |name: &[u8]| read(&record(name, &[(2, &[127, 0, 0, 1])])).is_some();
        for name in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "::1",
            "fe80::1%lo",
            "",
            ".",
        ] {
            assert!(!tells(name.as_bytes()), "{name}");
        }
        for name in ["localhost", "1.2.3.4.example", "0xg", "4chan.example", "a.1.2"] {
            assert!(tells(name.as_bytes()), "{name}");
        }
        assert_eq!(read(&record(b"localhost", &[])), None);
    }

    #[test]
    fn hostile_names_are_escaped() {
        let name = |bytes: &[u8]| read(&record(bytes, &[(2, &[1, 2, 3, 4])])).unwrap().name;
        assert_eq!(&*name(b"a\x1b[2Jb"), r"a\u{1b}[2jb");
        assert_eq!(&*name(b"\xff\nc\\"), r"\xff\nc\\");
        assert_eq!(&*name("BÜCHER.example".as_bytes()), "bücher.example");
        assert_eq!(&*name("a\u{202e}b".as_bytes()), r"a\u{202e}b");
        assert_eq!(name(&[b'a'; 255]).len(), 255);
        assert!(name(&[0xff; 255]).len() <= MOST);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..900)) {
            if let Some(answer) = read(&bytes) {
                prop_assert!(answer.name.len() <= MOST && answer.addresses.len() <= ADDRESSES);
                prop_assert!(!answer.name.chars().any(char::is_control));
            }
        }
    }
}
