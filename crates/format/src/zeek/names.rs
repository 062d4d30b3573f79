//! Zeek's names.

use atalaya_model::Application;
use atalaya_model::protocol::dns::type_name;

/// An application, as `service` names it.
pub(super) const fn service(application: Application) -> &'static str {
    match application {
        Application::Dcerpc => "dce_rpc",
        Application::Dhcpv6 => "dhcp",
        Application::Dtls | Application::Tls => "ssl",
        Application::FtpData => "ftp-data",
        Application::Gtp => "gtpv1",
        Application::Http2 => "http",
        Application::IrcData => "irc-dcc-data",
        Application::Kerberos => "krb_tcp",
        Application::Ldap => "ldap_tcp",
        Application::Llmnr | Application::Mdns | Application::NetbiosNs => "dns",
        Application::NetbiosSsn => "smb",
        Application::Socks => "socks",
        other => other.name(),
    }
}

/// The log of what an application said of itself.
pub(super) const fn log(application: Application) -> &'static str {
    match application {
        Application::Dcerpc => "dce_rpc",
        Application::Kerberos => "kerberos",
        Application::Smb | Application::NetbiosSsn => "smb_mapping",
        other => other.name(),
    }
}

/// A class of DNS.
pub(super) const fn class(class: u16) -> Option<&'static str> {
    Some(match class {
        1 => "C_INTERNET",
        2 => "C_CSNET",
        3 => "C_CHAOS",
        4 => "C_HESIOD",
        254 => "C_NONE",
        255 => "C_ANY",
        _ => return None,
    })
}

/// A type of DNS.
pub(super) const fn query(kind: u16) -> Option<&'static str> {
    match kind {
        255 => Some("*"),
        other => type_name(other),
    }
}
