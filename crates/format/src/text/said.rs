//! What was said in a conversation, in a line.

use atalaya_model::protocol::dns::{Data, Dns, code_name, type_name};
use atalaya_model::protocol::tls::{ClientHello, eve_version};
use atalaya_model::protocol::{Http, Mail, Other, Ssh};
use atalaya_model::{Message, Protocol, Text};

use super::process;
use crate::catalogue::Language;
use crate::escape;

/// Longest name, path or list in a line, in characters.
const MAX_NAME: usize = 120;
/// Most addresses or attributes in a line.
const MAX_ITEMS: usize = 6;

/// `/usr/bin/curl (pid 12, user ana): www.example.com TLS 1.3 t13d…`: who (the address, where no process is known) and
/// what.
pub fn said(protocol: &Protocol, language: Language) -> String {
    let connection = &protocol.connection;
    let who = match &connection.process {
        Some(it) => process(it, language),
        None => connection.source.to_string(),
    };
    let to = connection.destination;
    let what = match &protocol.message {
        Message::Dns(it) => return format!("{who}: {}", dns(it, language)),
        Message::Tls(it) => {
            let version = it.version.map(eve_version);
            hello(it.client.as_ref(), version.as_deref())
        }
        Message::Quic(it) => hello(it.client.as_ref(), Some("QUIC")),
        Message::Http(it) => http(it),
        Message::Http2Settings(_) => "HTTP/2".into(),
        Message::Ssh(it) => ssh(it),
        Message::Mail(it) => mail(it),
        Message::Other(it) => other(it),
    };
    match what.trim_end() {
        "" => format!("{who} -> {to}"),
        what => format!("{who} -> {to}: {what}"),
    }
}

fn shown(text: &str) -> String {
    escape::start(text, MAX_NAME)
}

/// `example.org A -> 192.0.2.1, 192.0.2.2`, `nowhere.example A -> NXDOMAIN`.
fn dns(dns: &Dns, language: Language) -> String {
    let first = dns.questions.first();
    let kind = first.map(|question| {
        type_name(question.kind).map_or_else(|| question.kind.to_string(), ToOwned::to_owned)
    });
    let name = first.map(|question| shown(&question.name)).unwrap_or_default();
    let asked = format!("{name} {}", kind.unwrap_or_default());
    let Some(response) = &dns.response else {
        return asked;
    };
    let mut answers: Vec<_> = response
        .answers
        .iter()
        .filter_map(|answer| match &answer.data {
            Data::Address(ip) => Some(ip.to_string()),
            Data::Name(name) => Some(shown(name)),
            Data::Empty | Data::Unreadable => None,
            data => Some(shown(&data.to_string())),
        })
        .collect();
    let more = answers.len().saturating_sub(MAX_ITEMS);
    answers.truncate(MAX_ITEMS);
    let more = match (more, language) {
        (0, _) => String::new(),
        (more, Language::English) => format!(" and {more} more"),
        (more, Language::Spanish) => format!(" y {more} más"),
    };
    let answered = match (answers.is_empty(), code_name(response.code)) {
        (false, _) => answers.join(", "),
        (true, Some("NOERROR")) => match language {
            Language::English => "nothing".into(),
            Language::Spanish => "nada".into(),
        },
        (true, Some(name)) => name.into(),
        (true, None) => response.code.to_string(),
    };
    format!("{asked} -> {answered}{more}")
}

/// `www.example.com TLS 1.3 t13d1516h2_…`.
fn hello(client: Option<&ClientHello>, version: Option<&str>) -> String {
    let name = client.and_then(|client| client.server_name.as_deref()).map(shown);
    let fingerprint = client.map(|client| shown(&client.ja4)).unwrap_or_default();
    let words = [
        name.unwrap_or_default(),
        version.unwrap_or_default().to_owned(),
        fingerprint,
    ];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `GET www.example.com/path 200`.
fn http(http: &Http) -> String {
    let text = |text: &Option<Text>| text.as_deref().map(shown).unwrap_or_default();
    let status = http.status.map(|status| format!(" {status}"));
    let (method, host, path) = (text(&http.method), text(&http.host), text(&http.path));
    // Of a proxy the whole address is asked for.
    let host = if path.contains("://") || path == host {
        ""
    } else {
        &host
    };
    format!("{method} {host}{path}{}", status.unwrap_or_default())
}

fn ssh(ssh: &Ssh) -> String {
    let banners = [&ssh.client, &ssh.server].map(|banner| banner.as_deref().map(shown));
    banners.map(Option::unwrap_or_default).join(" -> ")
}

fn mail(mail: &Mail) -> String {
    let from = mail.from.as_deref().map(shown).unwrap_or_default();
    let to: Vec<_> = mail.to.iter().take(MAX_ITEMS).map(|path| shown(path)).collect();
    let tls = if mail.starttls { " STARTTLS" } else { "" };
    format!("{from} -> {}{tls}", to.join(", "))
}

fn other(other: &Other) -> String {
    let pairs = other.attributes.iter().take(MAX_ITEMS);
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{} = {}", shown(name), shown(value)))
        .collect();
    pairs.join(", ")
}
