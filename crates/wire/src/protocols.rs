//! The list of all protocols that are recognised, and who is asked first.

use std::sync::OnceLock;

use atalaya_model::Application;

use crate::analyser::{Guess, Opening, Over, Speaker};
use crate::{greetings, http, names, services, tls};

/// Every protocol, the most exact first: where two could be meant, the first one is.
static GROUPS: [&[Speaker]; 11] = [
    tls::SPEAKERS,
    http::SPEAKERS,
    names::SPEAKERS,
    greetings::SPEAKERS,
    &services::directories::SPEAKERS,
    &services::sessions::SPEAKERS,
    &services::windows::SPEAKERS,
    &services::databases::SPEAKERS,
    &services::tunnels::SPEAKERS,
    &services::peers::SPEAKERS,
    &services::plain::SPEAKERS,
];

/// Every protocol that is recognised, the most exact first; one over streams and datagrams may be there twice.
pub fn all() -> impl Iterator<Item = &'static Speaker> {
    GROUPS.into_iter().flatten()
}

/// The speakers over one kind of transport.
struct Table {
    /// All of them, in the order of the list.
    all: Vec<&'static Speaker>,
    /// Those that usually have a port, by the number that `ports` gives; none for 0.
    usual: Vec<Vec<&'static Speaker>>,
    /// For each port the place in `usual`.
    ports: Box<[u8]>,
}

impl Table {
    fn new(over: Over) -> Self {
        let all: Vec<_> = all().filter(|speaker| speaker.over.contains(&over)).collect();
        let mut table = Self {
            all,
            usual: vec![Vec::new()],
            ports: vec![0; usize::from(u16::MAX) + 1].into_boxed_slice(),
        };
        for port in 1..=u16::MAX {
            let usual: Vec<_> = table
                .all
                .iter()
                .copied()
                .filter(|speaker| speaker.ports.contains(&port))
                .collect();
            if !usual.is_empty()
                && let Ok(place) = u8::try_from(table.usual.len())
                && let Some(entry) = table.ports.get_mut(usize::from(port))
            {
                *entry = place;
                table.usual.push(usual);
            }
        }
        table
    }

    fn of(over: Over) -> &'static Self {
        static TABLES: [OnceLock<Table>; 2] = [OnceLock::new(), OnceLock::new()];
        TABLES[over as usize].get_or_init(|| Self::new(over))
    }

    /// Who usually has this port.
    fn usual(&self, port: u16) -> &[&'static Speaker] {
        let place = self.ports.get(usize::from(port)).copied().unwrap_or(0);
        self.usual.get(usize::from(place)).map_or(&[], Vec::as_slice)
    }
}

/// The speaker of this protocol over this kind of transport.
pub fn speaker(application: Application, over: Over) -> Option<&'static Speaker> {
    let mut all = Table::of(over).all.iter().copied();
    all.find(|speaker| speaker.application == application)
}

/// Who speaks so: the first that is sure, but for those that are `refused`; `Err(true)` where more bytes may tell,
/// `Err(false)` where nobody knows it. Those who usually have the ports are asked first.
///
/// # Errors
/// See above.
pub fn recognise(opening: &Opening<'_>, refused: Option<Application>) -> Result<&'static Speaker, bool> {
    let table = Table::of(opening.over);
    let usual = table.usual(opening.destination_port).iter();
    let usual = usual.chain(table.usual(opening.source_port));
    let mut maybe = false;
    for speaker in usual.chain(&table.all) {
        match (speaker.recognise)(opening) {
            Guess::No => {}
            _ if refused == Some(speaker.application) => {}
            Guess::Yes => return Ok(speaker),
            Guess::Maybe => maybe = true,
        }
    }
    Err(maybe)
}

/// The protocol that usually has one of these ports: a guess.
pub fn by_port(over: Over, source_port: u16, destination_port: u16) -> Option<Application> {
    let table = Table::of(over);
    let first = |port| Some(table.usual(port).first()?.application);
    first(destination_port).or_else(|| first(source_port))
}
