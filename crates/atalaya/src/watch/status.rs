//! What a watch says of itself: greeting, status line, status for others, summary.

use atalaya_format::numbers;
use atalaya_host::{clock, usage};
use atalaya_model::live::{Joined, MOST_RATES, Status};
use atalaya_model::{Alert, Event, Fact, Severity, Stage, Tier, TierReport};

use super::Plan;
use super::parts::Parts;
use crate::setup::VERSION;

/// Characters of a reason that the status line has room for.
const MOST_OF_REASON: usize = 40;

/// What was counted since the watch began.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) looks: u64,
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) processes: u64,
    pub(super) alerts: [u64; 5],
    pub(super) worst: Option<Severity>,
    /// Alerts since the last snapshot document, where such documents are wanted.
    pub(super) alerts_of_look: Vec<Alert>,
}

/// Alerts that one snapshot document lists, at most.
const MAX_ALERTS_OF_LOOK: usize = 1_000;

impl Totals {
    pub(super) fn event(&mut self, event: &Event) {
        match event.fact {
            Fact::ConnectionOpened(_) => self.opened += 1,
            Fact::ConnectionClosed(_) => self.closed += 1,
            Fact::ProcessStarted(_) => self.processes += 1,
            _ => {}
        }
    }

    pub(super) fn alert(&mut self, alert: &Alert, keep: bool) {
        self.alerts[alert.finding.severity as usize] += 1;
        self.worst = self.worst.max(Some(alert.finding.severity));
        if keep && self.alerts_of_look.len() < MAX_ALERTS_OF_LOOK {
            self.alerts_of_look.push(alert.clone());
        }
    }
}

/// What a person is told at the start.
pub(super) fn greeting(plan: &Plan, parts: &Parts) -> Vec<String> {
    let mut lines = vec![format!(
        "watching {} by tier `{}`",
        parts.identity.name,
        parts.tier.tier.name()
    )];
    for (tier, why) in &parts.tier.unavailable {
        lines.push(format!("tier `{}` is off: {why}", tier.name()));
    }
    if let Some(packets) = &parts.packets {
        let report = packets.report();
        let names: Vec<&str> = report
            .interfaces
            .iter()
            .map(|interface| &*interface.name)
            .collect();
        lines.push(format!("reads packets of {}", names.join(", ")));
        for limit in report.limits {
            lines.push(format!(
                "not read: {} (to change that: {})",
                limit.what, limit.remedy
            ));
        }
    }
    match &plan.store {
        Some(path) => lines.push(format!("history is kept in {}", path.display())),
        None => lines.push("no history is kept".to_owned()),
    }
    if let Some(until) = parts.learning_until {
        lines.push(format!(
            "learning until {} which listeners and executables are ordinary here; --no-learning skips it",
            until.local_clock()
        ));
    }
    for limit in parts.packets.iter().flat_map(|packets| packets.report().limits) {
        lines.push(format!(
            "not captured: {} (to change that: {})",
            limit.what, limit.remedy
        ));
    }
    // What nobody here can change stands in `atalaya status` and the README.
    let changeable = parts
        .tier
        .limits
        .iter()
        .filter(|limit| !limit.remedy.starts_with("none"));
    for limit in changeable {
        lines.push(format!(
            "not seen: {} (to change that: {})",
            limit.what, limit.remedy
        ));
    }
    lines
}

/// What a person is told when the tier `before` had to be given up.
pub(super) fn fallen(before: Tier, report: &TierReport) -> String {
    let reason = report.unavailable.iter().rev().find(|(tier, _)| *tier == before);
    let why = reason.map_or("it does not work any more", |(_, why)| why);
    format!(
        "tier `{}` is off: {why}; watching goes on by tier `{}`, which sees less (`atalaya status` says what not); \
         a new start of the watch tries the better one again",
        before.name(),
        report.tier.name()
    )
}

/// The one line that is always there on a terminal.
pub(super) fn line(plan: &Plan, parts: &Parts, totals: &Totals) -> String {
    let tracker = parts.engine.tracker();
    let mut line = format!(
        "tier {}  connections {}  processes {}  alerts {}  gaps {}",
        tier(&parts.tier),
        numbers::count(tracker.connection_count() as u64),
        numbers::count(tracker.process_count() as u64),
        alerts(&totals.alerts),
        parts.engine.gaps(),
    );
    if parts.learning_until.is_some_and(|until| clock::now() < until) {
        line.push_str("  learning");
    }
    if let Some(error) = parts.keeper.as_ref().and_then(|keeper| keeper.status().error) {
        line.push_str(&format!("  store: {error}"));
    } else if plan.store.is_none() {
        line.push_str("  no store");
    }
    line
}

/// The tier, and in few words why not the best one.
fn tier(report: &TierReport) -> String {
    match report.unavailable.first() {
        Some((better, why)) => {
            let why = why.strip_prefix("failed to ").unwrap_or(why);
            let short: String = why.chars().take(MOST_OF_REASON).collect();
            let more = if short.len() < why.len() { "…" } else { "" };
            format!("{} (no {}: {short}{more})", report.tier.name(), better.name())
        }
        None => report.tier.name().to_owned(),
    }
}

/// `3 (1 high, 2 low)`, or `0`.
fn alerts(counts: &[u64; 5]) -> String {
    let parts: Vec<_> = Severity::ALL
        .into_iter()
        .rev()
        .zip(counts.iter().rev())
        .filter(|(_, count)| **count > 0)
        .map(|(severity, count)| format!("{count} {}", severity.name()))
        .collect();
    match counts.iter().sum::<u64>() {
        0 => "0".to_owned(),
        sum => format!("{sum} ({})", parts.join(", ")),
    }
}

/// What other commands are told.
pub(super) fn of(_plan: &Plan, parts: &Parts, totals: &Totals) -> Status {
    let tracker = parts.engine.tracker();
    let now = clock::now();
    let used = usage::own();
    Status {
        version: VERSION.into(),
        pid: std::process::id(),
        host: parts.identity.name.clone(),
        since: parts.began,
        now,
        learning_until: parts.learning_until.filter(|until| now < *until),
        tier: parts.tier.clone(),
        connections: tracker.connection_count(),
        listeners: tracker.listener_count(),
        processes: tracker.process_count(),
        alerts: totals.alerts,
        gaps: parts.engine.gaps(),
        stages: parts.ledger.counts(),
        traffic: tracker.interface_traffic(&|number| speed(parts, number)),
        bandwidth: tracker.bandwidth(MOST_RATES),
        joined: tracker.joined(),
        store: parts.keeper.as_ref().map(crate::keeper::Keeper::status),
        outlets: parts
            .outlets
            .status()
            .into_iter()
            .map(|outlet| (outlet.name, outlet.last_error))
            .collect(),
        cpu: used.cpu,
        memory: used.resident,
    }
}

/// Bits per second of an interface whose packets are read, where the driver knows.
fn speed(parts: &Parts, number: u32) -> Option<u64> {
    let report = parts.packets.as_ref()?.report();
    let mut interfaces = report.interfaces.iter();
    interfaces.find(|interface| interface.number == number)?.speed
}

/// What packets and the kernel told together and alone, in words.
fn joined(joined: Joined) -> String {
    format!(
        "; told by packets and the kernel: {} connections, by packets alone: {}, by the kernel alone: {}",
        joined.together, joined.packets_only, joined.kernel_only
    )
}

/// What was lost at a stage, in words that follow its number.
const fn lost_at(stage: Stage) -> &'static str {
    match stage {
        Stage::KernelRing => "kernel events (the ring was full)",
        Stage::KernelTables => "conversations or processes (a table in the kernel was full)",
        Stage::SocketEvents => "notices of closed sockets (the kernel's buffer was full)",
        Stage::SocketTable => "socket tables (they could not be read)",
        Stage::Processes => "processes (they ended before they could be read)",
        Stage::LateLookups => "look-ups that came too late (the process had ended)",
        Stage::Hashes => "hashes (files gone, too large, or too many at once)",
        Stage::PacketRing => "frames (the packet ring was full)",
        Stage::Packets => "frames (damaged, or of an unknown kind)",
        Stage::Streams => "bytes of streams (beyond a limit, or missing in the capture)",
        Stage::EngineQueue => "observations (the engine could not keep up)",
        Stage::Tables => "rows (a table was full)",
        Stage::Store => "rows of history (the store could not keep up)",
        Stage::Outlet => "lines of outlets",
        Stage::Subscriber => "messages to subscribers that read too slowly",
        Stage::Watch => "looks",
    }
}

/// What a person is told at the end.
pub(super) fn summary(plan: &Plan, parts: &Parts, totals: &Totals) -> String {
    let used = usage::own();
    let stages = parts.ledger.counts();
    let lost: Vec<_> = stages
        .iter()
        .filter(|stage| stage.dropped > 0)
        .map(|stage| format!("{} {}", stage.dropped, lost_at(stage.stage)))
        .collect();
    let lost = if lost.is_empty() {
        "nothing".to_owned()
    } else {
        lost.join(", ")
    };
    let kept = match &plan.store {
        Some(path) => format!("; history in {}", path.display()),
        None => String::new(),
    };
    let joined = parts.engine.tracker().joined().map_or_else(String::new, joined);
    format!(
        "watched for {}: {} looks, {} connections opened, {} closed, {} processes, alerts: {}{joined}; lost: {lost}; \
         {:.2} CPU seconds, {}{kept}",
        clock::now().since(parts.began),
        totals.looks,
        totals.opened,
        totals.closed,
        totals.processes,
        alerts(&totals.alerts),
        used.cpu.as_seconds(),
        numbers::bytes(used.resident),
    )
}
