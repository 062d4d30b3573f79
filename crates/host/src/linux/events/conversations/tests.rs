use super::*;
use atalaya_model::{Evidence, Owners, Transport};
use proptest::prelude::*;

const SOCKET: u64 = 0xffff_8880_0000_0100;
const COOKIE: u64 = 77;

fn end(port: u16) -> Endpoint {
    Endpoint::new([127, 0, 0, 1].into(), port)
}

fn state(time: u64, process: u32, from: SocketState, to: SocketState) -> Sample {
    state_of(SOCKET, time, process, (from, to), (end(40_000), end(80)))
}

/// Process 0 stands for the network.
fn state_of(
    socket: u64,
    time: u64,
    process: u32,
    (from, to): (SocketState, SocketState),
    (local, remote): Ends,
) -> Sample {
    Sample {
        time,
        process: (process != 0).then_some(process),
        what: What::State {
            socket,
            from,
            to,
            local,
            remote,
            by_fin: (from == FinWait2).then_some(true),
        },
    }
}

fn destroyed(time: u64, process: u32, cookie: u64) -> Sample {
    Sample {
        time,
        process: (process != 0).then_some(process),
        what: What::Destroyed {
            socket: SOCKET,
            cookie,
        },
    }
}

fn failed(error: i32) -> Sample {
    Sample {
        time: 0,
        process: None,
        what: What::Failed {
            local: end(40_000),
            remote: end(80),
            error,
        },
    }
}

fn heard(samples: impl IntoIterator<Item = Sample>) -> Conversations {
    let mut conversations = Conversations::default();
    samples.into_iter().for_each(|sample| conversations.take(sample));
    conversations
}

fn partner(conversations: &mut Conversations) -> Conversation {
    match conversations.partner(&notice()) {
        Partner::Conversation(conversation) => *conversation,
        other => panic!("{other:?}"),
    }
}

fn notice() -> Socket {
    dumped(COOKIE, Close, end(40_000), end(80))
}

fn dumped(cookie: u64, state: SocketState, local: Endpoint, remote: Endpoint) -> Socket {
    Socket {
        transport: Transport::Tcp,
        state,
        local,
        remote,
        namespace: 1,
        cookie,
        inode: 5,
        user_id: 0,
        cgroup_id: 0,
        traffic: None,
        owners: Owners::Unknown(Evidence::NotFound),
    }
}

use SocketState::{Close, CloseWait, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent};

#[test]
fn who_connects_is_the_user_and_the_port_comes_later() {
    let unbound = (end(0), end(80));
    let mut conversations = heard([
        state_of(SOCKET, 10, 7, (Close, SynSent), unbound),
        state(20, 0, SynSent, Established),
        state(30, 8, Established, FinWait1),
        state(40, 0, FinWait2, Close),
        destroyed(50, 0, COOKIE),
    ]);
    let told = partner(&mut conversations);
    assert_eq!(
        (told.began, told.began_before, told.side),
        (10, false, Some(Side::Source))
    );
    assert_eq!((told.local, told.remote), (end(40_000), end(80)));
    assert_eq!(told.user, Some((7, 10)));
    assert_eq!(told.end.unwrap().has_fin, Some(true));
    assert_eq!(told.outcome(), Outcome::Finished);
    assert_eq!(conversations.partner(&notice()), Partner::Late);
}

#[test]
fn who_ends_an_accepted_connection_is_its_user() {
    let mut conversations = heard([
        state(10, 5, SynReceived, Established), // sent the last segment of the handshake
        state(20, 9, CloseWait, LastAck),
        state(30, 5, LastAck, Close),
        destroyed(40, 5, COOKIE),
    ]);
    let told = partner(&mut conversations);
    assert_eq!((told.side, told.user), (Some(Side::Destination), Some((9, 20))));
    assert_eq!(told.end.unwrap().has_fin, Some(true));
}

#[test]
fn whoever_lets_go_of_a_broken_connection_was_its_user() {
    let mut conversations = heard([
        state(10, 0, SynReceived, Established),
        state(20, 0, Established, Close),
        failed(libc::ECONNRESET),
        destroyed(30, 9, COOKIE),
    ]);
    let told = partner(&mut conversations);
    assert_eq!((told.user, told.outcome()), (Some((9, 30)), Outcome::Reset));
}

#[test]
fn an_error_before_or_after_the_end_says_how_it_failed() {
    let begin = || state(10, 7, Close, SynSent);
    let end = || state(20, 0, SynSent, Close);
    for (samples, expected) in [
        (vec![begin(), end(), failed(libc::ECONNREFUSED)], Outcome::Refused),
        (vec![begin(), failed(libc::ETIMEDOUT), end()], Outcome::Unanswered),
        (
            vec![begin(), failed(libc::EHOSTUNREACH), end()],
            Outcome::Unreachable,
        ),
        (vec![begin(), state(20, 7, SynSent, Close)], Outcome::Abandoned),
    ] {
        let mut conversations = heard(samples);
        conversations.take(destroyed(30, 7, COOKIE));
        assert_eq!(partner(&mut conversations).outcome(), expected);
    }
}

#[test]
fn a_connect_that_found_no_port_is_no_conversation() {
    let unbound = (end(0), end(80));
    let mut conversations = heard([
        state_of(SOCKET, 10, 7, (Close, SynSent), unbound),
        state_of(SOCKET, 11, 7, (SynSent, Close), unbound),
        destroyed(20, 7, COOKIE),
    ]);
    assert_eq!(conversations.partner(&notice()), Partner::Nothing);
}

#[test]
fn what_began_before_the_watch_is_said_to() {
    let mut conversations = heard([state(20, 9, Established, FinWait1), state(30, 0, FinWait2, Close)]);
    conversations.take(destroyed(40, 0, COOKIE));
    let told = partner(&mut conversations);
    assert!(told.began_before && told.side.is_none() && !told.is_listener);
    assert_eq!(told.user, Some((9, 20)));
    // One that was never connected has no history at all.
    conversations.take(destroyed(50, 9, COOKIE));
    assert_eq!(conversations.partner(&notice()), Partner::Nothing);
}

#[test]
fn a_look_meets_those_that_live_and_tells_them_once() {
    let mut conversations = heard([
        state(10, 7, Close, SynSent),
        state(20, 0, SynSent, Established),
        state_of(
            1,
            30,
            8,
            (Close, Listen),
            (end(80), Endpoint::new([0, 0, 0, 0].into(), 0)),
        ),
    ]);
    let by_ends = conversations.by_ends();
    let socket = dumped(COOKIE, Established, end(40_000), end(80));
    let (address, conversation) = conversations.meet(&socket, &by_ends).unwrap();
    assert_eq!((address, conversation.user), (SOCKET, Some((7, 10))));
    assert!(conversations.tell(address, COOKIE).is_some());
    assert!(conversations.tell(address, COOKIE).is_none());
    // At the next look the cookie is enough.
    let none = conversations.by_ends();
    assert_eq!(none.len(), 1);
    assert!(conversations.meet(&socket, &none).is_some());
    // Not the remains of an earlier connection, nor a connection for a listener.
    let waiting = dumped(5, SocketState::TimeWait, end(40_000), end(80));
    assert!(conversations.meet(&waiting, &by_ends).is_none());
    assert!(
        conversations
            .meet(&dumped(6, Established, end(40_000), end(80)), &by_ends)
            .is_none()
    );
    let listener = dumped(6, Listen, end(80), Endpoint::new([0, 0, 0, 0].into(), 0));
    assert!(conversations.meet(&listener, &none).is_some());
}

#[test]
fn the_same_ends_in_two_namespaces_say_nothing() {
    let ends = (end(40_000), end(80));
    let mut conversations = heard([
        state_of(1, 10, 7, (Close, SynSent), ends),
        state_of(2, 11, 8, (Close, SynSent), ends),
    ]);
    let socket = dumped(COOKIE, Established, ends.0, ends.1);
    assert!(conversations.meet(&socket, &conversations.by_ends()).is_none());
    // Their ends are told apart all the same.
    conversations.take(state_of(2, 20, 8, (SynSent, Close), ends));
    conversations.take(Sample {
        time: 30,
        process: None,
        what: What::Destroyed {
            socket: 2,
            cookie: COOKIE,
        },
    });
    assert_eq!(partner(&mut conversations).user, Some((8, 11)));
}

#[test]
fn without_a_notice_an_end_is_told_after_a_while() {
    let mut conversations = heard([state(10, 7, Close, SynSent), state(20, 0, SynSent, Close)]);
    conversations.take(destroyed(30, 7, COOKIE));
    assert!(conversations.expired(30 + PATIENCE).is_empty());
    let expired = conversations.expired(31 + PATIENCE);
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].0, expired[0].1.user), (COOKIE, Some((7, 10))));
    // The notice that comes after all is not told as another one.
    assert_eq!(conversations.partner(&notice()), Partner::Told);
    assert_eq!(conversations.partner(&notice()), Partner::Late);
}

#[test]
fn an_end_that_was_learnt_late_has_as_long_to_wait() {
    let mut conversations = heard([state(10, 7, Close, SynSent)]);
    conversations.set_time(5 * PATIENCE);
    conversations.take(destroyed(30, 7, COOKIE));
    assert!(conversations.expired(6 * PATIENCE).is_empty());
    assert_eq!(conversations.expired(6 * PATIENCE + 1).len(), 1);
}

#[test]
fn after_a_loss_what_no_look_meets_is_forgotten() {
    let mut conversations = heard([state(10, 7, Close, SynSent)]);
    conversations.tell(SOCKET, COOKIE);
    conversations.settle(|_| false);
    assert_eq!(conversations.open.len(), 1);
    conversations.shake();
    conversations.settle(|cookie| cookie == COOKIE);
    assert_eq!(conversations.open.len(), 1);
    conversations.shake();
    conversations.settle(|_| false);
    assert!(conversations.open.is_empty() && conversations.told.is_empty());
}

#[test]
fn an_address_that_passed_on_unheard_is_not_taken_for_the_earlier_socket() {
    let later = (end(50_000), end(80));
    let before = || [state(10, 7, Close, SynSent), state(20, 0, SynSent, Close)];
    // The end of the first and the beginning of the second were lost.
    let mut conversations = heard(before());
    conversations.take(state_of(SOCKET, 90, 9, (Established, FinWait1), later));
    conversations.take(destroyed(99, 0, COOKIE));
    assert_eq!(conversations.partner(&notice()), Partner::Nothing);
    let mut conversations = heard(before());
    conversations.take(state_of(SOCKET, 90, 9, (Established, FinWait1), later));
    conversations.take(destroyed(99, 0, COOKIE));
    let notice = dumped(COOKIE, Close, later.0, later.1);
    let Partner::Conversation(told) = conversations.partner(&notice) else {
        panic!("it has no partner");
    };
    assert_eq!(
        (told.began, told.began_before, told.user),
        (90, true, Some((9, 90)))
    );
}

#[test]
fn the_number_is_bounded_and_what_is_refused_is_counted() {
    let mut conversations = Conversations::default();
    let ends = (end(40_000), end(80));
    for socket in 0..MOST_OPEN as u64 + 3 {
        conversations.take(state_of(socket, 10, 7, (Close, SynSent), ends));
    }
    assert_eq!(conversations.open.len(), MOST_OPEN);
    assert_eq!(
        (conversations.take_refused(), conversations.take_refused()),
        (3, 0)
    );
}

proptest! {
    #[test]
    fn any_order_leaves_the_tables_in_agreement(
        steps in proptest::collection::vec((0u64..3, 0u8..4, 1u8..12, 1u8..12, 0u32..3), 0..60)
    ) {
        let mut conversations = Conversations::default();
        for (step, (socket, what, from, to, process)) in steps.into_iter().enumerate() {
            let time = step as u64;
            let ends = (end(40_000 + socket as u16), end(80));
            let state = |number| SocketState::from_kernel(number).unwrap();
            match what {
                0 => { conversations.tell(socket, 100 + time); }
                1 => conversations.take(Sample { time, process: None, what: What::Destroyed { socket, cookie: time } }),
                _ => conversations.take(state_of(socket, time, process, (state(from), state(to)), ends)),
            }
            let told = conversations.open.values().filter(|one| one.told.is_some()).count();
            prop_assert_eq!(told, conversations.told.len());
            for (cookie, address) in &conversations.told {
                prop_assert_eq!(conversations.open[address].told, Some(*cookie));
            }
        }
        let waiting = conversations.ended.values().flatten().count();
        prop_assert_eq!(conversations.expired(u64::MAX).len(), waiting);
        prop_assert!(conversations.ended.is_empty());
    }
}
