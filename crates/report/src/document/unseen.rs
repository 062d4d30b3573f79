//! What was not seen: when nobody watched, what was lost, what the way of observing cannot see.

use std::collections::BTreeMap;
use std::ops::Range;

use atalaya_model::{Gap, Span, Text, Tier, TierReport, Time, Value};
use atalaya_store::Run;

use super::{Column, Said, Shape, Table, column, number};

/// A watcher shows life once a minute: one that did so this recently still lives.
const ALIVE: Span = Span::from_seconds(150);

/// The parts of the range in which no watcher ran, oldest first. `runs` are in any order.
pub(super) fn unwatched(range: &Range<Time>, runs: &[Run], now: Time) -> Vec<Range<Time>> {
    let mut watched: Vec<Range<Time>> = runs
        .iter()
        .map(|run| {
            let lives = run.ended.is_none() && run.seen.after(ALIVE) >= now;
            let end = if lives { now } else { run.ended.unwrap_or(run.seen) };
            run.started..end.max(run.seen)
        })
        .collect();
    watched.sort_unstable_by_key(|watched| watched.start);
    let end = range.end.min(now);
    let mut found = Vec::new();
    let mut at = range.start;
    for watched in watched {
        if watched.start > at && at < end {
            found.push(at..watched.start.min(end));
        }
        at = at.max(watched.end);
    }
    if at < end {
        found.push(at..end);
    }
    found
}

/// How long all of them are together.
pub(super) fn length(ranges: &[Range<Time>]) -> Span {
    Span(ranges.iter().map(|range| range.end.since(range.start).0).sum())
}

const UNWATCHED: &[Column] = &[
    column("from", "From", Shape::Time),
    column("until", "Until", Shape::Time),
    column("length", "Length", Shape::Word),
];

/// The table of times in which nobody watched, the longest first.
pub(super) fn unwatched_table(ranges: &[Range<Time>], limit: usize) -> Table {
    let mut longest: Vec<_> = ranges.iter().collect();
    longest.sort_by_key(|range| std::cmp::Reverse(range.end.since(range.start)));
    let rows = longest.into_iter().take(limit).map(|range| {
        vec![
            Some(Value::Time(range.start)),
            Some(Value::Time(range.end)),
            Some(Value::Span(range.end.since(range.start))),
        ]
    });
    Table::new(
        "unwatched",
        "When nobody watched",
        UNWATCHED,
        rows.collect(),
        Some(ranges.len() as u64),
    )
}

const GAPS: &[Column] = &[
    column("stage", "Stage", Shape::Code),
    column("reason", "Reason", Shape::Sentence),
    column("lost", "Lost", Shape::Number),
    column("gaps", "Times", Shape::Number),
    column("first", "First", Shape::Time),
    column("last", "Last", Shape::Time),
];

/// Gaps of one stage and reason together: lost, how often, first and last.
type Lost = (u64, u64, Time, Time);

fn lost(gaps: &[Gap]) -> Vec<((&'static str, &Text), Lost)> {
    let mut found: BTreeMap<(&'static str, &Text), Lost> = BTreeMap::new();
    for gap in gaps {
        let entry = found
            .entry((gap.stage.name(), &gap.reason))
            .or_insert((0, 0, gap.time, gap.time));
        entry.0 = entry.0.saturating_add(gap.count);
        entry.1 += 1;
        entry.2 = entry.2.min(gap.time);
        entry.3 = entry.3.max(gap.time);
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, lost)| std::cmp::Reverse((lost.0, lost.1)));
    found
}

/// The table of losses, the largest first.
pub(super) fn gaps_table(gaps: &[Gap], limit: usize) -> Table {
    let found = lost(gaps);
    let rows = found
        .iter()
        .take(limit)
        .map(|((stage, reason), (lost, times, first, last))| {
            vec![
                Some(Value::from(*stage)),
                Some(Value::from(*reason)),
                number(*lost),
                number(*times),
                Some(Value::Time(*first)),
                Some(Value::Time(*last)),
            ]
        });
    Table::new("gaps", "Losses", GAPS, rows.collect(), Some(found.len() as u64)).about(Said::plain(
        "What was counted as lost, by stage and reason; 0 where only the fact is known.",
    ))
}

const TIERS: &[Column] = &[
    column("time", "Since", Shape::Time),
    column("tier", "Tier", Shape::Code),
    column("unavailable", "Better tiers that are off", Shape::Under),
    column("limits", "Not seen by it", Shape::Under),
];

/// The table of tiers, oldest first.
pub(super) fn tiers_table(tiers: &[(Time, TierReport)], limit: usize) -> Table {
    let rows = tiers.iter().take(limit).map(|(time, report)| {
        let off: Vec<String> = report
            .unavailable
            .iter()
            .map(|(tier, why)| format!("{}: {why}", tier.name()))
            .collect();
        let limits: Vec<String> = report
            .limits
            .iter()
            .map(|limit| match &*limit.remedy {
                "" => limit.what.to_string(),
                remedy => format!("{} ({remedy})", limit.what),
            })
            .collect();
        let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| Value::from(texts.join("; ")));
        vec![
            Some(Value::Time(*time)),
            Some(Value::from(report.tier.name())),
            joined(off),
            joined(limits),
        ]
    });
    Table::new(
        "tiers",
        "How it was seen",
        TIERS,
        rows.collect(),
        Some(tiers.len() as u64),
    )
    .about(Said::plain(
        "The way of observing, from the best to the least: ebpf, events, poll.",
    ))
}

/// What the reader must know of it first.
pub(super) fn sentences(
    range: &Range<Time>,
    unwatched: &[Range<Time>],
    gaps: &[Gap],
    tiers: &[(Time, TierReport)],
) -> Vec<Said> {
    let mut found = Vec::new();
    if !unwatched.is_empty() {
        let whole = range.end.since(range.start);
        found.push(Said::new(
            "Nobody watched for {0} of {1} (stretches: {2}).",
            vec![
                Value::Span(length(unwatched)),
                Value::Span(whole),
                Value::Integer(unwatched.len() as i64),
            ],
        ));
    }
    for ((stage, reason), (lost, times, ..)) in lost(gaps).into_iter().take(3) {
        let what = vec![
            Value::from(stage),
            Value::from(reason),
            Value::Integer(i64::try_from(lost).unwrap_or(i64::MAX)),
            Value::Integer(i64::try_from(times).unwrap_or(i64::MAX)),
        ];
        found.push(Said::new("Lost in {0}: {2} (told {3}×: {1}).", what));
    }
    let below: Vec<_> = tiers
        .iter()
        .filter(|(_, report)| report.tier < Tier::Ebpf)
        .collect();
    if let Some((_, report)) = below.last() {
        let tier = Value::from(report.tier.name());
        found.push(match report.tier {
            Tier::Events => Said::new(
                "Seen by tier {0} for at least a part: UDP, and processes of a moment, only in part.",
                vec![tier],
            ),
            _ => Said::new(
                "Seen by tier {0} for at least a part: what began and ended between two looks may be missing.",
                vec![tier],
            ),
        });
        for limit in report.limits.iter().take(3) {
            found.push(Said::new("{0}", vec![Value::from(&limit.what)]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(started: i64, seen: i64, ended: Option<i64>) -> Run {
        Run {
            version: "1".into(),
            boot_id: "b".into(),
            tier: None,
            started: Time::from_seconds(started),
            seen: Time::from_seconds(seen),
            ended: ended.map(Time::from_seconds),
        }
    }

    fn seconds(ranges: &[Range<Time>]) -> Vec<(i64, i64)> {
        ranges
            .iter()
            .map(|range| (range.start.seconds(), range.end.seconds()))
            .collect()
    }

    #[test]
    fn what_no_run_covers_was_not_watched() {
        let range = Time::from_seconds(100)..Time::from_seconds(2_000);
        let now = Time::from_seconds(1_500);
        let runs = [
            run(900, 1_000, None),
            run(0, 200, Some(210)),
            run(150, 300, Some(300)),
        ];
        // The newest was killed long ago, and nothing after now counts.
        assert_eq!(
            seconds(&unwatched(&range, &runs, now)),
            [(300, 900), (1_000, 1_500)]
        );
        let alive = [run(50, 1_450, None)];
        assert_eq!(unwatched(&range, &alive, now), []);
        assert_eq!(seconds(&unwatched(&range, &[], now)), [(100, 1_500)]);
        let before = Time::from_seconds(10)..Time::from_seconds(40);
        assert_eq!(seconds(&unwatched(&before, &alive, now)), [(10, 40)]);
    }
}
