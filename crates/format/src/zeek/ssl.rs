//! `ssl` and `quic`: handshakes.

use atalaya_model::protocol::Quic;
use atalaya_model::protocol::tls::{
    Certificate, Tls, alert_name, cipher_name, curve_name, zeek_name, zeek_version,
};

use crate::json::Object;

pub(super) fn columns(it: &mut Object<'_>, tls: &Tls) {
    let (client, server) = (tls.client.as_ref(), tls.server.as_ref());
    let server_version = server.map(|server| server.version);
    if let Some(version) = tls.version.or(server_version).filter(|_| server.is_some()) {
        it.word("version", &zeek_version(version));
    }
    if let Some(server) = server {
        match cipher_name(server.cipher) {
            Some(name) => it.word("cipher", name),
            None => it.word("cipher", &format!("unknown-{}", server.cipher)),
        }
    }
    if let Some(curve) = tls.curve {
        match curve_name(curve) {
            Some(name) => it.word("curve", name),
            None => it.word("curve", &format!("unknown-{curve}")),
        }
    }
    it.some_text(
        "server_name",
        client.and_then(|client| client.server_name.as_deref()),
    );
    it.truth("resumed", tls.resumed);
    if let Some((_, description)) = tls.alert {
        match alert_name(description) {
            Some(name) => it.word("last_alert", name),
            None => it.word("last_alert", &format!("unknown-{description}")),
        }
    }
    it.some_text(
        "next_protocol",
        server.and_then(|server| server.protocol.as_deref()),
    );
    it.truth("established", tls.established);
    if !tls.history.is_empty() {
        it.text("ssl_history", &tls.history);
    }
    it.texts("cert_chain_fps", tls.certificates.iter().map(|it| &*it.sha256));
    it.texts(
        "client_cert_chain_fps",
        tls.client_certificates.iter().map(|it| &*it.sha256),
    );
    for (certificate, subject, issuer) in [
        (tls.certificates.first(), "subject", "issuer"),
        (tls.client_certificates.first(), "client_subject", "client_issuer"),
    ] {
        if let Some(certificate) = certificate {
            it.text(subject, &zeek_name(&certificate.subject));
            it.text(issuer, &zeek_name(&certificate.issuer));
        }
    }
    if let Some(certificate) = tls.certificates.first() {
        validity(it, certificate);
    }
    if let Some(client) = client {
        it.some_text("ja3", client.ja3.as_deref());
        if !client.ja4.is_empty() {
            it.text("ja4", &client.ja4);
        }
    }
    if let Some(server) = server.filter(|server| !server.ja3s.is_empty()) {
        it.text("ja3s", &server.ja3s);
    }
}

/// What Zeek keeps in `x509`, under the same names.
fn validity(it: &mut Object<'_>, certificate: &Certificate) {
    let serial: String = certificate.serial.chars().filter(|c| *c != ':').collect();
    it.text("certificate.serial", &serial.to_ascii_uppercase());
    it.seconds("certificate.not_valid_before", certificate.not_before.0);
    it.seconds("certificate.not_valid_after", certificate.not_after.0);
    it.texts("san.dns", certificate.names.iter().map(|name| &**name));
    it.truth("certificate.self_signed", certificate.self_signed);
}

pub(super) fn quic(it: &mut Object<'_>, quic: &Quic) {
    it.text("version", &quic.version_name());
    it.text("client_initial_dcid", &quic.client_initial_destination);
    it.text("client_scid", &quic.client_connection);
    // Nothing came from the server: its id is not empty, but unknown.
    let answered = quic.history.contains(|c: char| c.is_ascii_lowercase());
    if answered || !quic.server_connection.is_empty() {
        it.text("server_scid", &quic.server_connection);
    }
    if let Some(client) = &quic.client {
        it.some_text("server_name", client.server_name.as_deref());
        it.some_text("client_protocol", client.protocols.first().map(|name| &**name));
        if !client.ja4.is_empty() {
            it.text("ja4", &client.ja4);
        }
    }
    if !quic.history.is_empty() {
        it.text("history", &quic.history);
    }
}
