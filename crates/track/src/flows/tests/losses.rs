//! What is lost in streams is counted and told.

use super::*;

/// Counts and reasons of the losses in streams that were told.
fn told(bench: &Bench) -> Vec<(u64, String)> {
    let gaps = bench.out.iter().filter_map(|event| match &event.fact {
        Fact::Gap(gap) if gap.stage == Stage::Streams => Some((gap.count, gap.reason.to_string())),
        _ => None,
    });
    gaps.collect()
}

#[test]
fn missing_bytes_are_told_once_a_minute_and_at_the_end() {
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench);
    bench.client(ACK, 100, 500, b"hello");
    // Ten bytes never came, and the server has them.
    bench.client(ACK, 115, 500, b"there").server(ACK, 500, 120, b"");
    assert_eq!(bench.flows.stream_losses().missed_bytes, 10);
    bench.pass(30_000);
    assert_eq!(told(&bench), []);
    bench.pass(70_000);
    let reason = "bytes are missing in streams of TCP";
    assert_eq!(told(&bench), [(10, reason.to_owned())]);
    bench.pass(140_000);
    assert_eq!(told(&bench).len(), 1, "nothing new");
    // Three more, of which only the end tells.
    bench.client(ACK, 123, 500, b"more");
    let closed = bench.closed();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].wire.as_ref().unwrap().source.missed_bytes, 13);
    assert_eq!(told(&bench)[1..], [(3, reason.to_owned())]);
}

#[test]
fn contradictions_are_told() {
    let mut bench = Bench::new(FlowOptions::default());
    shake(&mut bench);
    bench.client(ACK, 102, 500, b"later");
    bench.client(ACK, 102, 500, b"later");
    assert_eq!(
        bench.flows.stream_losses(),
        StreamLosses::default(),
        "the same again"
    );
    bench.client(ACK, 102, 500, b"LATER");
    bench.client(ACK, 100, 500, b"1");
    bench.client(ACK, 100, 500, b"12");
    assert_eq!(bench.flows.stream_losses().conflicts, 1);
    bench.closed();
    let told = told(&bench);
    assert!(
        told.len() == 1 && told[0].0 == 1 && told[0].1.contains("contradict"),
        "{told:?}"
    );
}
