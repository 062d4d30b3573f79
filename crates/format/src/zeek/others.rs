//! `ssh`, `smtp`, and protocols that are told as names and values.

use atalaya_model::Application;
use atalaya_model::protocol::{Mail, Other, Ssh};

use crate::eve::{self, Words};
use crate::json::Object;

pub(super) fn ssh(it: &mut Object<'_>, ssh: &Ssh) {
    let banner = ssh
        .client
        .as_deref()
        .or(ssh.server.as_deref())
        .unwrap_or_default();
    // `SSH-2.0-…`; 1.99 is 2.0 that also speaks 1.
    let version = match banner.strip_prefix("SSH-") {
        Some(rest) if rest.starts_with("1.") && !rest.starts_with("1.99") => Some(1u8),
        Some(_) => Some(2),
        None => None,
    };
    it.some_number("version", version);
    if let Some(authenticated) = ssh.authenticated {
        it.truth("auth_success", authenticated);
    }
    it.some_text("client", ssh.client.as_deref());
    it.some_text("server", ssh.server.as_deref());
    it.some_text("hassh", ssh.hassh.as_deref());
    it.some_text("hasshServer", ssh.hassh_server.as_deref());
}

pub(super) fn mail(it: &mut Object<'_>, mail: &Mail) {
    let bare = |path: &'_ str| -> String { path.trim_matches(['<', '>']).into() };
    it.some_text("helo", mail.helo.as_deref());
    it.some_text("mailfrom", mail.from.as_deref().map(bare).as_deref());
    let to: Vec<_> = mail.to.iter().map(|path| bare(path)).collect();
    it.texts("rcptto", to.iter().map(String::as_str));
    it.some_text("from", mail.head_from.as_deref());
    it.texts("to", mail.head_to.iter().map(|path| &**path));
    if let Some(code) = mail.code {
        it.word("last_reply", &code.to_string());
    }
    it.truth("tls", mail.starttls);
}

const WORDS: Words = Words {
    numbers: &["lease_time", "trans_id"],
    lists: &["msg_types"],
    name: |other, name| match (other.application, name) {
        (Application::Dhcp, "type") => Some("msg_types"),
        (Application::Dhcp, "id") => Some("trans_id"),
        (Application::Dhcp, "client_mac") => Some("mac"),
        (Application::Dhcp, "hostname") => Some("host_name"),
        (Application::Dhcp, "client_ip") => Some("client_addr"),
        (Application::Dhcp, "server_ip") => Some("server_addr"),
        (Application::Dhcp, "requested_ip") => Some("requested_addr"),
        (Application::Dhcp, "assigned_ip") => Some("assigned_addr"),
        _ => None,
    },
};

pub(super) fn attributes(it: &mut Object<'_>, other: &Other) {
    eve::attributes(it, other, &WORDS);
}
