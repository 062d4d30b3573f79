//! Secrets inside a text, wherever they stand: credentials in URLs, headers, parameters, JSON, well-known tokens.

use super::{REDACTED, names};

/// How far a credential in a URL may reach, in bytes.
const MAX_CREDENTIALS: usize = 512;
/// Headers whose whole value is secret.
const HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
/// Authorization schemes.
const SCHEMES: [&str; 9] = [
    "bearer",
    "basic",
    "digest",
    "token",
    "negotiate",
    "ntlm",
    "apikey",
    "aws4-hmac-sha256",
    "hawk",
];
/// Values that are none.
const HARMLESS: [&str; 10] = [
    "true", "false", "yes", "no", "on", "off", "none", "null", "prompt", "ask",
];

/// A token that is known by how it begins.
struct Shape {
    prefix: &'static str,
    /// Fewest bytes that must follow.
    least: usize,
    /// The prefix stays.
    keep: bool,
}

const fn shape(prefix: &'static str, least: usize, keep: bool) -> Shape {
    Shape { prefix, least, keep }
}

const SHAPES: &[Shape] = &[
    shape("AKIA", 16, false),
    shape("ASIA", 16, false),
    shape("AIza", 30, false),
    shape("ghp_", 20, false),
    shape("gho_", 20, false),
    shape("ghs_", 20, false),
    shape("ghu_", 20, false),
    shape("ghr_", 20, false),
    shape("github_pat_", 20, false),
    shape("glpat-", 16, false),
    shape("xoxb-", 10, false),
    shape("xoxp-", 10, false),
    shape("xoxa-", 10, false),
    shape("xoxs-", 10, false),
    shape("xoxr-", 10, false),
    shape("sk-", 20, false),
    shape("sk_live_", 10, false),
    shape("rk_live_", 10, false),
    shape("hf_", 20, false),
    shape("npm_", 30, false),
    shape("hvs.", 20, false),
    shape("eyJ", 20, false),
    shape("hooks.slack.com/services/", 10, true),
    shape("discord.com/api/webhooks/", 10, true),
];

/// The text with its secrets replaced. Reads each byte a bounded number of times.
pub(super) fn scan(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut redacted = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        let found = match bytes[at] {
            b':' => credentials(text, at).or_else(|| header(text, at)),
            b'=' => assignment(text, at),
            b'-' => private_key(text, at),
            byte if byte.is_ascii_alphabetic() && (at == 0 || !is_word(bytes[at - 1])) => {
                token(text, at).or_else(|| bearer(text, at))
            }
            _ => None,
        };
        at += 1;
        if let Some((start, end)) = found
            && copied <= start
            && start < end
            && !is_harmless(&text[start..end])
        {
            redacted.push_str(&text[copied..start]);
            redacted.push_str(REDACTED);
            (copied, at) = (end, end);
        }
    }
    redacted.push_str(&text[copied..]);
    redacted
}

/// Is this no secret: nothing, a switch's value, a variable that the shell did not replace, or redacted already?
pub(super) fn is_harmless(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'']);
    let variable = value.strip_prefix('$').is_some_and(|name| {
        let name = name.trim_start_matches('{').trim_end_matches('}');
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    value.is_empty()
        || value == REDACTED
        || variable
        || value.starts_with("id=")
        || HARMLESS
            .iter()
            .any(|harmless| harmless.eq_ignore_ascii_case(value))
}

/// Is this the first word of an `Authorization`?
pub(super) fn is_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word))
}

/// Does the argument end where the value of an `Authorization` header begins?
pub(super) fn ends_in_authorization(argument: &str) -> bool {
    const END: &str = "authorization:";
    argument
        .len()
        .checked_sub(END.len())
        .and_then(|start| argument.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(END))
}

type Range = Option<(usize, usize)>;

/// `scheme://user:SECRET@host`, `https://LONG-TOKEN@host`.
fn credentials(text: &str, at: usize) -> Range {
    let start = at + 3;
    if !text[at..].starts_with("://") {
        return None;
    }
    let limit = text.floor_char_boundary(start + MAX_CREDENTIALS);
    let rest = &text[start..limit];
    let word = &rest[..rest
        .find(|c: char| c.is_whitespace() || "\"'<>`".contains(c))
        .unwrap_or(rest.len())];
    let mut authority = &word[..word.find(['/', '?', '#']).unwrap_or(word.len())];
    if !authority.contains('@')
        && let Some((_, port)) = authority.split_once(':')
        && !authority.starts_with('[')
        && !port.bytes().all(|byte| byte.is_ascii_digit())
    {
        authority = word; // a password with a slash in it
    }
    let end = authority.rfind('@')?;
    match authority[..end].find(':') {
        Some(colon) => Some((start + colon + 1, start + end)),
        None => (end >= 20).then_some((start, start + end)),
    }
}

/// `Authorization: Bearer SECRET`, `X-Api-Key: SECRET`, `"password": "SECRET"`.
fn header(text: &str, at: usize) -> Range {
    let bytes = text.as_bytes();
    let mut end = at;
    let quoted = end > 0 && matches!(bytes[end - 1], b'"' | b'\'');
    if quoted {
        end -= 1;
        if end > 0 && bytes[end - 1] == b'\\' {
            end -= 1;
        }
    }
    let start = name_start(bytes, end);
    let name = &text[start..end];
    let whole = HEADERS.iter().any(|header| header.eq_ignore_ascii_case(name))
        || (name.len() > 2 && name[..2].eq_ignore_ascii_case("x-") && names::is_secret(name));
    let spaced = bytes.get(at + 1) == Some(&b' ');
    if !whole && !((quoted || spaced) && names::is_secret(name)) {
        return None;
    }
    let value = at + 1 + text[at + 1..].bytes().take_while(u8::is_ascii_whitespace).count();
    if let Some(range) = quoted_value(text, value) {
        return Some(range);
    }
    if !whole {
        return Some((value, value_end(text, value)));
    }
    let open = start.checked_sub(1).map(|before| bytes[before]);
    let open = open.filter(|byte| matches!(byte, b'"' | b'\''));
    let ends = |byte: u8| byte == b'\n' || byte == b'\r' || Some(byte) == open;
    let length = bytes[value..].iter().position(|byte| ends(*byte));
    let end = length.map_or(text.len(), |length| value + length);
    let first = text[value..end].split(' ').next().unwrap_or_default();
    if is_scheme(first) && value + first.len() < end {
        return Some((value + first.len() + 1, end));
    }
    Some((value, end))
}

/// `name=SECRET` in a query, a connection string, a list of mount options, a piece of shell.
fn assignment(text: &str, at: usize) -> Range {
    let bytes = text.as_bytes();
    let start = name_start(bytes, at);
    let name = &text[start..at];
    let query = start > 0 && matches!(bytes[start - 1], b'?' | b'&');
    if name.is_empty() || !(names::is_secret(name) || (query && names::is_secret_parameter(name))) {
        return None;
    }
    quoted_value(text, at + 1).or_else(|| Some((at + 1, value_end(text, at + 1))))
}

/// `-----BEGIN … PRIVATE KEY-----` to its end.
fn private_key(text: &str, at: usize) -> Range {
    if !text[at..].starts_with("-----BEGIN ") {
        return None;
    }
    let head = &text[at..text.floor_char_boundary(at + 80)];
    head.find("PRIVATE KEY")?;
    let end = text[at..].find("-----END ").and_then(|last| {
        let last = at + last + "-----END ".len();
        text[last..].find("-----").map(|dashes| last + dashes + 5)
    });
    Some((at, end.unwrap_or(text.len())))
}

/// A token that is known by its shape.
fn token(text: &str, at: usize) -> Range {
    let rest = &text[at..];
    let shape = SHAPES.iter().find(|shape| rest.starts_with(shape.prefix))?;
    let path = |byte: &u8| is_word(*byte) || matches!(byte, b'-' | b'.') || (shape.keep && *byte == b'/');
    let length = rest[shape.prefix.len()..].bytes().take_while(path).count();
    let start = if shape.keep { at + shape.prefix.len() } else { at };
    (length >= shape.least).then_some((start, at + shape.prefix.len() + length))
}

/// `Bearer SECRET`.
fn bearer(text: &str, at: usize) -> Range {
    const WORD: &str = "bearer ";
    let word = text.get(at..at + WORD.len())?;
    if !word.eq_ignore_ascii_case(WORD) {
        return None;
    }
    let start = at + WORD.len();
    let end = value_end(text, start);
    (end - start >= 8).then_some((start, end))
}

/// Where the name that ends at `end` begins.
fn name_start(bytes: &[u8], end: usize) -> usize {
    let length = bytes[..end]
        .iter()
        .rev()
        .take_while(|byte| names::is_name_byte(**byte))
        .count();
    end - length
}

/// What stands between quotes (or escaped quotes) at `at`; to the end of the text where they are not closed.
fn quoted_value(text: &str, at: usize) -> Range {
    let rest = &text[at..];
    for quote in ["\\\"", "\\'", "\"", "'"] {
        if let Some(inner) = rest.strip_prefix(quote) {
            let start = at + quote.len();
            return Some((start, start + closing(inner, quote)));
        }
    }
    None
}

/// Where the closing quote stands. A plain quote may be escaped inside.
fn closing(inner: &str, quote: &str) -> usize {
    let mut from = 0;
    while let Some(found) = inner[from..].find(quote) {
        let found = from + found;
        if quote.len() > 1 || !inner[..found].ends_with('\\') {
            return found;
        }
        from = found + quote.len();
    }
    inner.len()
}

/// Where an unquoted value ends: at a space, a quote, `&`, `;`, or a comma before the next `name=`.
fn value_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b' ' | b'\t' | b'\n' | b'\r' | b'&' | b';' | b'"' | b'\'' => true,
        b',' => {
            let name = bytes[at + 1..]
                .iter()
                .take(64)
                .take_while(|byte| names::is_name_byte(**byte))
                .count();
            name > 0 && matches!(bytes.get(at + 1 + name), Some(b'=' | b':'))
        }
        _ => false,
    };
    (start..bytes.len()).find(|at| ends(*at)).unwrap_or(bytes.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
