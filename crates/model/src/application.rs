//! The protocols above the transport that are known by name.

use serde::{Deserialize, Serialize};

/// How the application of a conversation was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// A guess by the port.
    Port,
    /// By what was said.
    Content,
}

impl Basis {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Content => "content",
        }
    }
}

macro_rules! applications {
    ($($variant:ident $name:literal,)*) => {
        /// A protocol above the transport.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "the names are the protocols' own")]
        pub enum Application { $($variant,)* }

        impl Application {
            /// Every application, in the order of their names in this list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in records: lower case.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

applications! {
    Amqp "amqp",
    Ayiya "ayiya",
    BitTorrent "bittorrent",
    Coap "coap",
    Dcerpc "dcerpc",
    Dhcp "dhcp",
    Dhcpv6 "dhcpv6",
    Dnp3 "dnp3",
    Dns "dns",
    Dtls "dtls",
    Ftp "ftp",
    FtpData "ftp_data",
    Geneve "geneve",
    Gtp "gtp",
    Http "http",
    Http2 "http2",
    Ike "ike",
    Imap "imap",
    Irc "irc",
    IrcData "irc_data",
    Kerberos "kerberos",
    Ldap "ldap",
    Llmnr "llmnr",
    Mdns "mdns",
    Memcached "memcached",
    Modbus "modbus",
    MongoDb "mongodb",
    Mqtt "mqtt",
    MySql "mysql",
    NetbiosDgm "netbios_dgm",
    NetbiosNs "netbios_ns",
    NetbiosSsn "netbios_ssn",
    Ntp "ntp",
    OpenVpn "openvpn",
    Pop3 "pop3",
    PostgreSql "postgresql",
    Quic "quic",
    Radius "radius",
    Rdp "rdp",
    Redis "redis",
    Rfb "rfb",
    Rtp "rtp",
    Rtsp "rtsp",
    Sip "sip",
    Smb "smb",
    Smtp "smtp",
    Snmp "snmp",
    Socks "socks",
    Ssdp "ssdp",
    Ssh "ssh",
    Stun "stun",
    Syslog "syslog",
    Telnet "telnet",
    Teredo "teredo",
    Tftp "tftp",
    Tls "tls",
    Tor "tor",
    Vxlan "vxlan",
    WebSocket "websocket",
    WireGuard "wireguard",
    Xmpp "xmpp",
}

impl Application {
    /// The application with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|application| application.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for &application in Application::ALL {
            assert_eq!(Application::from_name(application.name()), Some(application));
        }
        assert_eq!(Application::from_name("DNS"), None);
    }
}
