use atalaya_model::Application;

use super::*;

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_700_000_000 + seconds)
}

fn process(pid: u32) -> Arc<Process> {
    let key = ProcessKey { pid, start: 1 };
    Arc::new(Process::bare(key, format!("p{pid}").into(), at(0)))
}

fn ip(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

fn whose(process: Option<&Arc<Process>>, last: u8) -> Whose<'_> {
    Whose {
        process,
        remote: ip(last),
        name: None,
        spoken: Spoken::of(None, Transport::Tcp, 443),
        part: Part::Whole,
    }
}

#[test]
fn the_last_ten_seconds_are_averaged() {
    let mut meter = Meter::new(at(0));
    let one = process(1);
    assert_eq!(meter.bandwidth(9), None);
    for second in 1..30 {
        meter.add(whose(Some(&one), 1), Amount::sent(10, 1_000));
        meter.add(whose(None, 2), Amount::sent(1, 500).turned());
        meter.pass(at(second));
        let told = meter.bandwidth(9).unwrap();
        assert_eq!(told.over, Span::from_seconds(second.min(10)));
        let expected = Rate {
            sent_bytes: 1_000,
            received_bytes: 500,
            sent_packets: 10,
            received_packets: 1,
        };
        assert_eq!(told.all, expected);
    }
    let told = meter.bandwidth(9).unwrap();
    assert_eq!(told.counted, Counted::Kernel);
    let by_process: Vec<_> = told
        .processes
        .iter()
        .map(|it| (it.name.as_deref(), it.rate.bytes()))
        .collect();
    assert_eq!(by_process, [(Some("p1"), 1_000), (None, 500)]);
    let by_end: Vec<_> = told
        .destinations
        .iter()
        .map(|it| (it.ip, it.rate.packets()))
        .collect();
    assert_eq!(by_end, [(ip(1), 10), (ip(2), 1)]);
    assert_eq!(told.protocols.len(), 1);
    assert_eq!(
        (&*told.protocols[0].name, told.protocols[0].basis),
        ("https", Some(Basis::Port))
    );
    assert_eq!(meter.bandwidth(1).unwrap().processes.len(), 1);
    // Silence, then a clock that is set back.
    meter.pass(at(100));
    meter.pass(at(101));
    assert_eq!(meter.bandwidth(9).unwrap().all, Rate::default());
    meter.pass(at(50));
    assert_eq!(meter.bandwidth(9), None);
    meter.add(whose(None, 2), Amount::sent(1, 70));
    meter.pass(at(51));
    assert_eq!(meter.bandwidth(9).unwrap().all.sent_bytes, 70);
}

#[test]
fn seconds_that_are_not_quite_seconds_are_told_as_long_as_they_are() {
    let mut meter = Meter::new(at(0));
    for tick in 1..40 {
        meter.add(whose(None, 1), Amount::sent(1, 1_300));
        meter.pass(Time(at(0).0 + tick * 1_300_000));
    }
    let told = meter.bandwidth(1).unwrap();
    assert_eq!((told.over, told.all.sent_bytes), (Span(8 * 1_300_000), 1_000));
    // One that is too short waits.
    meter.add(whose(None, 1), Amount::sent(1, 1_300));
    meter.pass(Time(at(0).0 + 39 * 1_300_000 + 500_000));
    assert_eq!(meter.bandwidth(1), Some(told));
}

#[test]
fn both_ends_and_tunnels_are_counted_once_in_all() {
    let mut meter = Meter::new(at(0));
    let (one, two) = (process(1), process(2));
    let spoken = Spoken::of(Some((Application::Tls, Basis::Content)), Transport::Tcp, 443);
    let amount = Amount::sent(1, 100);
    meter.add(
        Whose {
            spoken,
            ..whose(Some(&one), 1)
        },
        amount,
    );
    let again = Whose {
        spoken,
        part: Part::Again,
        ..whose(Some(&two), 2)
    };
    meter.add(again, amount.turned());
    meter.add(
        Whose {
            part: Part::Inside,
            ..whose(Some(&one), 3)
        },
        amount,
    );
    meter.pass(at(1));
    let told = meter.bandwidth(9).unwrap();
    assert_eq!(told.all, amount.0);
    let by_process: Vec<_> = told
        .processes
        .iter()
        .map(|it| (it.rate.sent_bytes, it.rate.received_bytes))
        .collect();
    assert_eq!(by_process, [(200, 0), (0, 100)]);
    let by_end: Vec<_> = told.destinations.iter().map(|it| it.ip).collect();
    assert_eq!(by_end, [ip(1), ip(3)]);
    let by_protocol: Vec<_> = told.protocols.iter().map(|it| (&*it.name, it.basis)).collect();
    assert_eq!(
        by_protocol,
        [("https", Some(Basis::Port)), ("tls", Some(Basis::Content))]
    );
}

#[test]
fn a_flood_of_ends_is_bounded_and_its_process_still_known() {
    let mut meter = Meter::new(at(0));
    let one = process(1);
    let known = process(2);
    for number in 0..100_000_u32 {
        let remote = Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
        meter.add(
            Whose {
                remote,
                ..whose(Some(&one), 1)
            },
            Amount::sent(1, 60),
        );
    }
    for pid in 3..20_000 {
        meter.add(whose(Some(&process(pid)), 1), Amount::sent(1, 1));
    }
    meter.add(whose(Some(&known), 7), Amount::sent(1, 1_000_000));
    assert!(meter.open.len() <= 2 * MOST_APART + 1);
    meter.pass(at(1));
    let told = meter.bandwidth(2).unwrap();
    assert_eq!(told.processes[0].process, Some(one.key));
    assert_eq!(told.processes[0].rate.sent_bytes, 6_000_000);
    assert_eq!(told.destinations[0].ip, None);
    assert_eq!(told.all.sent_bytes, 7_000_000 + 19_997);
}

#[test]
fn what_a_rare_look_finds_is_spread_over_its_time() {
    let long = Amount::sent(40, 4_000).recent(Span::from_seconds(40));
    assert_eq!(long, Amount::sent(10, 1_000));
    assert_eq!(long.recent(Span::from_seconds(9)), long);
    assert_eq!(Amount::sent(0, u64::MAX).recent(Span(i64::MAX)).0.packets(), 0);
}
