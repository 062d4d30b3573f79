//! Once, then counted, then told anew.

use proptest::prelude::*;

use super::samples::{NOW, connected, finding};
use super::*;
use crate::{Allow, Period};

fn desk() -> Desk {
    Desk::new(AlertOptions::default(), AllowList::default(), no_techniques(), 0)
}

fn at(seconds: i64) -> Time {
    NOW.after(Span::from_seconds(seconds))
}

#[track_caller]
fn raised(record: Option<AlertRecord>) -> Alert {
    match record {
        Some(AlertRecord::Raised(alert)) => *alert,
        other => panic!("no alert: {other:?}"),
    }
}

/// (alert, seconds after NOW, count) of each.
fn counts(records: &[AlertRecord]) -> Vec<(u64, i64, u64)> {
    let counts = records.iter().map(|record| match record {
        AlertRecord::Repeated { alert, time, count } => (*alert, time.since(NOW).0 / 1_000_000, *count),
        other => panic!("not a count: {other:?}"),
    });
    counts.collect()
}

#[test]
fn a_finding_is_told_once_and_then_counted_once_a_minute() {
    let mut desk = desk();
    let alert = raised(desk.consider(finding("r", "k"), NOW));
    assert_eq!(alert.recurrence, 0);
    assert_eq!(alert.id, (NOW.milliseconds() as u64) << 20);
    for second in 1..60 {
        assert_eq!(desk.consider(finding("r", "k"), at(second)), None);
        assert_eq!(desk.tick(at(second)), []);
    }
    let told = desk.consider(finding("r", "k"), at(60)).unwrap();
    assert_eq!(counts(&[told]), [(alert.id, 60, 61)]);
    // Two more, then silence: the rest is told by a tick a minute after the last telling.
    assert_eq!(desk.consider(finding("r", "k"), at(61)), None);
    assert_eq!(desk.consider(finding("r", "k"), at(70)), None);
    assert_eq!(desk.tick(at(119)), []);
    assert_eq!(counts(&desk.tick(at(120))), [(alert.id, 70, 63)]);
    assert_eq!(desk.tick(at(600)), []);
    assert_eq!(desk.counts().repeated, 62);
    assert_eq!(desk.counts().raised, [0, 0, 0, 1, 0]);
}

#[test]
fn it_is_told_anew_after_a_cooldown_without_repeats() {
    let mut desk = desk();
    let first = raised(desk.consider(finding("r", "k"), NOW));
    desk.consider(finding("r", "k"), at(3_000));
    // 3,599 s after the repeat, though more than an hour after the first.
    assert!(!matches!(
        desk.consider(finding("r", "k"), at(6_599)),
        Some(AlertRecord::Raised(_))
    ));
    let second = raised(desk.consider(finding("r", "k"), at(6_599 + 3_600)));
    assert_eq!(second.recurrence, 1);
    assert!(second.id > first.id);
    let third = raised(desk.consider(finding("r", "k"), at(100_000)));
    assert_eq!(third.recurrence, 2);
}

#[test]
fn an_untold_count_is_told_before_the_alert_is_forgotten_or_raised_anew() {
    let mut desk = desk();
    let first = raised(desk.consider(finding("r", "k"), NOW));
    desk.consider(finding("r", "k"), at(5));
    raised(desk.consider(finding("r", "k"), at(5_000)));
    assert_eq!(counts(&desk.tick(at(5_000))), [(first.id, 5, 2)]);

    let second = raised(desk.consider(finding("r", "other"), at(6_000)));
    desk.consider(finding("r", "other"), at(6_001));
    assert_eq!(counts(&desk.finish(at(6_002))), [(second.id, 6_001, 2)]);
    assert_eq!(desk.finish(at(6_003)), []);
}

#[test]
fn severities_may_have_their_own_cooldown() {
    let mut options = AlertOptions::default();
    options
        .cooldown_by_severity
        .insert(Severity::High, Period(Span::from_seconds(10)));
    let mut desk = Desk::new(options, AllowList::default(), no_techniques(), 0);
    raised(desk.consider(finding("r", "k"), NOW));
    assert_eq!(raised(desk.consider(finding("r", "k"), at(10))).recurrence, 1);
    let low = Finding {
        severity: Severity::Low,
        ..finding("s", "k")
    };
    raised(desk.consider(low.clone(), NOW));
    assert_eq!(desk.consider(low, at(10)), None);
}

#[test]
fn what_becomes_worse_is_told_at_once_and_what_becomes_milder_is_counted() {
    let mut desk = desk();
    let of = |severity| Finding {
        severity,
        ..finding("r", "k")
    };
    raised(desk.consider(of(Severity::Low), NOW));
    assert_eq!(raised(desk.consider(of(Severity::High), at(1))).recurrence, 1);
    assert_eq!(desk.consider(of(Severity::Low), at(2)), None);
    assert_eq!(desk.consider(of(Severity::High), at(3)), None);
}

#[test]
fn ids_rise_also_within_a_millisecond_after_a_restart_and_when_the_clock_is_set_back() {
    let start = ((NOW.milliseconds() as u64) << 20) + 5;
    let mut desk = Desk::new(
        AlertOptions::default(),
        AllowList::default(),
        no_techniques(),
        start,
    );
    let ids: Vec<u64> = [NOW, NOW, at(-500), at(1), Time(-5)]
        .iter()
        .enumerate()
        .map(|(n, now)| raised(desk.consider(finding("r", &n.to_string()), *now)).id)
        .collect();
    assert!(ids[0] == start + 1 && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert_eq!(ids[3], (at(1).milliseconds() as u64) << 20);
}

#[test]
fn a_restart_tells_nothing_twice() {
    let mut before = desk();
    let record = before.consider(finding("r", "k"), NOW).unwrap();
    let id = raised(Some(record.clone())).id;
    before.consider(finding("r", "k"), at(1));
    let mut records = vec![record];
    records.extend(before.finish(at(2)));

    // The store may give the newest first.
    records.reverse();
    let mut after = desk();
    after.recall(records);
    assert_eq!(after.consider(finding("r", "k"), at(30)), None);
    assert_eq!(counts(&after.finish(at(31))), [(id, 30, 3)]);
    let new = raised(after.consider(finding("r", "new"), at(-100)));
    assert!(new.id > id);
    assert_eq!(
        raised(after.consider(finding("r", "k"), at(30 + 3_600))).recurrence,
        1
    );
    // What an earlier run raised is not counted as raised by this one.
    assert_eq!(after.counts().raised, [0, 0, 0, 2, 0]);
}

#[test]
fn what_is_left_of_a_connection_after_a_restart_is_told_no_second_time() {
    let told = desk().consider(connected("r", "203.0.113.9:4444"), NOW).unwrap();
    let mut after = desk();
    after.recall([told]);
    let rest = |to: &str| {
        let mut finding = connected("r", to);
        (finding.process, finding.key) = (None, "unknown".into());
        finding
    };
    assert_eq!(after.consider(rest("203.0.113.9:4444"), at(30)), None);
    raised(after.consider(rest("203.0.113.9:5555"), at(30)));
}

#[test]
fn mild_allowed_and_silenced_findings_are_counted_and_not_told() {
    let options = AlertOptions {
        minimum_severity: Severity::Medium,
        ..AlertOptions::default()
    };
    let entry = Allow {
        port: Some(4444),
        ..Allow::default()
    };
    let (allow, _) = AllowList::compile(&[entry], "", NOW, &[]);
    let mut desk = Desk::new(options, allow, no_techniques(), 0);
    desk.silence(Silence {
        rule: "r".into(),
        key: "k*".into(),
        until: at(10),
    })
    .unwrap();
    let mild = Finding {
        severity: Severity::Low,
        ..finding("r", "x")
    };
    assert_eq!(desk.consider(mild, NOW), None);
    assert_eq!(
        desk.consider(connected("suspicious_port", "203.0.113.9:4444"), NOW),
        None
    );
    assert_eq!(desk.consider(finding("r", "k"), NOW), None);
    let Counts {
        below_minimum,
        allowed,
        silenced,
        ..
    } = desk.counts();
    assert_eq!((below_minimum, allowed, silenced), (1, 1, 1));
    // A finding that was held back is told in full when the silence is over.
    raised(desk.consider(finding("r", "k"), at(10)));
    desk.tick(at(10));
    assert_eq!(desk.silences(), []);
}

#[test]
fn techniques_come_from_the_lookup() {
    let technique = Technique {
        id: "T1571".into(),
        name: "Non-Standard Port".into(),
        tactic: "Command and Control".into(),
    };
    let known = technique.clone();
    let lookup = move |rule: &str| {
        if rule == "suspicious_port" {
            vec![known.clone()]
        } else {
            vec![]
        }
    };
    let mut desk = Desk::new(AlertOptions::default(), AllowList::default(), Box::new(lookup), 0);
    assert_eq!(
        raised(desk.consider(finding("suspicious_port", "k"), NOW)).techniques,
        [technique]
    );
    assert_eq!(raised(desk.consider(finding("other", "k"), NOW)).techniques, []);
}

#[test]
fn the_table_is_bounded_and_what_it_forgets_is_a_gap() {
    let options = AlertOptions::default();
    let mut desk = Desk::with_capacity(options, AllowList::default(), no_techniques(), 0, 3);
    let first = raised(desk.consider(finding("r", "0"), NOW));
    desk.consider(finding("r", "0"), at(1));
    for key in 1..=3 {
        raised(desk.consider(finding("r", &key.to_string()), at(2)));
    }
    assert_eq!(desk.remembered(), 3);
    // The oldest left, its count was told, and the loss is counted once.
    assert_eq!(counts(&desk.tick(at(2))), [(first.id, 1, 2)]);
    let gap = desk.gap(at(2)).unwrap();
    assert_eq!((gap.stage, gap.count), (Stage::Tables, 1));
    assert_eq!(desk.gap(at(3)), None);
    // Use keeps an entry: 1 repeats, so 2 leaves for 4.
    desk.consider(finding("r", "1"), at(4));
    raised(desk.consider(finding("r", "4"), at(5)));
    assert_eq!(desk.consider(finding("r", "1"), at(6)), None);
    assert_eq!(raised(desk.consider(finding("r", "2"), at(7))).recurrence, 0);
    // What left after its cooldown was no loss.
    desk.gap(at(8));
    raised(desk.consider(finding("r", "5"), at(9_000)));
    assert_eq!(desk.gap(at(9_000)), None);
}

proptest! {
    /// Whatever comes: ids rise, counts add up, a key is raised again only after its cooldown.
    #[test]
    fn every_finding_is_raised_or_counted(steps in prop::collection::vec((0_u8..4, 0_i64..4_000), 1..200)) {
        let mut desk = desk();
        let mut now = NOW;
        let mut last_id = 0;
        let mut alerts = HashMap::new();
        let mut last_seen = HashMap::new();
        let mut records = Vec::new();
        for (key, pause) in &steps {
            now = now.after(Span::from_seconds(*pause));
            records.extend(desk.tick(now));
            let record = desk.consider(finding("r", &key.to_string()), now);
            let quiet = last_seen.insert(*key, now).is_none_or(|last| now.since(last) >= Span::from_seconds(3_600));
            prop_assert_eq!(quiet, matches!(record, Some(AlertRecord::Raised(_))));
            records.extend(record);
        }
        records.extend(desk.finish(now));
        for record in records {
            match record {
                AlertRecord::Raised(alert) => {
                    prop_assert!(alert.id > last_id);
                    last_id = alert.id;
                    alerts.insert(alert.id, 1);
                }
                AlertRecord::Repeated { alert, count, .. } => {
                    prop_assert!(alerts.insert(alert, count).unwrap() < count);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(alerts.values().sum::<u64>(), steps.len() as u64);
    }
}
