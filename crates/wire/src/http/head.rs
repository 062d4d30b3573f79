//! Lines of a head: request line, status line, field. Lenient: what servers and clients in the wild understand is
//! understood here, too.

use memchr::{memchr, memmem};

use crate::text::{number, trim};

/// Methods that are taken for requests even where no version follows: RFC 9110, WebDAV (RFC 4918, 3253, 5323), and
/// what Microsoft's clients, UPnP and Icecast say.
const METHODS: [&[u8]; 44] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"TRACE",
    b"CONNECT",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"SEARCH",
    b"REPORT",
    b"MERGE",
    b"CHECKOUT",
    b"CHECKIN",
    b"UNCHECKOUT",
    b"MKWORKSPACE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"LABEL",
    b"UPDATE",
    b"ACL",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    b"POLL",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"BMOVE",
    b"BCOPY",
    b"BDELETE",
    b"BPROPFIND",
    b"BPROPPATCH",
    b"CCM_POST",
    b"RPC_CONNECT",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
];

/// Longest method that is believed, in bytes.
pub(super) const LONGEST_METHOD: usize = 32;

/// The first line of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    /// `None` where nothing stood between method and version.
    pub(super) target: Option<&'a [u8]>,
    /// 10, 11, 20; 9 where none was said.
    pub(super) version: u8,
}

/// The first line of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine<'a> {
    pub(super) version: u8,
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
}

/// This is a method's name that is known.
pub(super) fn is_known_method(method: &[u8]) -> bool {
    METHODS.contains(&method)
}

/// Reads a request line: without its end.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let end = memchr(b' ', &line[..line.len().min(LONGEST_METHOD + 1)])?;
    let (method, rest) = (&line[..end], trim(&line[end..]));
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if method.is_empty() || !method.iter().all(is_token) {
        return None;
    }
    let (target, version) = match memmem::rfind(rest, b"HTTP/") {
        Some(0) => (None, version(&rest[5..])),
        Some(at) if rest[at - 1] == b' ' => (Some(trim(&rest[..at])), version(&rest[at + 5..])),
        _ => (Some(rest), None),
    };
    if version.is_none() && !is_known_method(method) {
        return None;
    }
    Some(RequestLine {
        method,
        target: target.filter(|target| !target.is_empty()),
        version: version.unwrap_or(9),
    })
}

/// Reads a status line: without its end. Streaming servers say `ICY` instead of `HTTP/1.0`.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine<'_>> {
    let (version, rest) = if let Some(rest) = line.strip_prefix(b"HTTP/") {
        let end = memchr(b' ', rest)?;
        (version(&rest[..end])?, &rest[end..])
    } else {
        (10, line.strip_prefix(b"ICY")?)
    };
    let rest = trim(rest);
    let end = memchr(b' ', rest).unwrap_or(rest.len());
    let status = number(&rest[..end])?;
    Some(StatusLine {
        version,
        status: u16::try_from(status).ok().filter(|status| *status < 1000)?,
        reason: trim(&rest[end..]),
    })
}

/// `1.1` → 11; `1.` and `1` count as 1.0.
fn version(digits: &[u8]) -> Option<u8> {
    match trim(digits) {
        [major @ b'0'..=b'3'] | [major @ b'0'..=b'3', b'.'] => Some((major - b'0') * 10),
        [major @ b'0'..=b'3', b'.', minor @ b'0'..=b'9', ..] => Some((major - b'0') * 10 + (minor - b'0')),
        _ => None,
    }
}

/// Reads a field: name and value, blanks around both taken off.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((trim(&line[..colon]), trim(&line[colon + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn request(line: &str, expected: Option<(&str, Option<&str>, u8)>) {
        let read = request_line(line.as_bytes());
        let expected = expected.map(|(method, target, version)| RequestLine {
            method: method.as_bytes(),
            target: target.map(str::as_bytes),
            version,
        });
        assert_eq!(read, expected, "{line}");
    }

    #[test]
    fn request_lines() {
        request("GET / HTTP/1.1", Some(("GET", Some("/"), 11)));
        request("GET /a b c HTTP/1.0", Some(("GET", Some("/a b c"), 10)));
        request("GET  /  HTTP/1.1 ", Some(("GET", Some("/"), 11)));
        request("GET /HTTP/1.1", Some(("GET", Some("/HTTP/1.1"), 9)));
        request("OPTIONS HTTP/1.1", Some(("OPTIONS", None, 11)));
        request("CCM_POST / HTTP/1.", Some(("CCM_POST", Some("/"), 10)));
        request("CONNECT h:25 / HTTP/1.0", Some(("CONNECT", Some("h:25 /"), 10)));
        request("FROBNICATE / HTTP/1.1", Some(("FROBNICATE", Some("/"), 11)));
        request("FROBNICATE /", None);
        request("GET/ HTTP/1.1", None);
        request("OPTIONS", None);
        request(" / HTTP/1.1", None);
        request("\u{c3} / HTTP/1.1", None);
        request("", None);
    }

    #[test]
    fn status_lines() {
        let read = |line: &'static str| {
            let line = status_line(line.as_bytes())?;
            Some((line.version, line.status, str::from_utf8(line.reason).unwrap()))
        };
        assert_eq!(read("HTTP/1.1 200 OK"), Some((11, 200, "OK")));
        assert_eq!(read("HTTP/1.0 204"), Some((10, 204, "")));
        assert_eq!(read("HTTP/1.1 404 Not Found"), Some((11, 404, "Not Found")));
        assert_eq!(read("ICY 200 OK"), Some((10, 200, "OK")));
        assert_eq!(read("HTTP/2 200"), Some((20, 200, "")));
        assert_eq!(read("HTTP/1.1 2000 OK"), None);
        assert_eq!(read("HTTP/1.1"), None);
        assert_eq!(read("SSH-2.0-x"), None);
    }

    #[test]
    fn fields() {
        assert_eq!(field(b"Host: a:80"), Some((&b"Host"[..], &b"a:80"[..])));
        assert_eq!(field(b"Host :a "), Some((&b"Host"[..], &b"a"[..])));
        assert_eq!(field(b"Host"), None);
    }
}
