//! The ways in which programs were seen: name, path, command line and digest, each way once.

use atalaya_model::Text;
use foldhash::{HashMap, HashMapExt as _};

use super::columns::decoded;
use super::counts::Volume;

/// Bytes of all ways that are kept, roughly. Further ones are kept without their command lines, which differ most; what
/// there is no room for even so is only counted.
const MOST_BYTES: usize = 192 << 20;
/// The same, with those without command lines.
const MOST_BYTES_IN_ALL: usize = 256 << 20;
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 4 << 10;
/// Longest example of connections, in characters.
const MAX_EXAMPLE: usize = 400;

/// What is told of a process, as it stands in a table; empty where nothing is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts<'a> {
    pub(super) name: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) command_line: &'a [u8],
    pub(super) sha256: &'a [u8],
    pub(super) user: &'a [u8],
    pub(super) pid: Option<u64>,
    /// Connections that it had, in words.
    pub(super) connections: &'a [u8],
    /// Its file is as its package brought it.
    pub(super) is_packaged: bool,
}

/// A way in which a program was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    pub(super) name: Text,
    pub(super) path: Option<Text>,
    pub(super) command_line: Option<Text>,
    pub(super) sha256: Option<Text>,
    /// Of an example: the first that told it.
    pub(super) pid: Option<u64>,
    pub(super) user: Option<Text>,
    pub(super) connections: Option<Text>,
    pub(super) is_packaged: bool,
    /// How often, and what it did.
    pub(super) volume: Volume,
}

/// Every way, by what it is.
#[derive(Debug, Default)]
pub(super) struct Programs {
    places: HashMap<Box<[u8]>, usize>,
    pub(super) ways: Vec<Way>,
    bytes: usize,
    key: Vec<u8>,
    /// Sightings that were counted without their command lines.
    pub(super) shortened: u64,
    /// Sightings of ways that there was no room for.
    pub(super) beyond: u64,
}

impl Programs {
    pub(super) fn new() -> Self {
        Self {
            places: HashMap::new(),
            ..Self::default()
        }
    }

    /// Counts a sighting, and gives the place of its way; `None` where there is no room for another one.
    pub(super) fn add(&mut self, facts: &Facts<'_>, volume: &Volume) -> Option<usize> {
        let whole = self.place(facts, MOST_BYTES);
        let place = whole.or_else(|| {
            let place = self.place(
                &Facts {
                    command_line: b"",
                    ..*facts
                },
                MOST_BYTES_IN_ALL,
            );
            self.shortened += u64::from(place.is_some());
            self.beyond += u64::from(place.is_none());
            place
        })?;
        self.count(place, facts, volume)
    }

    /// The place of a way; `None` where it is a new one and this many bytes are taken.
    fn place(&mut self, facts: &Facts<'_>, most: usize) -> Option<usize> {
        self.key.clear();
        for part in [facts.name, facts.path, facts.command_line, facts.sha256] {
            let part = &part[..part.len().min(MAX_TEXT)];
            self.key.extend((part.len() as u32).to_le_bytes());
            self.key.extend(part);
        }
        if let Some(place) = self.places.get(&self.key[..]) {
            return Some(*place);
        }
        if self.bytes >= most {
            return None;
        }
        self.bytes += 2 * self.key.len() + size_of::<Way>() + 64;
        self.places.insert(self.key.as_slice().into(), self.ways.len());
        self.ways.push(Way {
            name: text(facts.name).unwrap_or_default(),
            path: text(facts.path),
            command_line: text(facts.command_line),
            sha256: text(facts.sha256).map(|digest| digest.to_ascii_lowercase().into()),
            pid: None,
            user: None,
            connections: None,
            is_packaged: facts.is_packaged,
            volume: Volume::default(),
        });
        Some(self.ways.len() - 1)
    }

    fn count(&mut self, place: usize, facts: &Facts<'_>, volume: &Volume) -> Option<usize> {
        let way = self.ways.get_mut(place)?;
        way.volume.add(volume);
        way.pid = way.pid.or(facts.pid);
        if way.user.is_none() {
            way.user = text(facts.user);
        }
        if way.connections.is_none() && !facts.connections.is_empty() {
            let connections = decoded(&facts.connections[..facts.connections.len().min(MAX_TEXT)]);
            way.connections = Some(connections.chars().take(MAX_EXAMPLE).collect::<String>().into());
        }
        way.is_packaged &= facts.is_packaged;
        Some(place)
    }
}

fn text(bytes: &[u8]) -> Option<Text> {
    let bytes = &bytes[..bytes.len().min(MAX_TEXT)];
    (!bytes.is_empty()).then(|| decoded(bytes).into())
}

/// Adds up ways that do not tell everything with the one that tells more of the same: of the first look at a process its
/// digest is not known yet, and of one that has ended nothing but the name.
pub(super) fn merged(mut ways: Vec<Way>) -> Vec<Way> {
    /// Ways of one name that are compared with one another.
    const MOST: usize = 2_000;
    if ways.len() > MOST {
        return ways;
    }
    let told = |way: &Way| {
        usize::from(way.path.is_some())
            + usize::from(way.command_line.is_some())
            + usize::from(way.sha256.is_some())
    };
    // Those that tell more come first; of equals the more common one.
    ways.sort_by_key(|way| std::cmp::Reverse((told(way), way.volume.connections)));
    let mut kept: Vec<Way> = Vec::with_capacity(ways.len());
    for way in ways {
        let agrees = |more: &Option<Text>, less: &Option<Text>| less.is_none() || more == less;
        let whole = kept.iter_mut().find(|more| {
            told(more) > told(&way)
                && agrees(&more.path, &way.path)
                && agrees(&more.command_line, &way.command_line)
                && agrees(&more.sha256, &way.sha256)
        });
        match whole {
            Some(more) => {
                more.volume.add(&way.volume);
                more.pid = more.pid.or(way.pid);
                more.user = more.user.take().or(way.user);
                more.connections = more.connections.take().or(way.connections);
            }
            None => kept.push(way),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(path: &'a str, line: &'a str, digest: &'a str) -> Facts<'a> {
        Facts {
            name: b"sh",
            path: path.as_bytes(),
            command_line: line.as_bytes(),
            sha256: digest.as_bytes(),
            ..Facts::default()
        }
    }

    fn once() -> Volume {
        Volume::of(1, 0, 0)
    }

    #[test]
    fn a_way_is_kept_once_and_what_is_told_later_is_added() {
        let mut programs = Programs::new();
        assert_eq!(programs.add(&facts("/bin/sh", "sh", ""), &once()), Some(0));
        let more = Facts {
            pid: Some(7),
            user: b"ana",
            connections: b"tcp a -> b",
            ..facts("/bin/sh", "sh", "")
        };
        assert_eq!(programs.add(&more, &once()), Some(0));
        assert_eq!(programs.add(&facts("/bin/sh", "s", "h"), &once()), Some(1));
        let way = &programs.ways[0];
        assert_eq!((way.volume.connections, way.pid), (2, Some(7)));
        assert_eq!(
            (way.user.as_deref(), way.connections.as_deref()),
            (Some("ana"), Some("tcp a -> b"))
        );
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut programs = Programs::new();
        let long = "x".repeat(10_000);
        // As if nearly all the room were taken.
        programs.bytes = MOST_BYTES - 20_000;
        for number in 0..10 {
            programs.add(&facts("/bin/sh", &format!("{number} {long}"), "aa"), &once());
        }
        assert_eq!(
            (programs.ways.len(), programs.shortened, programs.beyond),
            (4, 7, 0)
        );
        assert_eq!(
            programs.ways[0].command_line.as_deref().map(str::len),
            Some(MAX_TEXT)
        );
        assert_eq!(programs.ways[3].command_line, None);
        assert_eq!(programs.ways[3].volume.connections, 7);
        programs.bytes = MOST_BYTES_IN_ALL;
        assert_eq!(programs.add(&facts("/tmp/sh", "sh", "bb"), &once()), None);
        assert_eq!(programs.add(&facts("/bin/sh", "sh", "aa"), &once()), Some(3));
        assert_eq!(
            (programs.ways.len(), programs.shortened, programs.beyond),
            (4, 8, 1)
        );
    }

    #[test]
    fn what_tells_less_goes_with_what_tells_more() {
        let mut programs = Programs::new();
        for (path, line, digest) in [
            ("/bin/sh", "sh", ""),
            ("/bin/sh", "sh", "aa"),
            ("", "", ""),
            ("/tmp/sh", "sh", ""),
            ("/bin/sh", "sh -x", ""),
            ("/bin/sh", "sh", "aa"),
        ] {
            programs.add(&facts(path, line, digest), &once());
        }
        let ways = merged(programs.ways);
        let told: Vec<_> = ways
            .iter()
            .map(|way| {
                (
                    way.path.as_deref().unwrap(),
                    way.command_line.as_deref().unwrap(),
                    way.volume.connections,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("/bin/sh", "sh", 4),
                ("/tmp/sh", "sh", 1),
                ("/bin/sh", "sh -x", 1)
            ]
        );
    }
}
