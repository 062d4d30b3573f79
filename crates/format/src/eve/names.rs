//! Suricata's names.

use atalaya_model::{Application, Basis, Wire};

/// An application, as `app_proto` and `event_type` name it.
pub(super) const fn application(application: Application) -> &'static str {
    match application {
        Application::BitTorrent => "bittorrent-dht",
        Application::FtpData => "ftp-data",
        Application::Kerberos => "krb5",
        Application::NetbiosSsn => "smb",
        Application::PostgreSql => "pgsql",
        other => other.name(),
    }
}

/// The application of a conversation by its content, and the one that it began with where it changed.
pub(super) fn applications(wire: &Wire) -> (Option<&'static str>, Option<&'static str>) {
    let first = match wire.application {
        Some((first, Basis::Content)) => first,
        _ => return (wire.tls.as_ref().map(|_| "tls"), None),
    };
    let name = application(first);
    let names_over_http = || {
        let http = wire.http.as_ref()?;
        let types = [&http.request_type, &http.response_type];
        let mut types = types.into_iter().filter_map(Option::as_deref);
        types.find(|it| it.eq_ignore_ascii_case("application/dns-message"))
    };
    match first {
        Application::Tls | Application::Quic | Application::Dtls => (Some(name), None),
        Application::Http2 if names_over_http().is_some() => (Some("doh2"), Some(name)),
        _ if wire.tls.is_some() => (Some("tls"), Some(name)),
        _ => (Some(name), None),
    }
}

/// A setting of HTTP/2.
pub(super) const fn setting(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "SETTINGSHEADERTABLESIZE",
        2 => "SETTINGSENABLEPUSH",
        3 => "SETTINGSMAXCONCURRENTSTREAMS",
        4 => "SETTINGSINITIALWINDOWSIZE",
        5 => "SETTINGSMAXFRAMESIZE",
        6 => "SETTINGSMAXHEADERLISTSIZE",
        8 => "SETTINGSENABLECONNECTPROTOCOL",
        9 => "SETTINGSNORFC7540PRIORITIES",
        _ => return None,
    })
}
