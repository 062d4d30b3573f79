//! Lines as Zeek writes them as JSON, one object a line, so that what reads its logs reads ours.
//!
//! Each line belongs to a log: `conn` for an ended conversation; `dns`, `http`, `ssl` (certificates included), `quic`,
//! `ssh`, `smtp`, `dhcp` and others by their protocol for what was said in it; `notice` for alerts; `weird` for losses.
//! `_path` names the log in each line, for those who write all of them into one file. Columns that are unset are left
//! out. `process_name`, `process_executable`, `process_sha256` and `process_pid` are ours.

mod conn;
mod dns;
mod http;
mod names;
mod notice;
mod others;
pub mod read;
mod ssl;

use atalaya_model::{AlertRecord, Connection, Event, Fact, Message, Process, Time, Transport};

use crate::json::{self, Object};
use crate::{Language, identity};

/// Gives each line about an event, without its newline, and the name of its log to `each`. `line` is room to write in:
/// what it held is lost.
pub fn lines(line: &mut String, event: &Event, mut each: impl FnMut(&'static str, &str)) {
    let mut write = |log: &'static str, fill: &dyn Fn(&mut Object<'_>)| {
        line.clear();
        json::object(line, |it| {
            it.word("_path", log);
            fill(it);
        });
        each(log, line);
    };
    match &event.fact {
        Fact::ConnectionClosed(connection) => write("conn", &|it| conn::columns(it, connection)),
        Fact::Gap(gap) => write("weird", &|it| notice::weird(it, gap)),
        Fact::Protocol(protocol) => {
            let said = |it: &mut Object<'_>| begin(it, protocol.time, &protocol.connection);
            match &protocol.message {
                Message::Dns(dns) => write("dns", &|it| {
                    said(it);
                    dns::columns(it, &protocol.connection, dns);
                }),
                Message::Tls(tls) => write("ssl", &|it| {
                    said(it);
                    ssl::columns(it, tls);
                }),
                Message::Quic(quic) => {
                    write("quic", &|it| {
                        said(it);
                        ssl::quic(it, quic);
                    });
                    if quic.client.is_some() || quic.server.is_some() {
                        let tls = quic.tls();
                        write("ssl", &|it| {
                            said(it);
                            ssl::columns(it, &tls);
                        });
                    }
                }
                Message::Http(http) => write("http", &|it| {
                    said(it);
                    http::columns(it, http);
                }),
                Message::Ssh(ssh) => write("ssh", &|it| {
                    said(it);
                    others::ssh(it, ssh);
                }),
                Message::Mail(mail) => write("smtp", &|it| {
                    said(it);
                    others::mail(it, mail);
                }),
                Message::Other(other) => write(names::log(other.application), &|it| {
                    said(it);
                    others::attributes(it, other);
                }),
                // Zeek has no log for them.
                Message::Http2Settings(_) => {}
            }
        }
        _ => {}
    }
}

/// Gives the line about an alert that is raised, and its log `notice`, to `each`; later rows about it give none.
pub fn alert(
    line: &mut String,
    row: &AlertRecord,
    language: Language,
    mut each: impl FnMut(&'static str, &str),
) {
    if let AlertRecord::Raised(alert) = row {
        line.clear();
        json::object(line, |it| {
            it.word("_path", "notice");
            notice::columns(it, alert, language);
        });
        each("notice", line);
    }
}

/// What every line about something that was said begins with, and who said it.
fn begin(it: &mut Object<'_>, time: Time, connection: &Connection) {
    it.seconds("ts", time.0);
    identify(it, connection);
    process(it, connection.process.as_deref());
}

fn identify(it: &mut Object<'_>, connection: &Connection) {
    let uid = identity::uid(connection);
    it.word("uid", std::str::from_utf8(&uid).unwrap_or_default());
    let port = |port| {
        if has_ports(connection.transport) { port } else { 0 }
    };
    it.address("id.orig_h", connection.source.ip);
    it.number("id.orig_p", port(connection.source.port));
    it.address("id.resp_h", connection.destination.ip);
    it.number("id.resp_p", port(connection.destination.port));
}

/// Zeek reads no ports of other transports, and writes 0.
const fn has_ports(transport: Transport) -> bool {
    matches!(
        transport,
        Transport::Tcp | Transport::Udp | Transport::Icmp | Transport::Icmpv6
    )
}

const fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Icmp | Transport::Icmpv6 => "icmp",
        _ => "unknown_transport",
    }
}

fn process(it: &mut Object<'_>, process: Option<&Process>) {
    if let Some(process) = process {
        it.number("process_pid", process.key.pid);
        it.text("process_name", &process.name);
        it.some_text("process_executable", process.executable.as_deref());
        it.some_text("process_sha256", process.sha256.as_deref());
    }
}
