//! `ssl` and `http`.

use atalaya_model::protocol::Http;
use atalaya_model::protocol::tls::{
    Certificate, ClientHello, ServerHello, Tls, alert_number, cipher_number, curve_number, from_zeek_name,
    version_number,
};

use super::row::Row;
use crate::told::{BadLine, Options, without_query};

pub(super) fn tls(row: &Row<'_>) -> Result<Tls, BadLine> {
    let version = row.text("version").and_then(|name| version_number(&name));
    let cipher = row.text("cipher").and_then(|name| cipher_number(&name));
    let protocol = row.text_within("next_protocol", 32);
    let ja3s = row.text_within("ja3s", 32).unwrap_or_default();
    let server = (version.is_some() || cipher.is_some()).then(|| ServerHello {
        version: version.unwrap_or(0),
        cipher: cipher.unwrap_or(0),
        protocol: protocol.map(Into::into),
        ja3s: ja3s.into(),
        ..ServerHello::default()
    });
    let name = row
        .text_within("server_name", 255)
        .map(|name| name.to_ascii_lowercase().into());
    let (ja3, ja4) = (row.text_within("ja3", 32), row.text_within("ja4", 40));
    let client = (name.is_some() || ja3.is_some() || ja4.is_some()).then(|| ClientHello {
        version: version.unwrap_or(0),
        server_name: name,
        ja3: ja3.map(Into::into),
        ja4: ja4.unwrap_or_default().into(),
        ..ClientHello::default()
    });
    let mut certificates = chain(row, "cert_chain_fps", "subject", "issuer");
    if let Some(first) = certificates.first_mut() {
        let digits = row.text_within("certificate.serial", 80).unwrap_or_default();
        first.serial = colons(&digits.to_ascii_lowercase());
        first.not_before = row.date("certificate.not_valid_before").unwrap_or_default();
        first.not_after = row.date("certificate.not_valid_after").unwrap_or_default();
        first.names = row.texts("san.dns");
        first.self_signed = row.truth("certificate.self_signed").unwrap_or(false);
    }
    let alert = row.text("last_alert").and_then(|name| alert_number(&name));
    Ok(Tls {
        datagram: version.is_some_and(|version| version >> 8 == 0xfe),
        version,
        client,
        server,
        certificates,
        client_certificates: chain(row, "client_cert_chain_fps", "client_subject", "client_issuer"),
        curve: row.text("curve").and_then(|name| curve_number(&name)),
        resumed: row.truth("resumed").unwrap_or(false),
        established: row.truth("established").unwrap_or(false),
        // How grave it was is not told: all but closing are.
        alert: alert.map(|description| (if description == 0 { 1 } else { 2 }, description)),
        retried: false,
        history: row.text_within("ssl_history", 32).unwrap_or_default(),
    })
}

/// Certificates by their fingerprints; the first has names, too.
fn chain(row: &Row<'_>, prints: &str, subject: &str, issuer: &str) -> Box<[Certificate]> {
    let mut chain: Vec<Certificate> = row
        .texts(prints)
        .into_iter()
        .take(8)
        .map(|sha256| Certificate {
            sha256,
            ..Certificate::default()
        })
        .collect();
    let name = |column| row.text(column).map(|name| from_zeek_name(&name).into());
    let names: [Option<Box<str>>; 2] = [name(subject), name(issuer)];
    if names.iter().any(Option::is_some) && chain.is_empty() {
        chain.push(Certificate::default());
    }
    if let Some(first) = chain.first_mut() {
        [first.subject, first.issuer] = names.map(Option::unwrap_or_default);
    }
    chain.into()
}

/// A colon after each byte but the last.
pub(crate) fn colons(digits: &str) -> Box<str> {
    let mut text = String::with_capacity(digits.len() * 3 / 2);
    for (index, digit) in digits.chars().filter(|digit| *digit != ':').enumerate() {
        if index > 0 && index % 2 == 0 {
            text.push(':');
        }
        text.push(digit);
    }
    text.into()
}

pub(super) fn http(row: &Row<'_>, options: Options) -> Result<Http, BadLine> {
    let method = row.text_within("method", 32);
    let version = match row.text("version").as_deref() {
        Some("0.9") => 9,
        Some("1.0") => 10,
        Some("2" | "2.0") => 20,
        Some("3" | "3.0") => 30,
        _ => 11,
    };
    let mut query_left_out = false;
    let mut plain = |column| {
        let text = row.text(column)?;
        let (kept, left_out) = without_query(&text, options);
        query_left_out |= left_out;
        // Escapes were taken back: what looks like one is none.
        Some(kept.replace('%', "%25").into_boxed_str())
    };
    let path = plain("uri");
    let path = path.filter(|path| !path.is_empty() || method.is_none());
    let referrer = row.text("referrer").map(|text| {
        let (kept, left_out) = without_query(&text, options);
        query_left_out |= left_out;
        kept.into()
    });
    let interim: Option<u16> = row.number("info_code")?;
    let status: Option<u16> = row.number("status_code")?;
    let first = |column| row.texts(column).into_iter().next();
    Ok(Http {
        version,
        depth: row.number("trans_depth")?.unwrap_or(1),
        method: method.map(Into::into),
        host: row.text_within("host", 255).map(Into::into),
        path: path.map(Into::into),
        query_left_out,
        user_agent: row.text_within("user_agent", 512).map(Into::into),
        referrer,
        origin: row.text_within("origin", 255),
        status: status.filter(|status| *status > 0),
        reason: row
            .text_within("status_msg", 128)
            .filter(|reason| &**reason != "<empty>")
            .map(Into::into),
        interim: interim.map(|code| (code, row.text_within("info_msg", 128).unwrap_or_default())),
        user: row.text_within("username", 128),
        proxied: row.texts("proxied").into_iter().take(8).collect(),
        request_mime: first("orig_mime_types").map(Into::into),
        response_mime: first("resp_mime_types").map(Into::into),
        request_bytes: row.number("request_body_len")?.unwrap_or(0),
        response_bytes: row.number("response_body_len")?.unwrap_or(0),
        ..Http::default()
    })
}
