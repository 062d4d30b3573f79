//! `http`: requests and responses.

use std::borrow::Cow;
use std::fmt::Write;

use atalaya_model::protocol::Http;

use crate::json::Object;

pub(super) fn columns(it: &mut Object<'_>, http: &Http) {
    it.number("trans_depth", http.depth);
    it.some_text("method", http.method.as_deref());
    it.some_text("host", http.host.as_deref());
    // A request line that names nothing has an empty one.
    let names_nothing = http.method.is_some() && http.version < 20;
    let path = http.path.as_deref().map(unescaped);
    it.some_text("uri", path.as_deref().or_else(|| names_nothing.then_some("")));
    it.some_text("referrer", http.referrer.as_deref());
    // Whatever answered says the version, as in Zeek.
    let version = match http.response_version.unwrap_or(http.version) {
        9 => "0.9",
        10 => "1.0",
        11 => "1.1",
        20 => "2",
        _ => "3",
    };
    it.word("version", version);
    it.some_text("user_agent", http.user_agent.as_deref());
    it.some_text("origin", http.origin.as_deref());
    it.number("request_body_len", http.request_bytes);
    it.number(
        "response_body_len",
        http.response_decoded.unwrap_or(http.response_bytes),
    );
    // The answers of HTTP/0.9 have no status: Zeek writes 0.
    let status = http
        .status
        .or_else(|| (http.version == 9 && http.response_bytes > 0).then_some(0));
    it.some_number("status_code", status);
    let reason = http.reason.as_deref().filter(|reason| !reason.is_empty());
    // HTTP/2 has no such words at all; where HTTP/1 leaves them out, Zeek says so.
    let reason = reason.or_else(|| (status.is_some() && http.version < 20).then_some("<empty>"));
    it.some_text("status_msg", reason);
    if let Some((code, words)) = &http.interim {
        it.number("info_code", *code);
        it.text("info_msg", words);
    }
    it.some_text("username", http.user.as_deref());
    it.texts("proxied", http.proxied.iter().map(|head| &**head));
    it.texts("orig_mime_types", http.request_mime.as_deref());
    it.texts("resp_mime_types", http.response_mime.as_deref());
}

/// An address with its `%` escapes taken back, as Zeek writes it; bytes that are no text as `\xNN`.
fn unescaped(address: &str) -> Cow<'_, str> {
    if !address.contains('%') {
        return Cow::Borrowed(address);
    }
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.first_chunk().filter(|_| *first == b'%');
        let byte = digits.and_then(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        bytes.push(byte.unwrap_or(*first));
        rest = after
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            write!(text, "\\x{byte:02x}").unwrap_or_default();
        }
    }
    Cow::Owned(text)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_back() {
        for (address, text) in [
            ("/a", "/a"),
            ("/a%20b%2Fc?d=%41", "/a b/c?d=A"),
            ("/%c3%bc%FC", "/\u{fc}\\xfc"),
            ("/%%%4", "/%%%4"),
            ("/100%zz%", "/100%zz%"),
        ] {
            assert_eq!(unescaped(address), text);
        }
    }
}
