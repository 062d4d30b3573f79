//! Ports that are known for something a defender wants to hear of, each with a sentence.

/// Ports and what they are known for, ascending.
pub(crate) const SUSPICIOUS: &[(u16, &str)] = &[
    (1177, "default of the njRAT remote-access trojan."),
    (1243, "used by the SubSeven remote-access trojan."),
    (1337, "“leet”: a favourite of back doors and exercise shells."),
    (
        1524,
        "“ingreslock”: the classic root shell left behind by a break-in.",
    ),
    (
        1604,
        "default of the DarkComet remote-access trojan (Citrix used it too).",
    ),
    (2323, "the other Telnet: Mirai and its kin spread over it."),
    (
        2404,
        "default of the Remcos remote-access trojan (and of IEC 60870-5-104 in power plants).",
    ),
    (3127, "the back door of the MyDoom worm."),
    (3333, "common with pools that mine cryptocurrency (Stratum)."),
    (3460, "default of the Poison Ivy remote-access trojan."),
    (4444, "default of Metasploit's reverse shells."),
    (4782, "default of the Quasar remote-access trojan."),
    (5552, "default of newer njRAT remote-access trojans."),
    (
        5555,
        "Android Debug Bridge without a password; also common with remote-access trojans.",
    ),
    (6606, "default of the AsyncRAT remote-access trojan."),
    (6666, "IRC, and back doors that are steered over it."),
    (
        6667,
        "IRC without encryption: the classic control channel of botnets.",
    ),
    (6668, "IRC, and back doors that are steered over it."),
    (6669, "IRC, and back doors that are steered over it."),
    (7707, "default of the AsyncRAT remote-access trojan."),
    (8808, "default of the AsyncRAT remote-access trojan."),
    (9001, "Tor relays: traffic into the anonymity network."),
    (
        9030,
        "Tor directories: a Tor client or relay fetches its list of relays.",
    ),
    (9040, "Tor's transparent proxy."),
    (9050, "Tor's SOCKS proxy: traffic into the anonymity network."),
    (9051, "Tor's control port."),
    (
        9150,
        "SOCKS proxy of the Tor Browser: traffic into the anonymity network.",
    ),
    (9151, "control port of the Tor Browser."),
    (12345, "the NetBus remote-access trojan."),
    (12346, "the NetBus remote-access trojan."),
    (14444, "common with pools that mine Monero (Stratum)."),
    (20034, "the NetBus 2 Pro remote-access trojan."),
    (27374, "the SubSeven remote-access trojan."),
    (27665, "the Trinoo denial-of-service network."),
    (
        31337,
        "“elite”: Back Orifice, many back doors since, and operators of the Sliver framework.",
    ),
    (31338, "Back Orifice and other back doors."),
    (50050, "team server of the Cobalt Strike framework."),
];

/// What a finding says of a port that somebody put on the list.
pub(crate) const OWN_LIST: &str = "it is on your own list of suspicious ports.";

/// What the port is known for.
pub(crate) fn meaning(port: u16) -> Option<&'static str> {
    let place = SUSPICIOUS.binary_search_by_key(&port, |(port, _)| *port).ok()?;
    Some(SUSPICIOUS[place].1)
}

/// Ports from here on are handed out by the kernel to sockets that did not ask for one.
pub(crate) const FIRST_EPHEMERAL: u16 = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_what_was_promised() {
        assert!(SUSPICIOUS.is_sorted_by(|a, b| a.0 < b.0));
        for port in [4444, 5555, 6666, 6667, 12345, 31337, 9001, 9030, 9050, 9150] {
            assert!(meaning(port).is_some(), "{port}");
        }
        assert_eq!(meaning(443), None);
        assert!(SUSPICIOUS.iter().all(|(_, sentence)| sentence.ends_with('.')));
    }
}
