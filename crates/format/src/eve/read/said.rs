//! `tls` and `http`.

use atalaya_model::Time;
use atalaya_model::protocol::Http;
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello, Tls, version_number};
use serde_json::Value;

use super::members::{number, text, texts};
use crate::told::{self, BadLine, MAX_TEXT, Options, without_query};

pub(super) fn tls(part: &Value) -> Result<Tls, BadLine> {
    let version = text(part, "version", 32).and_then(|name| version_number(&name));
    let name = text(part, "sni", 255).map(|name| name.to_ascii_lowercase().into());
    let ja4 = text(part, "ja4", 40);
    let ja3 = hashed(&part["ja3"]);
    let protocols = texts(part, "client_alpns");
    let is_told = name.is_some() || ja4.is_some() || ja3.is_some() || !protocols.is_empty();
    let client = is_told.then(|| {
        let (ja3, ja3_text) = ja3.unzip();
        ClientHello {
            version: version.unwrap_or(0),
            server_name: name,
            protocols: protocols.into_iter().map(Into::into).collect(),
            ja4: ja4.unwrap_or_default().into(),
            ja3_text: ja3_text.map(Into::into),
            ja3: ja3.map(Into::into),
            ..ClientHello::default()
        }
    });
    let ja3s = hashed(&part["ja3s"]);
    let protocol = texts(part, "server_alpns").into_iter().next();
    let server = (ja3s.is_some() || protocol.is_some()).then(|| {
        let (ja3s, ja3s_text) = ja3s.unzip();
        ServerHello {
            version: version.unwrap_or(0),
            protocol: protocol.map(Into::into),
            ja3s: ja3s.unwrap_or_default().into(),
            ja3s_text: ja3s_text.unwrap_or_default().into(),
            ..ServerHello::default()
        }
    });
    Ok(Tls {
        datagram: version.is_some_and(|version| version >> 8 == 0xfe),
        version,
        // Suricata tells of a handshake when it is over.
        established: version.is_some(),
        resumed: part["session_resumed"].as_bool().unwrap_or(false),
        certificates: certificate(part).into_iter().collect(),
        client_certificates: certificate(&part["client"]).into_iter().collect(),
        client,
        server,
        ..Tls::default()
    })
}

/// A fingerprint and what it is of.
fn hashed(part: &Value) -> Option<(Box<str>, Box<str>)> {
    let hash = text(part, "hash", 32)?;
    Some((hash, text(part, "string", MAX_TEXT).unwrap_or_default()))
}

fn certificate(part: &Value) -> Option<Certificate> {
    let subject = text(part, "subject", MAX_TEXT)?;
    let date = |key| {
        let text = text(part, key, 32)?;
        Time::parse(&format!("{text}Z")).and_then(|time| told::date(time.0))
    };
    let issuer = text(part, "issuerdn", MAX_TEXT).unwrap_or_default();
    let sha1 = text(part, "fingerprint", 64).unwrap_or_default();
    Some(Certificate {
        self_signed: subject == issuer,
        subject,
        issuer,
        serial: text(part, "serial", 128)
            .unwrap_or_default()
            .to_ascii_lowercase()
            .into(),
        not_before: date("notbefore").unwrap_or_default(),
        not_after: date("notafter").unwrap_or_default(),
        sha1: sha1
            .chars()
            .filter(|letter| *letter != ':')
            .collect::<String>()
            .into(),
        names: texts(part, "subjectaltname").into_iter().take(32).collect(),
        ..Certificate::default()
    })
}

pub(super) fn http(part: &Value, options: Options) -> Result<Http, BadLine> {
    let stream = &part["http2"];
    let version = match (
        text(part, "version", 8).as_deref(),
        text(part, "protocol", 16).as_deref(),
    ) {
        (Some("2"), _) => 20,
        (_, Some("HTTP/0.9")) => 9,
        (_, Some("HTTP/1.0")) => 10,
        _ => 11,
    };
    let port: Option<u16> = number(part, "http_port")?;
    let host = text(part, "hostname", 255).map(|name| match port {
        Some(port) => format!("{name}:{port}").into(),
        None => name,
    });
    let mut query_left_out = false;
    let mut plain = |key| {
        let text = text(part, key, MAX_TEXT)?;
        let (kept, left_out) = without_query(&text, options);
        query_left_out |= left_out;
        Some(kept.into())
    };
    let (path, referrer) = (plain("url"), plain("http_refer"));
    Ok(Http {
        version,
        depth: 1,
        stream: number(stream, "stream_id")?,
        method: text(part, "http_method", 32).map(Into::into),
        host: host.map(Into::into),
        path,
        query_left_out,
        user_agent: text(part, "http_user_agent", 512).map(Into::into),
        referrer,
        status: number(part, "status")?,
        response_type: text(part, "http_content_type", 128).map(Into::into),
        response_bytes: number(part, "length")?.unwrap_or(0),
        ..Http::default()
    })
}
