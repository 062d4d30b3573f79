//! What of a target, a referrer or an authorization may be kept.

use std::borrow::Cow;

use atalaya_model::Text;
use memchr::{memchr, memchr_iter, memchr2, memmem};

use crate::text::{text, text_as};

/// Longest target and referrer, in bytes.
const LONGEST: usize = 2_048;

/// A target or an address of the web without user and password, and, unless `query_strings`, without query string and
/// session number; and whether one of these was left out.
pub(super) fn address(bytes: &[u8], query_strings: bool) -> (Text, bool) {
    let (kept, left_out) = if query_strings {
        (bytes, false)
    } else {
        // Browsers send no fragment; who does may have put a token there.
        let end = memchr2(b'?', b'#', bytes).unwrap_or(bytes.len());
        let end = session(&bytes[..end]).unwrap_or(end);
        (&bytes[..end], end < bytes.len())
    };
    (text_as(&without_userinfo(kept), LONGEST), left_out)
}

/// Names of parameters that hold a session's number or a password.
const SECRETS: [&[u8]; 12] = [
    b"jsessionid",
    b"sessionid",
    b"session",
    b"sid",
    b"password",
    b"passwd",
    b"pass",
    b"pwd",
    b"token",
    b"access_token",
    b"auth",
    b"key",
];

/// Where the first parameter with a secret begins, with its `;`: servlets put the session's number into the path for
/// clients without cookies.
fn session(path: &[u8]) -> Option<usize> {
    memchr_iter(b';', path).find(|&at| {
        let rest = &path[at + 1..];
        let name = memchr(b'=', rest).map(|end| &rest[..end]);
        name.is_some_and(|name| {
            SECRETS
                .iter()
                .any(|secret| name.trim_ascii().eq_ignore_ascii_case(secret))
        })
    })
}

/// An address without what stands before `@` in its authority, also where it holds another address.
pub(crate) fn without_userinfo(address: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'@', address).is_none() {
        return Cow::Borrowed(address);
    }
    let mut kept = Vec::with_capacity(address.len());
    let mut rest = address;
    // An authority comes after `://`, at the begin of `//host/path`, or is all there is: `host:port`.
    match address {
        [b'/', b'/', after @ ..] => {
            kept.extend_from_slice(b"//");
            rest = authority(after, &mut kept);
        }
        [b'/', ..] => {}
        _ if memmem::find(address, b"://").is_none() => rest = authority(address, &mut kept),
        _ => {}
    }
    while let Some(colon) = memmem::find(rest, b"://") {
        let (before, after) = rest.split_at(colon + 3);
        kept.extend_from_slice(before);
        rest = authority(after, &mut kept);
    }
    kept.extend_from_slice(rest);
    Cow::Owned(kept)
}

/// Keeps the authority at the begin without user and password, and hands back what follows it.
fn authority<'a>(address: &'a [u8], kept: &mut Vec<u8>) -> &'a [u8] {
    let end = address
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(address.len());
    let (authority, rest) = address.split_at(end);
    kept.extend_from_slice(host(authority));
    rest
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
        kept("/a;b=1;Password=x", "/a;b=1", "/a;b=1;Password=x");
        kept("/a; jsessionid =x", "/a", "/a; jsessionid =x");
        kept("//u:p@h/a", "//h/a", "//h/a");
        kept("/to/http://u:p@h/a", "/to/http://h/a", "/to/http://h/a");
        kept("http://g/http://u:p@h", "http://g/http://h", "http://g/http://h");
        kept("ftp://u:p@q@h/a@b", "ftp://h/a@b", "ftp://h/a@b");
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
