//! Names of services by port: facts of the IANA registry, with the name in common use where that one is telling.

use atalaya_model::{Text, Transport};
use foldhash::HashMap;

/// On both transports; ascending.
#[rustfmt::skip]
const TCP_AND_UDP: &[(u16, &str)] = &[
    (7, "echo"), (9, "discard"), (13, "daytime"), (17, "qotd"), (19, "chargen"), (37, "time"),
    (53, "domain"), (88, "kerberos"), (111, "sunrpc"), (123, "ntp"), (135, "epmap"), (137, "netbios-ns"),
    (138, "netbios-dgm"), (139, "netbios-ssn"), (161, "snmp"), (162, "snmptrap"), (177, "xdmcp"),
    (194, "irc"), (389, "ldap"), (443, "https"), (445, "microsoft-ds"), (464, "kpasswd"), (500, "isakmp"),
    (514, "syslog"), (520, "router"), (546, "dhcpv6-client"), (547, "dhcpv6-server"), (554, "rtsp"),
    (623, "asf-rmcp"), (631, "ipp"), (636, "ldaps"), (853, "domain-s"), (989, "ftps-data"), (990, "ftps"),
    (1080, "socks"), (1194, "openvpn"), (1433, "ms-sql-s"), (1434, "ms-sql-m"), (1521, "oracle"),
    (1645, "radius"), (1701, "l2tp"), (1812, "radius"), (1813, "radius-acct"), (1883, "mqtt"),
    (1900, "ssdp"), (2049, "nfs"), (2083, "radsec"), (2181, "zookeeper"), (2375, "docker"),
    (2376, "docker-s"), (2377, "swarm"), (2379, "etcd-client"), (2380, "etcd-server"), (3128, "squid"),
    (3260, "iscsi-target"), (3268, "msft-gc"), (3269, "msft-gc-ssl"), (3306, "mysql"), (3389, "rdp"),
    (3478, "stun"), (3690, "svn"), (3702, "ws-discovery"), (3784, "bfd-control"), (4369, "epmd"),
    (4460, "ntske"), (4500, "ipsec-nat-t"), (4789, "vxlan"), (5004, "avt-profile-1"),
    (5005, "avt-profile-2"), (5060, "sip"), (5061, "sips"), (5222, "xmpp-client"), (5269, "xmpp-server"),
    (5349, "stuns"), (5351, "nat-pmp"), (5353, "mdns"), (5355, "llmnr"), (5432, "postgresql"),
    (5671, "amqps"), (5672, "amqp"), (5683, "coap"), (5684, "coaps"), (5900, "vnc"), (5985, "wsman"),
    (5986, "wsmans"), (6081, "geneve"), (6379, "redis"), (6443, "kubernetes-api"), (6514, "syslog-tls"),
    (6653, "openflow"), (6667, "irc"), (6697, "ircs"), (8008, "http-alt"), (8080, "http-alt"),
    (8086, "influxdb"), (8443, "https-alt"), (8883, "secure-mqtt"), (8888, "http-alt"), (9092, "kafka"),
    (9100, "jetdirect"), (9200, "elasticsearch"), (9418, "git"), (9987, "teamspeak"),
    (10050, "zabbix-agent"), (10051, "zabbix-trapper"), (11211, "memcache"), (11371, "hkp"),
    (17500, "dropbox-lan"), (19132, "minecraft"), (25565, "minecraft"), (27017, "mongodb"),
    (51820, "wireguard"),
];

/// On TCP only; ascending.
#[rustfmt::skip]
const TCP: &[(u16, &str)] = &[
    (20, "ftp-data"), (21, "ftp"), (22, "ssh"), (23, "telnet"), (25, "smtp"), (43, "whois"), (49, "tacacs"),
    (70, "gopher"), (79, "finger"), (80, "http"), (110, "pop3"), (113, "ident"), (119, "nntp"),
    (143, "imap"), (179, "bgp"), (311, "webadmin"), (465, "submissions"), (512, "exec"), (513, "login"),
    (515, "printer"), (543, "klogin"), (544, "kshell"), (548, "afpovertcp"), (563, "nntps"),
    (587, "submission"), (593, "http-rpc-epmap"), (646, "ldp"), (873, "rsync"), (902, "vmware-auth"),
    (992, "telnets"), (993, "imaps"), (995, "pop3s"), (1723, "pptp"), (4190, "sieve"), (5000, "http-alt"),
    (5280, "xmpp-bosh"), (5938, "teamviewer"), (6000, "x11"), (8009, "ajp13"), (8081, "http-alt"),
    (8140, "puppet"), (9000, "http-alt"), (9001, "tor-or"), (9050, "tor-socks"), (9090, "http-alt"),
    (9150, "tor-socks"), (9300, "elasticsearch"), (10000, "webmin"), (10250, "kubelet"),
];

/// On UDP only; ascending.
#[rustfmt::skip]
const UDP: &[(u16, &str)] = &[
    (67, "bootps"), (68, "bootpc"), (69, "tftp"), (512, "comsat"), (513, "who"), (1985, "hsrp"),
    (2055, "netflow"), (3544, "teredo"), (4739, "ipfix"), (6343, "sflow"),
];

/// The service that usually has this port.
pub fn service(transport: Transport, port: u16) -> Option<&'static str> {
    let own = match transport {
        Transport::Tcp => TCP,
        Transport::Udp | Transport::UdpLite => UDP,
        _ => return None,
    };
    let find = |table: &[(u16, &'static str)]| {
        let place = table.binary_search_by_key(&port, |(port, _)| *port).ok()?;
        Some(table[place].1)
    };
    find(own).or_else(|| find(TCP_AND_UDP))
}

/// The services' names as texts, each kept once.
#[derive(Debug, Default)]
pub(crate) struct ServiceNames(HashMap<(Transport, u16), Text>);

impl ServiceNames {
    /// The service that usually has this port.
    pub(crate) fn name(&mut self, transport: Transport, port: u16) -> Option<Text> {
        if let Some(name) = self.0.get(&(transport, port)) {
            return Some(name.clone());
        }
        let name: Text = service(transport, port)?.into();
        self.0.insert((transport, port), name.clone());
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order_and_answer_by_transport() {
        for table in [TCP_AND_UDP, TCP, UDP] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
        }
        assert_eq!(service(Transport::Tcp, 443), Some("https"));
        assert_eq!(service(Transport::Udp, 443), Some("https"));
        assert_eq!(service(Transport::Tcp, 513), Some("login"));
        assert_eq!(service(Transport::Udp, 513), Some("who"));
        assert_eq!(service(Transport::Udp, 22), None);
        assert_eq!(service(Transport::Icmp, 53), None);
    }
}
