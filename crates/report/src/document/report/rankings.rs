//! Who used the network most: ports, programs, addresses, countries.

use std::collections::BTreeMap;

use atalaya_model::{Text, Value};

use super::Facts;
use crate::document::{Chart, Column, Said, Section, Shape, Table, column, news, number, text};

const PROTOCOLS: &[Column] = &[
    column("protocol", "Protocol and port", Shape::Code),
    column("connections", "Connections", Shape::Number),
    column("failed", "Failed", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

const PROGRAMS: &[Column] = &[
    column("program", "Program", Shape::Code),
    column("name", "Process", Shape::Word),
    column("connections", "Connections", Shape::Number),
    column("failed", "Failed", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

const ADDRESSES: &[Column] = &[
    column("address", "Address", Shape::Code),
    column("country", "Country", Shape::Word),
    column("organization", "Network", Shape::Word),
    column("connections", "Connections", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

const COUNTRIES: &[Column] = &[
    column("country", "Country", Shape::Word),
    column("addresses", "Addresses", Shape::Number),
    column("connections", "Connections", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

/// The rankings, each with its bars.
pub(super) fn rankings(facts: &Facts, limit: usize) -> Vec<Section> {
    let sums = |total: &atalaya_store::Total| {
        [
            number(total.connections),
            number(total.failed),
            Some(Value::Bytes(total.received_bytes)),
            Some(Value::Bytes(total.sent_bytes)),
        ]
    };
    let ports = facts.ports.iter().take(limit).map(|row| {
        let name = match row.port {
            Some(port) => format!("{}/{port}", row.transport.name()),
            None => format!("{}/…", row.transport.name()),
        };
        std::iter::once(Some(Value::from(name)))
            .chain(sums(&row.total))
            .collect()
    });
    let programs = facts.programs.iter().take(limit).map(|row| {
        let known = row.program.as_ref();
        let program = known.map_or_else(|| "unknown process".into(), news::program_name);
        [
            Some(Value::from(program)),
            known.map(|known| Value::from(&known.name)),
        ]
        .into_iter()
        .chain(sums(&row.total))
        .collect()
    });
    let addresses = facts.addresses.iter().take(limit).map(|row| {
        let [connections, _, received, sent] = sums(&row.total);
        let address = &row.address;
        vec![
            Some(Value::Address(address.ip)),
            text(address.country.as_ref()),
            text(address.organization.as_ref()),
            connections,
            received,
            sent,
        ]
    });
    let mut of_country: BTreeMap<&Text, (u64, atalaya_store::Total)> = BTreeMap::new();
    for row in &facts.addresses {
        if let Some(country) = &row.address.country {
            let entry = of_country.entry(country).or_default();
            entry.0 += 1;
            entry.1.connections += row.total.connections;
            entry.1.sent_bytes = entry.1.sent_bytes.saturating_add(row.total.sent_bytes);
            entry.1.received_bytes = entry.1.received_bytes.saturating_add(row.total.received_bytes);
        }
    }
    let all_countries = of_country.len() as u64;
    let mut of_country: Vec<_> = of_country.into_iter().collect();
    of_country.sort_by_key(|(_, (_, total))| std::cmp::Reverse(total.bytes()));
    let countries = of_country
        .iter()
        .take(limit)
        .map(|(country, (addresses, total))| {
            let [connections, _, received, sent] = sums(total);
            vec![
                Some(Value::from(*country)),
                number(*addresses),
                connections,
                received,
                sent,
            ]
        });
    let ranking = |name, title, about, columns, rows: Vec<_>, total| Section {
        chart: Some(Chart::Bars),
        table: Table::new(name, title, columns, rows, total).about(Said::plain(about)),
    };
    vec![
        ranking(
            "programs",
            "Programs with the most bytes",
            "In whole hours.",
            PROGRAMS,
            programs.collect(),
            Some(facts.programs.len() as u64),
        ),
        ranking(
            "addresses",
            "Remote addresses with the most bytes",
            "In whole hours; of hours that are over, the 500 largest of each count.",
            ADDRESSES,
            addresses.collect(),
            None,
        ),
        ranking(
            "countries",
            "Countries",
            "Of the addresses above whose country a database told.",
            COUNTRIES,
            countries.collect(),
            Some(all_countries),
        ),
        ranking(
            "protocols",
            "Protocols",
            "By destination port, in whole hours.",
            PROTOCOLS,
            ports.collect(),
            None,
        ),
    ]
}
