//! One filter, three that evaluate it: the model on records, the store in SQL, the kernel on packets. They are held to the
//! same connections.

#[cfg(test)]
#[path = "../../host/src/linux/ring/bpf/samples.rs"]
mod samples;

#[cfg(test)]
use atalaya_host::linux::ring::bpf::{Instruction, Program};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atalaya_model::fields::{Kind, Record};
    use atalaya_model::{Event, Fact, Time, fields, filter};
    use atalaya_store::{Entry, Options, Reader, Stored, Writer};
    use atalaya_wire::LinkType;
    use proptest::prelude::*;

    use super::Program;
    use super::samples::{KNOWN, Wrapping, a_sample, an_expression, run};

    const NOW: Time = Time(1_795_123_456_789_012);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn records_rows_and_packets_agree(
            samples in prop::collection::vec(a_sample(), 1..12),
            filters in prop::collection::vec(an_expression(), 16),
        ) {
            // Each packet is of a connection that its sender began, or of one that its receiver began.
            let connections: Vec<_> = samples
                .iter()
                .flat_map(|sample| [true, false].map(|is_forward| sample.connection(is_forward)))
                .zip(1..)
                .map(|(connection, id)| atalaya_model::Connection { id, cookie: id, ..connection })
                .collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let mut writer = Writer::open(&path, &Options::new("boot-1", "0.1.0", NOW)).unwrap();
            let opened = |connection: &atalaya_model::Connection| {
                Entry::Event(Event::new(NOW, Fact::ConnectionOpened(Arc::new(connection.clone()))))
            };
            let entries: Vec<_> = connections.iter().map(opened).collect();
            writer.write(&entries).unwrap();
            let reader = Reader::open(&path).unwrap();
            // The store gives its own ids.
            let rows = reader.select(Kind::Connection, &filter::Expression::All, 1_000).unwrap();
            prop_assert_eq!(rows.len(), connections.len());
            for filter in &filters {
                let selected = reader.select(Kind::Connection, filter, 1_000).unwrap();
                let by_rows: Vec<_> = connections
                    .iter()
                    .map(|connection| selected.iter().any(|row| cookie(row) == Some(connection.cookie)))
                    .collect();
                let is_about_packets = is_of(filter, &KNOWN);
                let by_records: Vec<_> = if is_about_packets {
                    connections.iter().map(|it| filter.matches(&Record::Connection(it))).collect()
                } else {
                    // Of what the store decides itself, such as its id, the record that it gives is asked.
                    let stored = |it: &atalaya_model::Connection| rows.iter().find(|row| cookie(row) == Some(it.cookie));
                    connections.iter().map(|it| stored(it).is_some_and(|row| filter.matches(&row.record()))).collect()
                };
                prop_assert_eq!(&by_rows, &by_records, "rows and records: {:?}", filter);
                for (sample, either) in samples.iter().zip(by_rows.chunks_exact(2)) {
                    let matches = either.contains(&true);
                    for link in [LinkType::ETHERNET, LinkType::RAW] {
                        if link == LinkType::ETHERNET && sample.wrapping == Wrapping::Arp {
                            continue;
                        }
                        let program = Program::new(filter, link, 99);
                        let passes = run(program.instructions(), &sample.frame(link)) > 0;
                        prop_assert!(passes || !matches, "dropped what matches: {:?} {:?}", filter, sample);
                        let is_decided = sample.wrapping == Wrapping::Plain
                            && (sample.tags.is_empty() || link == LinkType::RAW)
                            && [6, 132].contains(&sample.protocol);
                        if is_decided && program.is_exact() {
                            prop_assert_eq!(passes, matches, "packets: {:?} {:?}", filter, sample);
                        }
                    }
                }
            }
        }
    }

    /// The cookie by which a row is told from others.
    fn cookie(row: &Stored) -> Option<u64> {
        match row {
            Stored::Connection(connection) => Some(connection.cookie),
            _ => None,
        }
    }

    /// It names only these fields.
    fn is_of(filter: &filter::Expression, names: &[&str]) -> bool {
        use filter::Expression::{All, And, Compare, Not, Or};
        match filter {
            All => true,
            And(items) | Or(items) => items.iter().all(|item| is_of(item, names)),
            Not(item) => is_of(item, names),
            Compare { fields, .. } => fields.iter().all(|field| names.contains(&field.name)),
        }
    }

    #[test]
    fn every_field_that_a_program_knows_is_one_of_the_list() {
        assert!(KNOWN.iter().all(|name| fields::find(name).is_some()));
    }
}
