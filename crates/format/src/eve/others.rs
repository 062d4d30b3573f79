//! SSH, mail, and protocols that are told as names and values.

use atalaya_model::protocol::{Mail, Other, Ssh};

use crate::json::{self, Object};

/// Values that are numbers, by name.
const NUMBERS: &[&str] = &[
    "id",
    "lease_time",
    "rebinding_time",
    "renewal_time",
    "version",
    "stratum",
];

/// Names that are lists also where there is one value.
const LISTS: &[&str] = &["params", "dns_servers", "routers"];

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
    line.object(kind, |it| attributes(it, other, NUMBERS, LISTS));
}

/// Attributes as members, each name once.
pub(crate) fn attributes(it: &mut Object<'_>, other: &Other, numbers: &[&str], lists: &[&str]) {
    let all = &other.attributes;
    let number = |name: &str| numbers.contains(&name);
    let write = |out: &mut String, name: &str, value: &str| match value.parse::<u64>() {
        Ok(value) if number(name) => json::integer(out, value),
        _ => json::text(out, value),
    };
    for (index, (name, value)) in all.iter().enumerate() {
        let same = |(known, _): &&(atalaya_model::Text, Box<str>)| known == name;
        if all[..index].iter().any(|earlier| same(&earlier)) {
            continue;
        }
        // Names are ours, but who knows: as a key they are escaped like any text.
        let key = escaped(name);
        if lists.contains(&&**name) || all[index + 1..].iter().any(|later| same(&later)) {
            it.list(&key, all[index..].iter().filter(same), |out, (name, value)| {
                write(out, name, value);
            });
        } else {
            write(it.member(&key), name, value);
        }
    }
}

fn escaped(name: &str) -> String {
    let mut quoted = String::new();
    json::text(&mut quoted, name);
    quoted[1..quoted.len() - 1].into()
}
