//! The list of all protocols that are recognised, and who is asked first.

use std::sync::OnceLock;

use atalaya_model::Application;

use crate::analyser::{Guess, Opening, Over, Speaker};
use crate::{greetings, http, names, services, tls};

/// Every protocol, the most exact first: where two could be meant, the first one is.
static GROUPS: [&[Speaker]; 10] = [
    tls::SPEAKERS,
    http::SPEAKERS,
    names::SPEAKERS,
    greetings::SPEAKERS,
    &services::sessions::SPEAKERS,
    &services::windows::SPEAKERS,
    &services::databases::SPEAKERS,
    &services::tunnels::SPEAKERS,
    &services::peers::SPEAKERS,
    services::SPEAKERS,
];

fn all() -> impl Iterator<Item = &'static Speaker> {
    GROUPS.into_iter().flatten()
}

/// The speaker of this protocol over this kind of transport.
pub fn speaker(application: Application, over: Over) -> Option<&'static Speaker> {
    all().find(|speaker| speaker.application == application && speaker.over.contains(&over))
}

/// Who speaks so: the first that is sure; `Err(true)` where more bytes may tell, `Err(false)` where nobody knows it.
///
/// # Errors
/// See above.
pub fn recognise(opening: &Opening<'_>) -> Result<&'static Speaker, bool> {
    let is_usual = |speaker: &&Speaker| {
        speaker.ports.contains(&opening.destination_port) || speaker.ports.contains(&opening.source_port)
    };
    let fits = |speaker: &&Speaker| speaker.over.contains(&opening.over);
    let mut maybe = false;
    let usual = all().filter(fits).filter(is_usual);
    let others = all().filter(fits).filter(|speaker| !is_usual(speaker));
    for speaker in usual.chain(others) {
        match (speaker.recognise)(opening) {
            Guess::Yes => return Ok(speaker),
            Guess::Maybe => maybe = true,
            Guess::No => {}
        }
    }
    Err(maybe)
}

/// The protocol that usually has one of these ports: a guess.
pub fn by_port(over: Over, source_port: u16, destination_port: u16) -> Option<Application> {
    static TABLES: [OnceLock<Box<[Option<Application>]>>; 2] = [OnceLock::new(), OnceLock::new()];
    let table = TABLES[over as usize].get_or_init(|| {
        let mut table = vec![None; usize::from(u16::MAX) + 1].into_boxed_slice();
        for speaker in all().filter(|speaker| speaker.over.contains(&over)) {
            for port in speaker.ports {
                table[usize::from(*port)].get_or_insert(speaker.application);
            }
        }
        table
    });
    let on = |port: u16| table.get(usize::from(port)).copied().flatten();
    on(destination_port).or_else(|| on(source_port))
}
