//! What was said in a conversation, with the names of ECS where it has one. Each function writes the
//! members that bear its name, or the value of the one that does.

use atalaya_model::protocol::dns::{Answer, Data, Dns, code_name, type_name};
use atalaya_model::protocol::tls::{Certificate, Tls, cipher_name, curve_name, version_words};
use atalaya_model::protocol::{Http, Http2Settings, Mail, Quic, Ssh};

use crate::json::{self, Object, object};

/// How much of a handshake is told: of a connection only what tells who it is with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Much {
    Little,
    All,
}

pub(super) fn dns(out: &mut String, dns: &Dns) {
    object(out, |it| {
        let response = dns.response.as_ref();
        it.word("type", if response.is_some() { "answer" } else { "query" });
        let id = it.member("id");
        id.push('"');
        json::integer(id, dns.id.into());
        id.push('"');
        match dns.opcode {
            // Nearly all are, and nobody looks for them by it.
            0 => {}
            4 => it.word("op_code", "NOTIFY"),
            5 => it.word("op_code", "UPDATE"),
            other => it.word("op_code", &other.to_string()),
        }
        it.list("header_flags", dns.header_flags(), json::text);
        if let Some(question) = dns.questions.first() {
            it.object("question", |it| {
                it.text("name", &question.name);
                kind(it, question.kind);
                class(it, question.class);
            });
        }
        if let Some(response) = response {
            match code_name(response.code) {
                Some(name) => it.word("response_code", name),
                None => it.word("response_code", &response.code.to_string()),
            }
            let asked = dns.questions.first().map_or("", |question| &*question.name);
            it.list("answers", &*response.answers, |out, it| answer(out, it, asked));
            let addresses = response.answers.iter().filter_map(|answer| match answer.data {
                Data::Address(ip) => Some(ip),
                _ => None,
            });
            it.list("resolved_ip", addresses, json::address);
        }
    });
}

fn kind(it: &mut Object<'_>, kind: u16) {
    match type_name(kind) {
        Some(name) => it.word("type", name),
        None => it.word("type", &format!("TYPE{kind}")),
    }
}

fn class(it: &mut Object<'_>, class: u16) {
    match class {
        // The Internet's, as nearly all are.
        1 => {}
        3 => it.word("class", "CH"),
        4 => it.word("class", "HS"),
        other => it.word("class", &format!("CLASS{other}")),
    }
}

fn answer(out: &mut String, answer: &Answer, asked: &str) {
    object(out, |it| {
        if *answer.name != *asked {
            it.text("name", &answer.name);
        }
        kind(it, answer.kind);
        class(it, answer.class);
        it.number("ttl", answer.ttl);
        match &answer.data {
            Data::Address(ip) => it.address("data", *ip),
            Data::Name(name) | Data::Other(name) => it.text("data", name),
            Data::Empty | Data::Unreadable => {}
            data => it.text("data", &data.to_string()),
        }
    });
}

pub(super) fn tls(line: &mut Object<'_>, tls: &Tls, much: Much) {
    line.filled("tls", |it| {
        if let Some(version) = tls.version {
            let (protocol, number) = version_words(version);
            it.word("version_protocol", protocol);
            it.word("version", &number);
        }
        let server = tls.server.as_ref();
        if much == Much::All {
            it.some_text("cipher", server.and_then(|server| cipher_name(server.cipher)));
            it.some_text("curve", tls.curve.and_then(curve_name));
            it.truth("established", tls.established);
            it.truth("resumed", tls.resumed);
        }
        it.some_text(
            "next_protocol",
            server.and_then(|server| server.protocol.as_deref()),
        );
        if let Some(client) = &tls.client {
            it.filled("client", |it| {
                it.some_text("server_name", client.server_name.as_deref());
                it.some_text("ja3", client.ja3.as_deref());
                if !client.ja4.is_empty() {
                    it.text("ja4", &client.ja4);
                }
                it.texts("alpn", client.protocols.iter().map(|name| &**name));
            });
        }
        it.filled("server", |it| {
            if let Some(server) = server.filter(|server| !server.ja3s.is_empty()) {
                it.text("ja3s", &server.ja3s);
            }
            if let Some(certificate) = tls.certificates.first() {
                describe(it, certificate, much);
            }
        });
    });
}

fn describe(it: &mut Object<'_>, certificate: &Certificate, much: Much) {
    it.text("subject", &certificate.subject);
    it.text("issuer", &certificate.issuer);
    it.object("hash", |it| {
        it.text("sha256", &certificate.sha256);
        if much == Much::All {
            it.text("sha1", &certificate.sha1);
        }
    });
    if much == Much::Little {
        return;
    }
    json::rfc3339(it.member("not_before"), certificate.not_before);
    json::rfc3339(it.member("not_after"), certificate.not_after);
    it.truth("self_signed", certificate.self_signed);
    it.object("x509", |it| {
        it.text("serial_number", &certificate.serial);
        it.texts("alternative_names", certificate.names.iter().map(|name| &**name));
    });
}

pub(super) fn quic(out: &mut String, quic: &Quic) {
    object(out, |it| {
        it.text("version", &quic.version_name());
        it.text("client_initial_destination", &quic.client_initial_destination);
        it.text("client_connection", &quic.client_connection);
        it.text("server_connection", &quic.server_connection);
        it.text("history", &quic.history);
    });
}

/// `http`, `url` and `user_agent`.
pub(super) fn http(line: &mut Object<'_>, http: &Http) {
    line.filled("http", |it| {
        if let Some(version) = http.version_name() {
            it.word("version", version);
        }
        let body = |it: &mut Object<'_>, bytes: u64| {
            if bytes > 0 {
                it.object("body", |it| it.number("bytes", bytes));
            }
        };
        it.filled("request", |it| {
            it.some_text("method", http.method.as_deref());
            it.some_text("referrer", http.referrer.as_deref());
            it.some_text("mime_type", http.request_mime.as_deref());
            body(it, http.request_bytes);
        });
        it.filled("response", |it| {
            it.some_number("status_code", http.status);
            it.some_text("mime_type", http.response_mime.as_deref());
            body(it, http.response_bytes);
        });
    });
    line.filled("url", |it| {
        it.some_text("domain", http.host.as_deref());
        let (path, query) = http.path_and_query();
        it.some_text("path", path);
        it.some_text("query", query);
    });
    line.filled("user_agent", |it| {
        it.some_text("original", http.user_agent.as_deref())
    });
}

pub(super) fn http2(out: &mut String, settings: &Http2Settings) {
    object(out, |it| {
        it.truth("by_client", settings.by_client);
        it.list("settings", &*settings.settings, |out, (id, value)| {
            object(out, |it| {
                it.number("id", *id);
                it.number("value", *value);
            });
        });
    });
}

pub(super) fn ssh(line: &mut Object<'_>, ssh: &Ssh) {
    line.filled("ssh", |it| {
        it.some_text("client", ssh.client.as_deref());
        it.some_text("server", ssh.server.as_deref());
        it.some_text("hassh", ssh.hassh.as_deref());
        it.some_text("hassh_server", ssh.hassh_server.as_deref());
        if let Some(authenticated) = ssh.authenticated {
            it.truth("authenticated", authenticated);
        }
    });
}

pub(super) fn email(out: &mut String, mail: &Mail) {
    object(out, |it| {
        it.object("from", |it| it.texts("address", mail.from.as_deref()));
        it.object("to", |it| it.texts("address", mail.to.iter().map(|path| &**path)));
    });
}

pub(super) fn smtp(out: &mut String, mail: &Mail) {
    object(out, |it| {
        it.some_text("helo", mail.helo.as_deref());
        it.some_text("greeting", mail.greeting.as_deref());
        it.some_number("code", mail.code);
        it.truth("starttls", mail.starttls);
    });
}
