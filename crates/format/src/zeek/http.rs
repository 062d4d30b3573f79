//! `http`: requests and responses.

use atalaya_model::protocol::Http;

use crate::json::Object;

pub(super) fn columns(it: &mut Object<'_>, http: &Http) {
    it.number("trans_depth", http.depth);
    it.some_text("method", http.method.as_deref());
    it.some_text("host", http.host.as_deref());
    // A request line that names nothing has an empty one.
    let names_nothing = http.method.is_some() && http.version < 20;
    let path = http.path.as_deref();
    it.some_text("uri", path.or_else(|| names_nothing.then_some("")));
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
