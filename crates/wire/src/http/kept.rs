//! What of a target, a referrer or an authorization may be kept.

use memchr::{memchr, memchr2, memmem};

use crate::text::text;

/// Longest target and referrer, in bytes.
const LONGEST: usize = 2_048;

/// A target or an address of the web without user and password, and, unless `query_strings`, without query string and
/// session number; and whether one of these was left out.
pub(super) fn address(bytes: &[u8], query_strings: bool) -> (Box<str>, bool) {
    let (kept, left_out) = if query_strings {
        (bytes, false)
    } else {
        // Browsers send no fragment; who does may have put a token there.
        let end = memchr2(b'?', b'#', bytes).unwrap_or(bytes.len());
        let end = session(&bytes[..end]).unwrap_or(end);
        (&bytes[..end], end < bytes.len())
    };
    match userinfo(kept) {
        None => (text(kept, LONGEST), left_out),
        Some((start, end)) => (text(&[&kept[..start], &kept[end..]].concat(), LONGEST), left_out),
    }
}

/// Where `;jsessionid=` begins: servlets put the session's number into the path for clients without cookies.
fn session(path: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b";jsessionid=";
    let first = memchr(b';', path)?;
    let rest = &path[first..];
    let at = rest
        .windows(NAME.len())
        .position(|window| window.eq_ignore_ascii_case(NAME))?;
    Some(first + at)
}

/// The place of `user:password@` in an address: begin and end.
fn userinfo(address: &[u8]) -> Option<(usize, usize)> {
    memchr(b'@', address)?;
    let start = match memmem::find(address, b"://") {
        Some(colon) => colon + 3,
        None if address.starts_with(b"/") => return None,
        None => 0,
    };
    let authority = &address[start..];
    let end = authority
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(authority.len());
    let at = authority[..end].iter().rposition(|byte| *byte == b'@')?;
    Some((start, start + at + 1))
}

/// An authority without user and password.
pub(super) fn host(authority: &[u8]) -> &[u8] {
    let start = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    &authority[start..]
}

/// The user of a basic authorization (RFC 7617); the password is not even decoded further than needed to find its
/// begin.
pub(super) fn basic_user(value: &[u8]) -> Option<Box<str>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut user = Vec::with_capacity(24);
    for quad in rest.trim_ascii().chunks(4).take(64) {
        let mut bits = 0_u32;
        for (place, byte) in quad.iter().enumerate() {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b'=' => 0,
                _ => return None,
            };
            bits |= u32::from(value) << (18 - 6 * place);
        }
        for byte in &bits.to_be_bytes()[1..quad.len().max(1)] {
            if *byte == b':' {
                return Some(text(&user, 255));
            }
            user.push(*byte);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn kept(address_: &str, without: &str, with: &str) {
        let (kept, left_out) = address(address_.as_bytes(), false);
        assert_eq!(&*kept, without);
        assert_eq!(left_out, without.len() < with.len(), "{address_}");
        assert_eq!(&*address(address_.as_bytes(), true).0, with);
    }

    #[test]
    fn secrets_are_left_out() {
        kept("/a?b=c", "/a", "/a?b=c");
        kept("/a@b", "/a@b", "/a@b");
        kept("http://u:p@h/a?m=x@y", "http://h/a", "http://h/a?m=x@y");
        kept("http://h/a@b", "http://h/a@b", "http://h/a@b");
        kept("u:p@h:443", "h:443", "h:443");
        kept("/a;JSESSIONID=77?x", "/a", "/a;JSESSIONID=77?x");
        kept("/a;b=1", "/a;b=1", "/a;b=1");
        kept("/a#token=b", "/a", "/a#token=b");
        assert_eq!(host(b"u:p@h:443"), b"h:443");
        assert_eq!(host(b"h"), b"h");
    }

    #[test]
    fn users_without_passwords() {
        let user = |value: &str| basic_user(value.as_bytes()).map(String::from);
        assert_eq!(user("Basic dXNlcjpwYXNz").as_deref(), Some("user"));
        assert_eq!(user("basic dXNlcjo=").as_deref(), Some("user"));
        assert_eq!(user("Basic OnBhc3M=").as_deref(), Some(""));
        assert_eq!(user("Basic dXNlcg=="), None);
        assert_eq!(user("Basic !!!!"), None);
        assert_eq!(user("Bearer dXNlcjpwYXNz"), None);
        assert_eq!(user("Basic"), None);
    }
}
