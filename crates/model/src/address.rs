//! Addresses, and whether they are ours.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One end of a conversation. `port` is 0 where the transport has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "an address and a port")]
pub struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

impl Endpoint {
    /// An endpoint whose IPv4-mapped address is written as IPv4. Every address enters the program through here.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        Self {
            ip: ip.to_canonical(),
            port,
        }
    }
}

impl fmt::Display for Endpoint {
    /// `192.0.2.1:443`, `[2001:db8::1]:443`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// How far away an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// No address at all (`0.0.0.0`, `::`).
    Unspecified,
    /// This host, by a loopback address.
    Loopback,
    /// The local network: private, link-local, shared, or one of the configured own ranges.
    Private,
    /// A group or broadcast address.
    Multicast,
    /// Everything else: the Internet.
    External,
}

impl Scope {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Multicast => "multicast",
            Self::External => "external",
        }
    }

    /// The scope by address alone (RFC 1918, 3927, 4193, 4291, 6598), without own ranges.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_unspecified() => Self::Unspecified,
            ip if ip.is_loopback() => Self::Loopback,
            ip if ip.is_multicast() => Self::Multicast,
            IpAddr::V4(v4) if v4.is_broadcast() => Self::Multicast,
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                let shared = a == 100 && (64..128).contains(&b);
                if v4.is_private() || v4.is_link_local() || shared {
                    Self::Private
                } else {
                    Self::External
                }
            }
            IpAddr::V6(v6) => {
                if v6.is_unique_local() || v6.is_unicast_link_local() || is_site_local(v6) {
                    Self::Private
                } else {
                    Self::External
                }
            }
        }
    }
}

/// The deprecated `fec0::/10`, still found in old networks.
fn is_site_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfec0
}

/// The ranges that the owner calls internal, on top of the standard private ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(pub Vec<IpNet>);

impl Networks {
    /// The scope of `ip` on this host's network.
    pub fn scope(&self, ip: IpAddr) -> Scope {
        match Scope::of(ip) {
            Scope::External if self.0.iter().any(|network| network.contains(&ip)) => Scope::Private,
            scope => scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_ipv4() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(Endpoint::new(mapped, 80).to_string(), "192.0.2.7:80");
    }

    #[test]
    fn scopes() {
        let cases = [
            ("0.0.0.0", Scope::Unspecified),
            ("::", Scope::Unspecified),
            ("127.8.9.1", Scope::Loopback),
            ("::ffff:127.0.0.1", Scope::Loopback),
            ("10.1.2.3", Scope::Private),
            ("100.64.0.1", Scope::Private),
            ("100.128.0.1", Scope::External),
            ("169.254.1.1", Scope::Private),
            ("fe80::1", Scope::Private),
            ("fd00::1", Scope::Private),
            ("224.0.0.251", Scope::Multicast),
            ("255.255.255.255", Scope::Multicast),
            ("8.8.8.8", Scope::External),
            ("2001:db8::1", Scope::External),
        ];
        for (text, scope) in cases {
            assert_eq!(Scope::of(text.parse().unwrap()), scope, "{text}");
        }
        let own = Networks(vec!["203.0.113.0/24".parse().unwrap()]);
        assert_eq!(own.scope("203.0.113.9".parse().unwrap()), Scope::Private);
        assert_eq!(own.scope("198.51.100.9".parse().unwrap()), Scope::External);
    }
}
