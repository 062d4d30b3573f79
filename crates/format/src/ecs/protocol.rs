//! What was said in a connection, straight down, with who said it.

use atalaya_model::community_id::CommunityId;
use atalaya_model::{Evidence, Message, Protocol};

use super::Context;
use super::connection::{attribution, host, nanoseconds, observer, place, process};
use super::said::{self, Much};
use super::subject::Subject;
use crate::eve;
use crate::json::{self, Object, object};

/// Appends the object about one thing that was said.
pub(super) fn write(out: &mut String, subject: &Subject<'_>, protocol: &Protocol, context: &Context) {
    let connection = &*protocol.connection;
    let wire = connection.wire.as_deref();
    object(out, |line| {
        json::rfc3339(line.member("@timestamp"), protocol.time);
        line.object("event", |it| {
            it.word("kind", "event");
            it.member("category").push_str("[\"network\"]");
            it.member("type").push_str(subject.types());
            it.word("action", subject.action());
            if !context.of_captures {
                it.word("dataset", "atalaya.protocol");
            }
            if let Message::Dns(dns) = &protocol.message
                && let (Some(asked), Some(response)) = (dns.asked, &dns.response)
            {
                nanoseconds(it.member("duration"), response.time.since(asked).0);
            }
        });
        line.object("network", |it| {
            it.word("transport", connection.transport.name());
            let v4 = connection.source.ip.is_ipv4();
            it.word("type", if v4 { "ipv4" } else { "ipv6" });
            it.word("direction", connection.direction.name());
            it.word("protocol", protocol.message.kind());
            let id = CommunityId::new(0, connection.transport, connection.source, connection.destination);
            it.word("community_id", id.as_str());
        });
        line.object("source", |it| {
            it.address("ip", connection.source.ip);
            it.number("port", connection.source.port);
            place(it, connection.places.source.as_deref());
        });
        line.object("destination", |it| {
            it.address("ip", connection.destination.ip);
            it.number("port", connection.destination.port);
            it.some_text("domain", connection.name.as_deref());
            place(it, connection.places.destination.as_deref());
        });
        if connection.attribution.evidence == Evidence::CaptureFile {
            attribution(line, connection);
        }
        process(line, subject, connection, context);
        message(line, &protocol.message);
        observer(line, wire, context);
        host(line, context);
    });
}

/// Attributes bear their own names, and are texts.
const WORDS: eve::Words = eve::Words {
    numbers: &[],
    lists: &[],
    name: |_, _| None,
};

fn message(line: &mut Object<'_>, message: &Message) {
    match message {
        Message::Dns(dns) => said::dns(line.member("dns"), dns),
        Message::Tls(tls) => said::tls(line, tls, Much::All),
        Message::Quic(quic) => {
            said::quic(line.member("quic"), quic);
            said::tls(line, &quic.tls(), Much::All);
        }
        Message::Http(http) => said::http(line, http),
        Message::Http2Settings(settings) => said::http2(line.member("http2"), settings),
        Message::Ssh(ssh) => said::ssh(line, ssh),
        Message::Mail(mail) => {
            said::email(line.member("email"), mail);
            said::smtp(line.member("smtp"), mail);
        }
        Message::Other(other) => line.object("atalaya", |it| {
            it.object("attributes", |it| eve::attributes(it, other, &WORDS));
        }),
    }
}
