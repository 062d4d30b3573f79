//! HTTP requests and responses.

use atalaya_model::protocol::{Http, Http2Settings};

use super::names;
use crate::json::{self, Object};

pub(super) fn http(line: &mut Object<'_>, http: &Http) {
    line.object("http", |it| {
        if http.version == 20 {
            it.word("version", "2");
        }
        if let Some(host) = &http.host {
            let (name, port) = split(host);
            it.text("hostname", name);
            it.some_number("http_port", port);
        }
        it.some_text("url", http.path.as_deref());
        it.some_text("http_user_agent", http.user_agent.as_deref());
        let media = http.response_type.as_deref();
        // The type alone, without its parameters.
        let media = media.map(|media| media.split(';').next().unwrap_or_default().trim());
        it.some_text("http_content_type", media);
        it.some_text("http_refer", http.referrer.as_deref());
        it.some_text("http_method", http.method.as_deref());
        let protocol = match http.version {
            9 => Some("HTTP/0.9"),
            10 => Some("HTTP/1.0"),
            11 => Some("HTTP/1.1"),
            _ => None,
        };
        it.some_text("protocol", protocol);
        it.some_number("status", http.status);
        if http.version != 20 {
            it.number("length", http.response_bytes);
        }
        if http.version == 20 || http.stream.is_some() {
            it.object("http2", |it| {
                it.some_number("stream_id", http.stream);
                it.object("request", |_| {});
                it.object("response", |_| {});
            });
        }
    });
}

/// The settings with which a side of HTTP/2 began, in the stream of the connection itself.
pub(super) fn settings(line: &mut Object<'_>, settings: &Http2Settings) {
    let list = |it: &mut Object<'_>| {
        it.list("settings", &*settings.settings, |out, (number, value)| {
            json::object(out, |it| {
                match names::setting(*number) {
                    Some(name) => it.word("settings_id", name),
                    None => it.word("settings_id", &number.to_string()),
                }
                it.number("settings_value", *value);
            });
        });
    };
    line.object("http", |it| {
        it.word("version", "2");
        it.object("http2", |it| {
            it.number("stream_id", 0u8);
            it.object("request", |it| {
                if settings.by_client {
                    list(it);
                }
            });
            it.object("response", |it| {
                if !settings.by_client {
                    list(it);
                }
            });
        });
    });
}

/// A host and the port after it; a bracketed address keeps its brackets.
fn split(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}
