//! The whole path of a packet: frames go in, lines come out. Whatever the frames are, every line is one JSON object,
//! every conversation begins and ends once, and nothing breaks.

#[cfg(test)]
mod path {
    use std::collections::BTreeSet;

    use atalaya_format::{Context, Language, ecs, eve, zeek};
    use atalaya_model::{Event, Fact, Time};
    use atalaya_track::{FlowOptions, Options, Tracker};
    use atalaya_wire::packet::Options as Decoding;
    use atalaya_wire::{Frame, LinkType};
    use proptest::prelude::*;
    use serde_json::Value;

    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const FIN: u8 = 1;

    /// An Ethernet frame with IPv4, checksums left at 0.
    fn ethernet(answers: bool, protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend(u16::try_from(20 + segment.len()).unwrap().to_be_bytes());
        frame.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
        let ends = [[10, 0, 0, 1], [192, 0, 2, 7]];
        frame.extend(ends[usize::from(answers)]);
        frame.extend(ends[usize::from(!answers)]);
        frame.extend(segment);
        frame
    }

    fn ports(answers: bool, server: u16) -> [u8; 4] {
        let [a, b] = 40_000_u16.to_be_bytes();
        let [c, d] = server.to_be_bytes();
        if answers { [c, d, a, b] } else { [a, b, c, d] }
    }

    /// A whole TCP conversation.
    fn tcp(server: u16, said: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let mut next = [1_000_u32, 9_000];
        let mut frames = Vec::new();
        let mut say = |answers: bool, flags: u8, data: &[u8]| {
            let (own, other) = if answers { (1, 0) } else { (0, 1) };
            let mut segment = ports(answers, server).to_vec();
            segment.extend(next[own].to_be_bytes());
            segment.extend(if flags & ACK == 0 {
                [0; 4]
            } else {
                next[other].to_be_bytes()
            });
            segment.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
            segment.extend(data);
            next[own] += u32::try_from(data.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
            frames.push(ethernet(answers, 6, &segment));
        };
        say(false, SYN, b"");
        say(true, SYN | ACK, b"");
        say(false, ACK, b"");
        for (answers, data) in said {
            say(*answers, ACK, data);
        }
        say(false, FIN | ACK, b"");
        say(true, FIN | ACK, b"");
        say(false, ACK, b"");
        frames
    }

    fn udp(server: u16, said: &[(bool, &[u8])]) -> Vec<Vec<u8>> {
        let datagram = |(answers, data): &(bool, &[u8])| {
            let mut segment = ports(*answers, server).to_vec();
            segment.extend(u16::try_from(8 + data.len()).unwrap().to_be_bytes());
            segment.extend([0, 0]);
            segment.extend(*data);
            ethernet(*answers, 17, &segment)
        };
        said.iter().map(datagram).collect()
    }

    /// A ClientHello that names `a.example`, in a record.
    const HELLO: &[u8] = b"\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x04\x13\x01\xc0\x2f\x01\x00\x00\x14\x00\x00\x00\x10\x00\x0e\x00\x00\x0b\"a\"\\.exampl";
    const QUESTION: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x07exa\"ple\0\0\x01\0\x01";
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07exa\"ple\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";

    /// Conversations as they should be, with texts that need care in JSON.
    fn sound(which: usize) -> Vec<Vec<u8>> {
        match which {
            0 => tcp(
                80,
                &[
                    (
                        false,
                        b"GET /a\"b?c=d HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x\\y\t\xff\r\n\r\n",
                    ),
                    (
                        true,
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok",
                    ),
                ],
            ),
            1 => udp(53, &[(false, QUESTION), (true, ANSWER)]),
            2 => tcp(443, &[(false, HELLO), (true, b"\x15\x03\x03\x00\x02\x02\x28")]),
            3 => tcp(
                25,
                &[
                    (true, b"220 \"mail\" ESMTP\r\n"),
                    (false, b"EHLO \xe9\\client\r\n"),
                    (true, b"250 ok\r\n"),
                    (false, b"MAIL FROM:<a\"b@c>\r\nRCPT TO:<d@e>\r\nDATA\r\n"),
                    (true, b"250 ok\r\n250 ok\r\n354 go on\r\n"),
                    (false, b"Subject: \"\x01\r\n\r\nbody\r\n.\r\n"),
                ],
            ),
            4 => tcp(
                22,
                &[(true, b"SSH-2.0-\"server\\\r\n"), (false, b"SSH-2.0-client\r\n")],
            ),
            5 => udp(
                5060,
                &[(
                    false,
                    b"INVITE sip:\"b\"@c SIP/2.0\r\nVia: SIP/2.0/UDP d\r\nCSeq: 1 INVITE\r\n\r\n",
                )],
            ),
            _ => tcp(9, &[(false, b"who knows"), (true, b"\0\x01\x02")]),
        }
    }

    fn is_object(line: &str) -> Result<(), TestCaseError> {
        prop_assert!(!line.contains('\n'), "a record is one line: {line}");
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(_)) => Ok(()),
            other => Err(TestCaseError::fail(format!("{other:?}: {line}"))),
        }
    }

    /// All lines of an event in all formats.
    fn lines(event: &Event, context: &Context) -> Result<String, TestCaseError> {
        let mut text = String::new();
        ecs::event(&mut text, event, context);
        is_object(text.trim_end_matches('\n'))?;
        let mut all = text;
        let mut text = String::new();
        eve::event(&mut text, event);
        text.lines().try_for_each(is_object)?;
        all.push_str(&text);
        let mut judged = Ok(());
        let mut row = String::new();
        zeek::lines(&mut row, event, |_, line| {
            all.push_str(line);
            judged = std::mem::replace(&mut judged, Ok(())).and_then(|()| is_object(line));
        });
        judged?;
        Ok(all)
    }

    /// Everything that the frames lead to, judged.
    fn walk(
        frames: &[(LinkType, i64, &[u8])],
        most: usize,
        of_captures: bool,
    ) -> Result<String, TestCaseError> {
        let mut tracker = Tracker::new(Options::new(Time(0)));
        let flows = FlowOptions {
            most,
            ..FlowOptions::default()
        };
        tracker.read_packets(Decoding::default(), flows, None);
        let context = Context {
            host_name: "host".into(),
            host_id: None,
            version: "0".into(),
            language: Language::English,
            of_captures,
        };
        let (mut events, mut time) = (Vec::new(), 1_700_000_000_000_000);
        for (link, step, data) in frames {
            time += step;
            let frame = Frame {
                time: Time(time),
                link: *link,
                interface: 0,
                length: u32::try_from(data.len()).unwrap(),
                data,
                vlan: None,
            };
            tracker.frame(&frame, &mut events);
            prop_assert!(tracker.flow_count() <= most);
        }
        tracker.end_packets(&mut events);
        prop_assert_eq!(tracker.flow_count(), 0);
        prop_assert_eq!(tracker.decoded().frames, frames.len() as u64);
        let (mut opened, mut open, mut all) = (BTreeSet::new(), BTreeSet::new(), String::new());
        for event in &events {
            match &event.fact {
                Fact::ConnectionOpened(row) => {
                    prop_assert!(opened.insert(row.id));
                    open.insert(row.id);
                }
                Fact::ConnectionClosed(row) => prop_assert!(open.remove(&row.id)),
                _ => {}
            }
            all.push_str(&lines(event, &context)?);
        }
        prop_assert!(open.is_empty());
        Ok(all)
    }

    fn frames(all: &[Vec<u8>]) -> Vec<(LinkType, i64, &[u8])> {
        all.iter()
            .map(|frame| (LinkType::ETHERNET, 1_000, &frame[..]))
            .collect()
    }

    /// The conversations that are changed below are understood as they are.
    #[test]
    fn sound_conversations_are_told() {
        let tells = [
            "a.example",
            "exa",
            ".exampl",
            "ESMTP",
            "server",
            "INVITE",
            "10.0.0.1",
        ];
        for (which, tell) in tells.iter().enumerate() {
            let told = walk(&frames(&sound(which)), 100, false).unwrap();
            assert!(told.contains(tell), "{which}: {told}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_frames_become_lines(
            all in prop::collection::vec(
                (
                    prop::sample::select(vec![0, 1, 9, 12, 50, 51, 101, 105, 107, 113, 127, 192, 228, 229, 276, 9_999]),
                    -1_000_000_i64..100_000_000,
                    prop::collection::vec(any::<u8>(), 0..200),
                ),
                0..20,
            ),
        ) {
            let all: Vec<_> = all.iter().map(|(link, step, data)| (LinkType(*link), *step, &data[..])).collect();
            walk(&all, 100, false)?;
        }

        /// Frames go missing, come twice or early, are cut, and bytes of them are wrong.
        #[test]
        fn conversations_changed_become_lines(
            (which, and) in (0_usize..7, 0_usize..7),
            changes in prop::collection::vec(
                (0_u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
                0..12,
            ),
            most in prop::sample::select(vec![1, 2, 100]),
            of_captures: bool,
        ) {
            let mut all = [sound(which), sound(and)].concat();
            for (what, frame, at, byte) in changes {
                if all.is_empty() {
                    break;
                }
                let frame = frame.index(all.len());
                match what {
                    0 => drop(all.remove(frame)),
                    1 => {
                        let again = all[frame].clone();
                        all.insert(at.index(all.len()), again);
                    }
                    2 => {
                        let other = at.index(all.len());
                        all.swap(frame, other);
                    }
                    3 => {
                        let length = at.index(all[frame].len() + 1);
                        all[frame].truncate(length);
                    }
                    _ if all[frame].is_empty() => {}
                    _ => {
                        let place = at.index(all[frame].len());
                        all[frame][place] = byte;
                    }
                }
            }
            walk(&frames(&all), most, of_captures)?;
        }
    }
}
