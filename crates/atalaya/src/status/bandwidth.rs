//! Who uses the network how much, as text.

use std::io::Write;

use atalaya_format::{escape, numbers};
use atalaya_model::bandwidth::{Bandwidth, Counted, Rate};

/// Characters of a name that fit into its column.
const WIDTH: usize = 44;

/// Three tables, each with what is most first; nothing of what is empty.
pub(super) fn write(bandwidth: &Bandwidth, out: &mut dyn Write) -> std::io::Result<()> {
    let Bandwidth { all, over, .. } = bandwidth;
    let what = match bandwidth.counted {
        Counted::Packets => "whole frames, counted from packets",
        Counted::Kernel => "payload, as the kernel's sockets count it",
    };
    writeln!(
        out,
        "bandwidth     {}/s sent, {}/s received, {} packets/s over {over} ({what})",
        numbers::bytes(all.sent_bytes),
        numbers::bytes(all.received_bytes),
        numbers::count(all.packets()),
    )?;
    let processes = bandwidth.processes.iter().map(|row| {
        let name = match (&row.process, &row.name) {
            (Some(key), Some(name)) => format!("{} ({})", escape::text(name), key.pid),
            (Some(key), None) => key.pid.to_string(),
            (None, _) => "unknown".to_owned(),
        };
        (name, row.rate)
    });
    table("process", processes, out)?;
    let destinations = bandwidth.destinations.iter().map(|row| {
        let ip = row.ip.map_or_else(|| "others".to_owned(), |ip| ip.to_string());
        let name = match &row.name {
            Some(name) => format!("{ip} {}", escape::text(name)),
            None => ip,
        };
        (name, row.rate)
    });
    table("destination", destinations, out)?;
    let protocols = bandwidth.protocols.iter().map(|row| {
        let basis = row
            .basis
            .map_or_else(String::new, |basis| format!(" (by {})", basis.name()));
        (format!("{}{basis}", row.name), row.rate)
    });
    table("protocol", protocols, out)
}

fn table(
    title: &str,
    rows: impl Iterator<Item = (String, Rate)>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut rows = rows.filter(|(_, rate)| *rate != Rate::default()).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{title:<WIDTH$} {:>11} {:>11} {:>11}",
        "sent/s", "received/s", "packets/s"
    )?;
    for (name, rate) in rows {
        let short: String = match name.char_indices().nth(WIDTH) {
            Some(_) => name.chars().take(WIDTH - 1).chain(['…']).collect(),
            None => name,
        };
        writeln!(
            out,
            "{short:<WIDTH$} {:>11} {:>11} {:>11}",
            numbers::bytes(rate.sent_bytes),
            numbers::bytes(rate.received_bytes),
            numbers::count(rate.packets()),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use atalaya_model::bandwidth::{DestinationRate, ProcessRate, ProtocolRate};
    use atalaya_model::{Basis, ProcessKey, Span};

    use super::*;

    #[test]
    fn three_tables_say_who_uses_how_much() {
        let rate = Rate {
            sent_bytes: 1_200,
            received_bytes: 3_400_000,
            sent_packets: 20,
            received_packets: 2_400,
        };
        let process = ProcessRate {
            process: Some(ProcessKey { pid: 4242, start: 7 }),
            name: Some("cu\u{1b}rl".into()),
            executable: None,
            rate,
        };
        let nobody = ProcessRate {
            process: None,
            name: None,
            executable: None,
            rate: Rate::default(),
        };
        let bandwidth = Bandwidth {
            counted: Counted::Packets,
            over: Span::from_seconds(10),
            all: rate,
            processes: vec![process, nobody],
            destinations: vec![DestinationRate {
                ip: Some([198, 51, 100, 7].into()),
                name: Some("a-very-long-name-of-a-server.example.org".into()),
                rate,
            }],
            protocols: vec![ProtocolRate {
                name: "tls".into(),
                basis: Some(Basis::Content),
                rate,
            }],
        };
        let mut out = Vec::new();
        write(&bandwidth, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }
}
