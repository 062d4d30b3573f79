//! TLS and QUIC handshakes.

use atalaya_model::Time;
use atalaya_model::protocol::Quic;
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello, Tls, eve_version, extension_name};

use crate::json::{self, Object};

pub(super) fn tls(line: &mut Object<'_>, tls: &Tls) {
    line.object("tls", |it| {
        if let Some(certificate) = tls.certificates.first() {
            describe(it, certificate);
        }
        let client = tls.client.as_ref();
        it.some_text("sni", client.and_then(|client| client.server_name.as_deref()));
        if let Some(version) = tls.version {
            it.word("version", &eve_version(version));
        }
        if tls.resumed {
            it.truth("session_resumed", true);
        }
        if let Some(client) = client {
            fingerprints(it, client);
        }
        if let Some(server) = &tls.server {
            answered(it, server);
        }
        if let Some(client) = client {
            it.texts("client_alpns", client.protocols.iter().map(|name| &**name));
        }
        let server = tls.server.as_ref().and_then(|server| server.protocol.as_deref());
        it.texts("server_alpns", server);
        if let Some(certificate) = tls.client_certificates.first() {
            it.object("client", |it| describe(it, certificate));
        }
    });
}

pub(super) fn quic(line: &mut Object<'_>, quic: &Quic) {
    line.object("quic", |it| {
        it.text("version", &quic.version_name());
        if let Some(client) = &quic.client {
            it.some_text("sni", client.server_name.as_deref());
            fingerprints(it, client);
            it.texts("client_alpns", client.protocols.iter().map(|name| &**name));
            let text = client.ja3_text.as_deref().unwrap_or_default();
            extensions(it, client.grease, text);
        }
        it.list("cyu", &quic.cyu, |out, (text, hash)| {
            json::object(out, |cyu| {
                cyu.text("hash", hash);
                cyu.text("string", text);
            });
        });
    });
}

/// What the server answered: a line of its own.
pub(super) fn quic_answer(line: &mut Object<'_>, quic: &Quic, server: &ServerHello) {
    line.object("quic", |it| {
        it.text("version", &quic.version_name());
        answered(it, server);
        extensions(it, None, &server.ja3s_text);
    });
}

/// A hello's extensions in their order, as the text of its fingerprint has them; `grease` is not in it.
fn extensions(it: &mut Object<'_>, grease: Option<u16>, text: &str) {
    let numbers = text.split(',').nth(2).unwrap_or_default().split('-');
    let numbers = numbers.filter_map(|number| number.parse::<u16>().ok());
    let numbers = grease.into_iter().chain(numbers);
    it.list("extensions", numbers, |out, number| {
        json::object(out, |it| {
            it.some_text("name", extension_name(number));
            it.number("type", number);
        });
    });
}

fn answered(it: &mut Object<'_>, server: &ServerHello) {
    if !server.ja3s.is_empty() {
        it.object("ja3s", |ja3s| {
            ja3s.text("hash", &server.ja3s);
            ja3s.text("string", &server.ja3s_text);
        });
    }
}

fn fingerprints(it: &mut Object<'_>, client: &ClientHello) {
    if let (Some(hash), Some(text)) = (&client.ja3, &client.ja3_text) {
        it.object("ja3", |ja3| {
            ja3.text("hash", hash);
            ja3.text("string", text);
        });
    }
    if !client.ja4.is_empty() {
        it.text("ja4", &client.ja4);
    }
}

fn describe(it: &mut Object<'_>, certificate: &Certificate) {
    it.text("subject", &certificate.subject);
    it.text("issuerdn", &certificate.issuer);
    it.text("serial", &certificate.serial.to_ascii_uppercase());
    it.text("fingerprint", &colons(&certificate.sha1));
    date(it, "notbefore", certificate.not_before);
    date(it, "notafter", certificate.not_after);
    it.texts("subjectaltname", certificate.names.iter().map(|name| &**name));
}

/// A date to the second, without its zone.
fn date(it: &mut Object<'_>, name: &str, time: Time) {
    let text = time.rfc3339();
    it.text(name, text.split('.').next().unwrap_or_default());
}

/// A colon after each byte but the last.
fn colons(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len() * 3 / 2);
    for (index, digit) in hex.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text
}
