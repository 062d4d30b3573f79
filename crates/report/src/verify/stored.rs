//! Verifications of what the store has.

use std::collections::HashMap;
use std::ops::Range;

use atalaya_model::fields::Kind;
use atalaya_model::filter::Expression;
use atalaya_model::{ProcessKey, Text, Time};
use atalaya_store::{Reader, SeenProcess, StoreError, Stored, Sum, SumOf};

use super::counts::Volume;
use super::network::Network;
use super::processes::Processes;
use super::programs::Facts;

/// Newest conversations that are looked through for examples.
const EXAMPLES_FROM: usize = 1_000_000;
/// Listeners that are read, the newest ones.
const MOST_LISTENERS: usize = 50_000;

/// Every process of a range of time: each counts once, however long it ran.
///
/// # Errors
/// When the database cannot be read.
pub fn stored_processes(
    reader: &Reader,
    range: Range<Time>,
    processes: &mut Processes,
) -> Result<(), StoreError> {
    let mut examples: HashMap<(i64, ProcessKey), String> = HashMap::new();
    reader.newest_talks(EXAMPLES_FROM, &mut |process, transport, remote| {
        let text = examples.entry(process).or_default();
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&format!("{} -> {remote}", transport.name()));
    })?;
    reader.seen_processes(range, &mut |seen| {
        let mut facts = facts(seen);
        facts.connections = examples
            .get(&seen.identity)
            .map(String::as_bytes)
            .unwrap_or_default();
        processes.add(&facts, 1, Some((seen.started, seen.last)));
    })
}

/// Every connection that opened within a range of time, and what listened in it.
///
/// # Errors
/// When the database cannot be read.
pub fn stored_network(reader: &Reader, range: Range<Time>, network: &mut Network) -> Result<(), StoreError> {
    reader.network_sums(range.clone(), &mut |of, sum| {
        let volume = volume(sum);
        match of {
            SumOf::All => {
                network.count_rows(sum.connections, 0, 0);
                network.total(&volume);
            }
            SumOf::Process(process) => {
                network.program(&process.map(facts).unwrap_or_default(), &volume);
            }
            SumOf::Address(ip) => network.address(ip, &volume),
            SumOf::Pair(name, ip) => network.pair(name.as_bytes(), ip, &volume),
            SumOf::Port(transport, port) => network.port((Some(transport), port), &volume),
            SumOf::Endpoint(ip, transport, port) => network.endpoint(ip, (Some(transport), port), &volume),
        }
    })?;
    for stored in reader.select(Kind::Listener, &Expression::All, MOST_LISTENERS)? {
        let Stored::Listener(it) = stored else { continue };
        let ended = it.ended.unwrap_or(Time(i64::MAX));
        if it.started >= range.end || ended < range.start {
            continue;
        }
        let process = it.process.as_deref();
        let text = |text: Option<&Text>| text.cloned().unwrap_or_default();
        let (path, user) = (
            text(process.and_then(|process| process.executable.as_ref())),
            text(process.and_then(|process| process.user_name.as_ref())),
        );
        let name = text(process.map(|process| &process.name));
        let facts = Facts {
            name: name.as_bytes(),
            path: path.as_bytes(),
            user: user.as_bytes(),
            pid: process.map(|process| process.key.pid.into()),
            ..Facts::default()
        };
        network.listener(
            &facts,
            Some(it.local.ip),
            (Some(it.transport), it.local.port),
            Some(it.started),
        );
    }
    Ok(())
}

fn facts(seen: &SeenProcess) -> Facts<'_> {
    fn bytes(text: &Option<Text>) -> &[u8] {
        text.as_ref().map(|text| text.as_bytes()).unwrap_or_default()
    }
    Facts {
        name: seen.name.as_bytes(),
        path: bytes(&seen.path),
        command_line: bytes(&seen.command_line),
        sha256: bytes(&seen.sha256),
        user: bytes(&seen.user),
        pid: Some(seen.identity.1.pid.into()),
        connections: b"",
        is_packaged: seen.is_packaged,
    }
}

fn volume(sum: &Sum) -> Volume {
    Volume::of(sum.connections, sum.sent, sum.received).between(Some((sum.first, sum.last)))
}
