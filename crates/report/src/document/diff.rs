//! *What changed?* Two times of one host, or two hosts: executables, listeners, destinations.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;

use atalaya_model::{Text, Time, Value};
use atalaya_store::{AddressTotal, Executable, Reader, StoreError};

use super::{Document, Number, Said, Section, Table, news, until_now};

/// One side of a comparison.
#[derive(Debug)]
pub struct Side<'a> {
    /// Where it is kept.
    pub reader: &'a Reader,
    /// The time that counts.
    pub range: Range<Time>,
    /// What people read of it.
    pub name: Text,
}

/// What a comparison shall say.
#[derive(Clone, Debug)]
pub struct Question {
    /// When it is.
    pub now: Time,
    /// Rows of each table, at most.
    pub limit: usize,
    /// The version of this program.
    pub version: Text,
}

/// What one side has.
struct Has {
    executables: Vec<Executable>,
    services: Vec<news::Standing>,
    destinations: Vec<AddressTotal>,
    is_whole: bool,
}

fn has(side: &Side<'_>) -> Result<Has, StoreError> {
    let (executables, all_executables) = side.reader.executables_within(&side.range, news::MOST)?;
    let (listeners, all_listeners) = side.reader.listeners_within(&side.range, news::MOST)?;
    let (destinations, all_destinations) = side.reader.destinations_within(&side.range, false, news::MOST)?;
    let most = news::MOST as u64;
    Ok(Has {
        executables,
        services: news::services(&listeners),
        destinations,
        is_whole: all_listeners && all_executables <= most && all_destinations <= most,
    })
}

/// Compares: what `after` has that `before` has not is new, the other way round it is gone. The same path with other
/// contents is a change, and neither.
///
/// # Errors
/// When a store cannot be read.
pub fn diff(before: &Side<'_>, after: &Side<'_>, question: &Question) -> Result<Document, StoreError> {
    let limit = question.limit;
    let (old, new) = (has(before)?, has(after)?);
    let (new_executables, changed) = news::compare(&old.executables, &new.executables);
    let (gone_executables, _) = news::compare(&new.executables, &old.executables);
    let new_services = missing(&new.services, &old.services);
    let gone_services = missing(&old.services, &new.services);
    let new_destinations = strangers(&new.destinations, &old.destinations);
    let gone_destinations = strangers(&old.destinations, &new.destinations);
    let destinations = |name, title, side: &Side<'_>, found: &[AddressTotal]| -> Result<Table, StoreError> {
        news::destinations_table(name, title, side.reader, (found, found.len() as u64), limit)
    };
    let tables = vec![
        news::changed_table(&changed, limit),
        news::executables_table("new_executables", "New executables", &new_executables, limit),
        news::executables_table(
            "gone_executables",
            "Executables that are gone",
            &gone_executables,
            limit,
        ),
        news::listeners_table(
            "new_listeners",
            "New listeners",
            new_services.iter().copied(),
            limit,
        ),
        news::listeners_table(
            "gone_listeners",
            "Listeners that are gone",
            gone_services.iter().copied(),
            limit,
        ),
        destinations("new_destinations", "New destinations", after, &new_destinations)?,
        destinations(
            "gone_destinations",
            "Destinations that are gone",
            before,
            &gone_destinations,
        )?,
    ];
    let differences: u64 = tables.iter().filter_map(|table| table.total).sum();
    let mut unseen = Vec::new();
    if !(old.is_whole && new.is_whole) {
        let most = Value::Integer(news::MOST as i64);
        unseen.push(Said::new("Of each kind at most {0} were compared.", vec![most]));
    }
    let whole = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let numbers = tables.iter().map(|table| Number {
        name: table.name,
        label: table.title,
        value: whole(table.total.unwrap_or_default()),
    });
    Ok(Document {
        kind: "diff",
        title: Said::new(
            "From {0} to {1}",
            vec![Value::from(&before.name), Value::from(&after.name)],
        ),
        source: after.name.clone(),
        range: Some(until_now(&after.range, question.now)),
        made: question.now,
        version: question.version.clone(),
        worst: None,
        verdict: match differences {
            0 => Said::plain("No difference."),
            count => Said::new("Differences: {0}.", vec![whole(count)]),
        },
        numbers: numbers.collect(),
        news: Vec::new(),
        unseen,
        sections: tables.into_iter().map(Section::from).collect(),
        method: vec![
            ("Before", Value::from(&before.name)),
            ("After", Value::from(&after.name)),
            ("Made at", Value::Time(question.now)),
            ("Program", Value::from(format!("atalaya {}", question.version))),
        ],
    })
}

/// Does a comparison tell of any difference?
pub fn is_different(document: &Document) -> bool {
    document
        .sections
        .iter()
        .any(|section| section.table.total != Some(0))
}

fn missing<'a>(these: &'a [news::Standing], there: &[news::Standing]) -> Vec<&'a news::Standing> {
    let known: HashSet<_> = there.iter().map(|it| &it.service).collect();
    these.iter().filter(|it| !known.contains(&it.service)).collect()
}

fn strangers(these: &[AddressTotal], there: &[AddressTotal]) -> Vec<AddressTotal> {
    let known: HashSet<IpAddr> = there.iter().map(|it| it.address.ip).collect();
    these
        .iter()
        .filter(|it| !known.contains(&it.address.ip))
        .cloned()
        .collect()
}
