//! `docs/protocols.md` has a row for every protocol, with the ports of the list by which it is recognised.

use std::collections::BTreeSet;
use std::fs;

use atalaya_model::Application;
use atalaya_wire::{Over, protocols};

/// The column of the usual ports: `TCP 53; UDP 53`, in ranges where they follow each other.
fn ports(application: Application) -> String {
    let of = |over: Over, name: &str| {
        let speakers = protocols::all()
            .filter(|speaker| speaker.application == application && speaker.over.contains(&over));
        let mut seen = false;
        let ports: BTreeSet<u16> = speakers
            .inspect(|_| seen = true)
            .flat_map(|speaker| speaker.ports.iter().copied())
            .collect();
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for port in ports {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == port => *last = port,
                _ => ranges.push((port, port)),
            }
        }
        let ranges: Vec<_> = ranges
            .into_iter()
            .map(|(first, last)| match last - first {
                0 => first.to_string(),
                1 => format!("{first}, {last}"),
                _ => format!("{first}–{last}"),
            })
            .collect();
        let ranges = match ranges.is_empty() {
            true => "any".to_owned(),
            false => ranges.join(", "),
        };
        seen.then(|| format!("{name} {ranges}"))
    };
    let both = [of(Over::Stream, "TCP"), of(Over::Datagrams, "UDP")];
    let both: Vec<_> = both.into_iter().flatten().collect();
    if both.is_empty() {
        return "–".to_owned();
    }
    both.join("; ")
}

/// A row's name and cells.
fn cells(line: &str) -> Option<(&str, Vec<&str>)> {
    let rest = line.strip_prefix("| `")?;
    let (name, rest) = rest.split_once("` | ")?;
    Some((name, rest.split(" | ").collect()))
}

#[test]
fn the_page_of_protocols_has_each_with_its_ports() {
    let path = format!("{}/../../docs/protocols.md", env!("CARGO_MANIFEST_DIR"));
    let kept = fs::read_to_string(&path).unwrap();
    let mut named = Vec::new();
    let made: String = kept
        .lines()
        .map(|line| {
            let row = cells(line).and_then(|(name, cells)| Some((Application::from_name(name)?, cells)));
            let Some((application, mut cells)) = row else {
                return format!("{line}\n");
            };
            assert_eq!(cells.len(), 5, "{line}");
            assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{line}");
            named.push(application);
            let ports = ports(application);
            cells[1] = &ports;
            format!("| `{}` | {}\n", application.name(), cells.join(" | "))
        })
        .collect();
    let all: BTreeSet<_> = Application::ALL.iter().copied().collect();
    let unnamed: Vec<_> = all.iter().filter(|one| !named.contains(*one)).collect();
    assert!(unnamed.is_empty(), "without a row: {unnamed:?}");
    assert_eq!(named.len(), all.len(), "a protocol has two rows");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
        return;
    }
    assert!(
        kept == made,
        "docs/protocols.md is stale: run `UPDATE_DOCS=1 cargo test -p atalaya-wire --test page`"
    );
}
