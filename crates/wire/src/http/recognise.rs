//! Which protocol begins so.

use memchr::{memchr, memrchr};

use super::head::{LONGEST_METHOD, is_known_method, request_line};
use super::two::PREFACE;
use crate::analyser::{Guess, Opening};

/// HTTP/2 whose client knew before that the server speaks it.
pub(super) fn http2(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    if data.starts_with(PREFACE) {
        Guess::Yes
    } else if !data.is_empty() && PREFACE.starts_with(data) {
        Guess::Maybe
    } else {
        Guess::No
    }
}

/// HTTP/1 requests and responses.
pub(super) fn http(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    if data.starts_with(b"HTTP/1.") || data.starts_with(b"ICY 200") {
        return Guess::Yes;
    }
    if !data.is_empty() && (b"HTTP/1.".starts_with(data) || b"ICY 200".starts_with(data)) {
        return Guess::Maybe;
    }
    if data.starts_with(b"PRI ") {
        return Guess::No;
    }
    let Some(space) = memchr(b' ', &data[..data.len().min(LONGEST_METHOD + 1)]) else {
        let is_begun = data.len() <= LONGEST_METHOD
            && data.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
        return if is_begun { Guess::Maybe } else { Guess::No };
    };
    let target = &data[space + 1..];
    if is_known_method(&data[..space]) && (target.starts_with(b"/") || target.starts_with(b"http")) {
        return Guess::Yes;
    }
    match memchr(b'\n', data) {
        Some(end) => {
            let line = &data[..end];
            let is_versioned =
                memrchr(b' ', line.trim_ascii_end()).is_some_and(|at| line[at + 1..].starts_with(b"HTTP/"));
            match request_line(line) {
                Some(_) if is_versioned => Guess::Yes,
                _ => Guess::No,
            }
        }
        None if data[..space]
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')) =>
        {
            Guess::Maybe
        }
        None => Guess::No,
    }
}
