//! SSH, mail, and protocols that are told as names and values.

use atalaya_model::protocol::{Mail, Other, Ssh};
use atalaya_model::{Application, Text};

use crate::json::{self, Object};

/// How a format tells attributes.
pub(crate) struct Words {
    /// Values that are numbers, by the format's name.
    pub(crate) numbers: &'static [&'static str],
    /// Names of the format that are lists also where there is one value.
    pub(crate) lists: &'static [&'static str],
    /// The format's name of an attribute.
    pub(crate) name: fn(&Other, &str) -> Option<&'static str>,
}

const WORDS: Words = Words {
    numbers: &["id", "lease_time", "rebinding_time", "renewal_time"],
    lists: &["params", "dns_servers", "routers"],
    name: |other, name| match (other.application, name) {
        (Application::Dhcp, "op") => Some("type"),
        (Application::Dhcp, "type") => Some("dhcp_type"),
        (Application::Dhcp, "vendor_class") => Some("vendor_class_identifier"),
        (Application::Dhcp, "client_id") => Some("client_identifier"),
        (Application::Dhcp, "parameter") => Some("params"),
        (Application::Dhcp, "dns_server") => Some("dns_servers"),
        (Application::Dhcp, "router") => Some("routers"),
        _ => None,
    },
};

pub(super) fn ssh(line: &mut Object<'_>, ssh: &Ssh) {
    line.object("ssh", |it| {
        for (name, banner, hassh) in [
            ("client", &ssh.client, &ssh.hassh),
            ("server", &ssh.server, &ssh.hassh_server),
        ] {
            if banner.is_none() && hassh.is_none() {
                continue;
            }
            it.object(name, |it| {
                // `SSH-2.0-OpenSSH_9.2p1 Debian`: the version of the protocol, and the software.
                let mut parts = banner.as_deref().unwrap_or_default().splitn(3, '-').skip(1);
                it.some_text("proto_version", parts.next());
                it.some_text("software_version", parts.next());
                if let Some(hash) = hassh {
                    it.object("hassh", |it| it.text("hash", hash));
                }
            });
        }
    });
}

pub(super) fn mail(line: &mut Object<'_>, mail: &Mail) {
    line.object("smtp", |it| {
        it.some_text("helo", mail.helo.as_deref());
        it.some_text("mail_from", mail.from.as_deref());
        it.texts("rcpt_to", mail.to.iter().map(|path| &**path));
    });
    if mail.complete || mail.head_from.is_some() {
        line.object("email", |it| {
            it.word(
                "status",
                if mail.complete {
                    "PARSE_DONE"
                } else {
                    "BODY_STARTED"
                },
            );
            it.some_text("from", mail.head_from.as_deref());
            it.texts("to", mail.head_to.iter().map(|path| &**path));
        });
    }
}

/// What a protocol says of itself, under its own name. What comes several times is a list.
pub(super) fn other(line: &mut Object<'_>, kind: &str, other: &Other) {
    if other.attributes.is_empty() {
        return;
    }
    line.object(kind, |it| attributes(it, other, &WORDS));
}

/// Attributes as members, each name once; those that come several times are lists.
pub(crate) fn attributes(it: &mut Object<'_>, other: &Other, words: &Words) {
    let all = &other.attributes;
    for (index, (name, value)) in all.iter().enumerate() {
        let same = |(known, _): &&(Text, Box<str>)| known == name;
        if all[..index].iter().any(|earlier| same(&earlier)) {
            continue;
        }
        // Names are ours, but who knows: as a key they are escaped like any text.
        let ours = (words.name)(other, name);
        let key = ours.map_or_else(|| escaped(name), ToOwned::to_owned);
        let write = |out: &mut String, value: &str| match value.parse::<u64>() {
            Ok(number) if words.numbers.contains(&&*key) => json::integer(out, number),
            _ => json::text(out, value),
        };
        if words.lists.contains(&&*key) || all[index + 1..].iter().any(|later| same(&later)) {
            it.list(&key, all[index..].iter().filter(same), |out, (_, value)| {
                write(out, value)
            });
        } else {
            write(it.member(&key), value);
        }
    }
}

fn escaped(name: &str) -> String {
    let mut quoted = String::new();
    json::text(&mut quoted, name);
    quoted[1..quoted.len() - 1].into()
}
