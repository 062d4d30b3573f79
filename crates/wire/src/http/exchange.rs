//! A request and its response while they are read.

use atalaya_model::protocol::{Dns, Http};
use atalaya_model::{Message, Text, Time};

use super::head::{RequestLine, StatusLine};
use super::{kept, names};
use crate::analyser::Said;
use crate::shared::shared_text;
use crate::text::{text, text_as};

/// One transaction.
pub(super) struct Exchange {
    pub(super) time: Time,
    pub(super) http: Box<Http>,
    pub(super) method: Method,
    /// Its request was read to its end.
    pub(super) is_asked: bool,
    /// Its response has begun.
    pub(super) is_answering: bool,
    /// Its response was read to its end.
    pub(super) is_answered: bool,
    /// It asks for a name.
    names: Option<Box<Dns>>,
}

/// Methods that change how a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

impl Exchange {
    /// A response without request.
    pub(super) fn unasked(time: Time, depth: u32) -> Self {
        Self {
            time,
            http: Box::new(Http {
                depth,
                ..Http::default()
            }),
            method: Method::Other,
            is_asked: true,
            is_answering: false,
            is_answered: false,
            names: None,
        }
    }

    /// A request.
    pub(super) fn new(time: Time, depth: u32, line: &RequestLine<'_>, query_strings: bool) -> Self {
        let path = line.target.map(|target| kept::address(target, query_strings));
        let (path, query_left_out) = path.map_or((None, false), |(path, left_out)| (Some(path), left_out));
        Self {
            time,
            http: Box::new(Http {
                version: line.version,
                depth,
                method: Some(shared_text(line.method, 32)),
                path,
                query_left_out,
                ..Http::default()
            }),
            method: match line.method {
                b"HEAD" => Method::Head,
                b"CONNECT" => Method::Connect,
                _ => Method::Other,
            },
            is_asked: false,
            is_answering: false,
            is_answered: false,
            names: line.target.and_then(|target| names::asked(target, time)),
        }
    }

    /// Its response's first line.
    pub(super) fn answer(&mut self, line: &StatusLine<'_>) {
        let http = &mut *self.http;
        http.response_version = Some(line.version);
        if http.version == 0 {
            http.version = line.version;
        }
        if (100..200).contains(&line.status) && line.status != 101 {
            http.interim = Some((line.status, text(line.reason, 128)));
            return;
        }
        self.is_answering = true;
        http.status = Some(line.status);
        http.reason = Some(line.reason)
            .filter(|reason| !reason.is_empty())
            .map(|reason| shared_text(reason, 128));
    }

    /// A field of the request.
    pub(super) fn request_field(&mut self, name: &[u8], value: &[u8], query_strings: bool) {
        let http = &mut *self.http;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") && http.host.is_none() && !kept::host(value).is_empty() => {
                http.host = Some(text_as(kept::host(value), 255));
            }
            6 if is(b"origin") && http.origin.is_none() => {
                let origin = kept::address(value, false).0;
                http.origin = (!origin.is_empty()).then(|| text(origin.as_bytes(), 255));
            }
            7 if is(b"referer") && http.referrer.is_none() => {
                let (referrer, left_out) = kept::address(value, query_strings);
                http.referrer = Some(referrer);
                http.query_left_out |= left_out;
            }
            10 if is(b"user-agent") => keep(&mut http.user_agent, value, 512),
            12 if is(b"content-type") => keep(&mut http.request_type, media_type(value), 255),
            13 if is(b"authorization") => http.user = kept::basic_user(value).or(http.user.take()),
            19 if is(b"proxy-authorization") => {
                http.user = http.user.take().or_else(|| kept::basic_user(value))
            }
            3 | 9 | 15 | 16 if PROXY_FIELDS.iter().any(|known| is(known.as_bytes())) => {
                self.proxy(name, value)
            }
            _ => {}
        }
    }

    /// A field of the response.
    pub(super) fn response_field(&mut self, name: &[u8], value: &[u8]) {
        let http = &mut *self.http;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            6 if is(b"server") => keep(&mut http.server, value, 255),
            7 if http.status == Some(101) && http.upgraded.is_none() && is(b"upgrade") => {
                http.upgraded = (!value.is_empty()).then(|| text(value, 32));
            }
            12 if is(b"content-type") => keep(&mut http.response_type, media_type(value), 255),
            _ => {}
        }
    }

    #[cold]
    fn proxy(&mut self, name: &[u8], value: &[u8]) {
        const MOST: usize = 8;
        let http = &mut *self.http;
        if http.proxied.len() < MOST {
            let name = text(name, 32).to_ascii_uppercase();
            let said = format!("{name} -> {}", text(value, 255)).into_boxed_str();
            let mut all = std::mem::take(&mut http.proxied).into_vec();
            all.push(said);
            http.proxied = all.into();
        }
    }

    /// A target that HTTP/2 says among the fields.
    pub(super) fn target(&mut self, target: &[u8], query_strings: bool) {
        let (path, left_out) = kept::address(target, query_strings);
        self.http.path = Some(path);
        self.http.query_left_out |= left_out;
        self.names = names::asked(target, self.time);
    }

    /// A body that is a DNS message.
    pub(super) fn name(&mut self, body: &[u8], time: Time) {
        names::hear(&mut self.names, body, time);
    }

    /// Tells what is known.
    pub(super) fn tell(self, out: &mut Vec<Said>) {
        out.push((self.time, Message::Http(self.http)));
        out.extend(self.names.map(|dns| (self.time, Message::Dns(dns))));
    }
}

/// Fields by which proxies tell of themselves and of whom they speak for.
const PROXY_FIELDS: [&str; 7] = [
    "via",
    "client-ip",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-from",
    "xroxy-connection",
    "proxy-connection",
];

/// The first of several is kept.
fn keep(place: &mut Option<Text>, value: &[u8], limit: usize) {
    if place.is_none() && !value.is_empty() {
        *place = Some(shared_text(value, limit));
    }
}

/// A media type without its parameters.
fn media_type(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii_end()
}
