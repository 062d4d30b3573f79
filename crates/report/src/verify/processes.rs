//! *Is a program what its name says?* The same name with other content, from another folder, or with other arguments;
//! what was hardly ever seen; and what runs from where programs are not installed.

use std::collections::{BTreeMap, BTreeSet};

use atalaya_model::{Severity, Text, Time, Value};

use super::counts::Volume;
use super::programs::{Facts, Programs, Way, merged};
use super::{Found, Options, Sources};
use crate::document::{Column, Document, Number, Said, Shape, Table, column};

/// A verification of processes under way.
#[derive(Debug)]
pub struct Processes {
    options: Options,
    programs: Programs,
    sightings: u64,
    nameless: u64,
    times: Option<(Time, Time)>,
}

impl Processes {
    /// Nothing seen yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            programs: Programs::new(),
            sightings: 0,
            nameless: 0,
            times: None,
        }
    }

    /// Counts a process that was seen so often.
    pub(super) fn add(&mut self, facts: &Facts<'_>, count: u64, times: Option<(Time, Time)>) {
        self.sightings += count;
        if facts.name.is_empty() {
            self.nameless += count;
            return;
        }
        if let Some((first, last)) = times {
            let (a, b) = self.times.unwrap_or((first, last));
            self.times = Some((a.min(first), b.max(last)));
        }
        let volume = Volume::of(count, 0, 0).between(times);
        self.programs.add(facts, &volume);
    }

    /// What was found.
    pub fn finish(self, sources: Sources) -> Document {
        let mut names: BTreeMap<Text, Vec<Way>> = BTreeMap::new();
        for way in self.programs.ways {
            names.entry(way.name.clone()).or_default().push(way);
        }
        let names: Vec<(Text, Vec<Way>)> = names
            .into_iter()
            .map(|(name, ways)| (name, merged(ways)))
            .collect();
        let ways = || names.iter().flat_map(|(_, ways)| ways);
        let distinct = |get: fn(&Way) -> Option<&Text>| {
            let values: BTreeSet<&Text> = ways().filter_map(get).collect();
            values.len() as u64
        };
        let notes = [
            (self.nameless, "{0} sightings without a name were left out"),
            (
                self.programs.shortened,
                "{0} sightings were counted without their command lines: there was no room for so many different ones",
            ),
            (
                self.programs.beyond,
                "{0} sightings are of ways to run that there was no room for; they are not in the lists",
            ),
        ];
        let found = Found {
            kind: "verify.processes",
            title: "Verification of processes",
            times: self.times,
            numbers: vec![
                Number::count("sightings", "Sightings", self.sightings),
                Number::count("processes", "Process names", names.len() as u64),
                Number::count("paths", "Paths", distinct(|way| way.path.as_ref())),
                Number::count("hashes", "Digests", distinct(|way| way.sha256.as_ref())),
                Number::count(
                    "command_lines",
                    "Command lines",
                    distinct(|way| way.command_line.as_ref()),
                ),
            ],
            tables: vec![
                variations(&names, &self.options),
                suspicious(&names, &self.options),
                rare(&names, &self.options),
            ],
        };
        found.document(&self.options, sources, &notes, [])
    }
}

const VARIATIONS: &[Column] = &[
    column("severity", "Severity", Shape::Severity),
    column("process", "Process", Shape::Word),
    column("differs", "Differs in", Shape::Term),
    column("why", "Why", Shape::Term),
    column("ways", "Ways", Shape::Number),
    column("count", "Seen", Shape::Number),
    column("pid", "Pid", Shape::Number),
    column("user", "User", Shape::Word),
    column("first_seen", "First seen", Shape::Time),
    column("last_seen", "Last seen", Shape::Time),
    column("path", "Path", Shape::Under),
    column("sha256", "SHA-256", Shape::Under),
    column("command_line", "Command line", Shape::Under),
    column("connections", "Connections", Shape::Under),
];

/// Names with several digests, paths or command lines: the gravest first, of each name its rarest way first.
fn variations(names: &[(Text, Vec<Way>)], options: &Options) -> Table {
    let mut varying: Vec<_> = names
        .iter()
        .filter_map(|(name, ways)| {
            let differs = differs(ways);
            (!differs.is_empty()).then(|| (judged(ways, options), name, differs, ways))
        })
        .collect();
    varying.sort_by(|a, b| b.0.0.cmp(&a.0.0).then(a.1.cmp(b.1)));
    let total = varying.iter().map(|(_, _, _, ways)| ways.len() as u64).sum();
    let mut rows = Vec::new();
    for ((severity, why), name, differs, ways) in varying.into_iter().take(options.limit) {
        let mut ways: Vec<&Way> = ways.iter().collect();
        ways.sort_by_key(|way| {
            (
                way.volume.connections,
                std::cmp::Reverse(way.volume.last()),
                &way.path,
            )
        });
        let count = ways.len() as u64;
        for way in ways.into_iter().take(options.limit) {
            rows.push(vec![
                Some(severity.name().into()),
                Some(name.into()),
                Some(Value::List(differs.iter().map(|what| (*what).into()).collect())),
                Some(why.into()),
                Some(count.into()),
                Some(way.volume.connections.into()),
                way.pid.map(Value::from),
                way.user.as_ref().map(Value::from),
                way.volume.first().map(Value::from),
                way.volume.last().map(Value::from),
                way.path.as_ref().map(Value::from),
                way.sha256.as_ref().map(Value::from),
                way.command_line.as_ref().map(Value::from),
                way.connections.as_ref().map(Value::from),
            ]);
        }
    }
    Table::new(
        "variations",
        "One name, several programs",
        VARIATIONS,
        rows,
        Some(total),
    )
    .about(Said::plain(
        "Processes of the same name with different digests, paths or command lines; the rarest way first.",
    ))
    .grouped(5)
}

/// What is compared: its name, and where it is in a way.
type Part = (&'static str, fn(&Way) -> Option<&Text>);

/// In what the ways of one name differ.
fn differs(ways: &[Way]) -> Vec<&'static str> {
    let several = |get: fn(&Way) -> Option<&Text>| {
        let mut values = ways.iter().filter_map(get);
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let parts: [Part; 3] = [
        ("sha256", |way| way.sha256.as_ref()),
        ("path", |way| way.path.as_ref()),
        ("command_line", |way| way.command_line.as_ref()),
    ];
    parts
        .into_iter()
        .filter(|(_, get)| several(*get))
        .map(|(name, _)| name)
        .collect()
}

/// How grave it is that the ways of one name differ, and why.
fn judged(ways: &[Way], options: &Options) -> (Severity, &'static str) {
    let mut contents: BTreeMap<&Text, BTreeSet<&Text>> = BTreeMap::new();
    for way in ways {
        if let Some((path, digest)) = way.path.as_ref().zip(way.sha256.as_ref()) {
            contents.entry(path).or_default().insert(digest);
        }
    }
    let replaced: Vec<&Text> = contents
        .iter()
        .filter(|(_, digests)| digests.len() > 1)
        .map(|(path, _)| *path)
        .collect();
    if !replaced.is_empty() {
        let of_packages = ways
            .iter()
            .filter(|way| way.path.as_ref().is_some_and(|path| replaced.contains(&path)))
            .all(|way| way.is_packaged);
        return match of_packages {
            true => (
                Severity::Low,
                "the same path, another content, each a package's own",
            ),
            false => (Severity::High, "the same path, another content"),
        };
    }
    let is_odd = |path: &Text| options.suspicious.why(path).is_some();
    let (odd, usual): (Vec<&Text>, Vec<&Text>) = ways
        .iter()
        .filter_map(|way| way.path.as_ref())
        .partition(|path| is_odd(path));
    let differing = differs(ways);
    match (odd.is_empty(), usual.is_empty()) {
        (false, false) if differing.contains(&"sha256") => (
            Severity::High,
            "another content under the same name, in a suspicious folder",
        ),
        (false, _) => (Severity::Medium, "runs from a suspicious folder, too"),
        _ if differing.contains(&"sha256") && contents.is_empty() => {
            (Severity::Medium, "another content; where it lies is not known")
        }
        _ if differing.contains(&"sha256") => (Severity::Low, "another content in another place"),
        _ if differing.contains(&"path") => (Severity::Low, "another place"),
        _ => (Severity::Info, "other arguments"),
    }
}

const RARE: &[Column] = &[
    column("what", "What", Shape::Term),
    column("count", "Seen", Shape::Number),
    column("process", "Process", Shape::Word),
    column("pid", "Pid", Shape::Number),
    column("user", "User", Shape::Word),
    column("last_seen", "Last seen", Shape::Time),
    column("value", "Value", Shape::Code),
];

/// Names, digests, paths and command lines that were hardly ever seen.
fn rare(names: &[(Text, Vec<Way>)], options: &Options) -> Table {
    let kinds: [Part; 4] = [
        ("process", |way| Some(&way.name)),
        ("sha256", |way| way.sha256.as_ref()),
        ("path", |way| way.path.as_ref()),
        ("command_line", |way| way.command_line.as_ref()),
    ];
    let (mut rows, mut total) = (Vec::new(), 0);
    for (what, get) in kinds {
        let mut counts: BTreeMap<&Text, (u64, &Way)> = BTreeMap::new();
        for way in names.iter().flat_map(|(_, ways)| ways) {
            if let Some(value) = get(way) {
                let count = counts.entry(value).or_insert((0, way));
                count.0 += way.volume.connections;
            }
        }
        let mut found: Vec<_> = counts
            .into_iter()
            .filter(|(_, (count, _))| *count <= options.rare)
            .collect();
        total += found.len() as u64;
        found.sort_by_key(|(value, (count, way))| (*count, std::cmp::Reverse(way.volume.last()), *value));
        rows.extend(
            found
                .into_iter()
                .take(options.limit)
                .map(|(value, (count, way))| {
                    vec![
                        Some(what.into()),
                        Some(count.into()),
                        Some((&way.name).into()),
                        way.pid.map(Value::from),
                        way.user.as_ref().map(Value::from),
                        way.volume.last().map(Value::from),
                        Some(value.into()),
                    ]
                }),
        );
    }
    Table::new("rare", "Hardly ever seen", RARE, rows, Some(total)).about(Said::new(
        "Names, digests, paths and command lines seen {0} times or less.",
        vec![options.rare.into()],
    ))
}

const SUSPICIOUS: &[Column] = &[
    column("severity", "Severity", Shape::Severity),
    column("process", "Process", Shape::Word),
    column("count", "Seen", Shape::Number),
    column("pid", "Pid", Shape::Number),
    column("user", "User", Shape::Word),
    column("first_seen", "First seen", Shape::Time),
    column("last_seen", "Last seen", Shape::Time),
    column("pattern", "Pattern", Shape::Word),
    column("path", "Path", Shape::Under),
    column("sha256", "SHA-256", Shape::Under),
    column("command_line", "Command line", Shape::Under),
    column("connections", "Connections", Shape::Under),
];

/// What runs from suspicious folders, program or script.
fn suspicious(names: &[(Text, Vec<Way>)], options: &Options) -> Table {
    let mut rows = Vec::new();
    let mut total = 0;
    for way in names.iter().flat_map(|(_, ways)| ways) {
        let Some((path, pattern)) =
            options.suspicion(&way.name, way.path.as_deref(), way.command_line.as_deref())
        else {
            continue;
        };
        total += 1;
        if rows.len() < options.limit {
            rows.push(vec![
                Some(Severity::Medium.name().into()),
                Some((&way.name).into()),
                Some(way.volume.connections.into()),
                way.pid.map(Value::from),
                way.user.as_ref().map(Value::from),
                way.volume.first().map(Value::from),
                way.volume.last().map(Value::from),
                Some(pattern.into()),
                Some(path.into()),
                way.sha256.as_ref().map(Value::from),
                way.command_line.as_ref().map(Value::from),
                way.connections.as_ref().map(Value::from),
            ]);
        }
    }
    Table::new(
        "suspicious_paths",
        "Programs in suspicious folders",
        SUSPICIOUS,
        rows,
        Some(total),
    )
    .about(Said::plain(
        "Installed programs do not live there; downloaded and dropped ones do.",
    ))
}
