//! Ports by which a server is known when nothing else says who began.

use atalaya_model::Transport;

/// Ports that the protocols known here usually have; ascending.
#[rustfmt::skip]
const TCP: &[u16] = &[
    21, 22, 25, 53, 79, 80, 81, 88, 110, 135, 139, 143, 389, 443, 445, 502, 514, 563, 585, 587, 614, 631, 636, 853,
    989, 990, 992, 993, 995, 1080, 1433, 1434, 1812, 1883, 2404, 2811, 3128, 3268, 3306, 3389, 5060, 5222, 5223,
    5269, 5432, 5900, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8443, 8883, 8888, 20000, 27017,
];

/// As above.
#[rustfmt::skip]
const UDP: &[u16] = &[
    53, 67, 88, 123, 137, 161, 162, 389, 443, 500, 514, 547, 1194, 1645, 1812, 1813, 2123, 2152, 3389, 3478, 3544,
    4500, 4789, 5060, 5072, 5353, 5355, 6081, 20000, 51820,
];

/// Is this the port of a server rather than one given to clients?
pub(super) fn is_server(transport: Transport, port: u16) -> bool {
    let known = match transport {
        Transport::Tcp => TCP,
        Transport::Udp | Transport::UdpLite => UDP,
        _ => return false,
    };
    known.binary_search(&port).is_ok()
}
