//! What is written is read again: frames, interfaces, processes; files in turn; the ring and what is frozen of it.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::process::{Ancestor, Container};
use atalaya_model::{Process, ProcessKey, Span, Time};
use proptest::prelude::*;

use super::{Format, Interface, Owner, Reader, Record, Recorder, Rotating, Rotation, Whose, Writer};
use crate::frame::{Frame, LinkType};

fn frame(second: i64, interface: u32, link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame {
        time: Time(second * 1_000_000 + 7),
        link,
        interface,
        length: 1_500,
        data,
        vlan: None,
    }
}

fn interface(name: &str, link: LinkType) -> Interface {
    Interface {
        name: name.to_owned(),
        link,
        snap_length: 96,
    }
}

fn process(pid: u32) -> Arc<Process> {
    let key = ProcessKey { pid, start: 99 };
    let mut process = Process::bare(key, Arc::from("curl"), Time(1_700_000_000_000_000));
    process.executable = Some(Arc::from("/usr/bin/curl"));
    Arc::new(process)
}

fn of(process: &Arc<Process>) -> Whose<'_> {
    Whose {
        sent: None,
        process: Some(process),
    }
}

/// Time, interface, true length and bytes of every frame.
fn read(bytes: Vec<u8>) -> Vec<(i64, u32, u32, Vec<u8>)> {
    let mut reader = Reader::open(Box::new(Cursor::new(bytes))).unwrap();
    let mut rows = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        rows.push((frame.time.0, frame.interface, frame.length, frame.data.to_vec()));
    }
    rows
}

fn seconds(path: &Path) -> Vec<i64> {
    let rows = read(std::fs::read(path).unwrap());
    rows.iter().map(|row| row.0 / 1_000_000).collect()
}

#[test]
fn pcapng_keeps_interfaces_and_processes() {
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    let (ethernet, raw) = (
        interface("eth0", LinkType::ETHERNET),
        interface("tun0", LinkType::RAW),
    );
    let mut known = process(4_711);
    writer
        .write(&frame(5, 2, LinkType::ETHERNET, b"abcde"), &ethernet, of(&known))
        .unwrap();
    writer
        .write(&frame(6, 7, LinkType::RAW, b"x"), &raw, Whose::default())
        .unwrap();
    Arc::make_mut(&mut known).sha256 = Some(Arc::from("00ff"));
    for second in 7..9 {
        writer
            .write(
                &frame(second, 2, LinkType::ETHERNET, b"fg"),
                &ethernet,
                of(&known),
            )
            .unwrap();
    }
    assert_eq!(writer.packets(), 4);
    let bytes = writer.bytes();
    let file = writer.finish().unwrap();
    assert_eq!(bytes, file.len() as u64);
    assert_eq!(
        read(file.clone()),
        [
            (5_000_007, 0, 1_500, b"abcde".to_vec()),
            (6_000_007, 1, 1_500, b"x".to_vec()),
            (7_000_007, 0, 1_500, b"fg".to_vec()),
            (8_000_007, 0, 1_500, b"fg".to_vec()),
        ]
    );
    let text = String::from_utf8_lossy(&file);
    let told = text.matches("atalaya.process {").count();
    assert_eq!(told, 2, "once, and once more with the hash");
    assert!(text.contains(r#""executable":"/usr/bin/curl","name":"curl","number":0,"pid":4711"#));
    assert!(text.contains(r#""sha256":"00ff""#));
    assert_eq!(text.matches("curl (pid 4711) /usr/bin/curl").count(), 3);
    assert_eq!(text.matches("atalaya.process=0").count(), 3);
}

#[test]
fn pcap_holds_one_kind_of_link() {
    let mut writer = Writer::new(Vec::new(), Format::Pcap);
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let data = [0x11; 20];
    let mut tagged = frame(5, 0, LinkType::ETHERNET, &data);
    tagged.vlan = Some(0x2007);
    writer.write(&tagged, &ethernet, of(&process(1))).unwrap();
    let refused = writer.write(&frame(6, 1, LinkType::RAW, b"x"), &ethernet, Whose::default());
    assert!(refused.unwrap_err().to_string().contains("write pcapng"));
    let rows = read(writer.finish().unwrap());
    let expected = [&[0x11; 12][..], &[0x81, 0, 0x20, 7], &[0x11; 8]].concat();
    assert_eq!(rows, [(5_000_007, 0, 1_504, expected)], "the tag is put back");
}

#[test]
fn captures_without_frames_are_readable() {
    for format in [Format::Pcap, Format::Pcapng] {
        let file = Writer::new(Vec::new(), format).finish().unwrap();
        assert_eq!(read(file), []);
    }
}

#[test]
fn files_take_turns_by_size_and_time_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let data = [0; 400];
    let write = |name: &'static str, rotation: Rotation| {
        let place = folder.path().to_owned();
        let mut files = Rotating::new(Format::Pcapng, rotation, move |number, _| {
            place.join(format!("{name}-{number}.pcapng"))
        });
        for second in 0..10 {
            files
                .write(
                    &frame(second, 0, LinkType::ETHERNET, &data),
                    &ethernet,
                    Whose::default(),
                )
                .unwrap();
        }
        let kept: Vec<_> = files.files().map(Path::to_owned).collect();
        files.finish(Time(0)).unwrap();
        kept
    };
    let by_size = Rotation {
        size: Some(900),
        keep: Some(2),
        ..Rotation::default()
    };
    let kept = write("size", by_size);
    assert_eq!(kept.len(), 2);
    assert_eq!((seconds(&kept[0]), seconds(&kept[1])), (vec![6, 7], vec![8, 9]));
    assert!(!folder.path().join("size-0.pcapng").exists());

    let by_time = Rotation {
        time: Some(Span::from_seconds(4)),
        ..Rotation::default()
    };
    let kept = write("time", by_time);
    assert_eq!(seconds(&kept[1]), [4, 5, 6, 7]);
    assert_eq!(kept.len(), 3);
}

#[test]
fn the_ring_is_bounded_and_frozen_whole() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("ring");
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let data = [0x5a; 1_000];
    let limit = 400 << 10;
    let mut recorder = Recorder::open(&ring, limit).unwrap();
    for second in 0..1_000 {
        recorder
            .write(
                &frame(second, 0, LinkType::ETHERNET, &data),
                &ethernet,
                of(&process(1)),
            )
            .unwrap();
        assert!(recorder.bytes() <= limit);
    }
    let frozen = recorder.freeze().unwrap();
    for second in 1_000..1_500 {
        recorder
            .write(
                &frame(second, 0, LinkType::ETHERNET, &data),
                &ethernet,
                Whose::default(),
            )
            .unwrap();
    }
    let file = folder.path().join("alert.pcapng");
    assert!(frozen.save(&file, |_| None).unwrap() > limit / 2);
    let kept = seconds(&file);
    assert_eq!(kept.last(), Some(&999));
    assert_eq!(kept.len() as i64, 1_000 - kept[0], "none is missing");
    assert!(kept.len() > 200);
    assert!(!folder.path().join("alert.pcapng.partial").exists());
}

#[test]
fn a_ring_that_was_cut_is_mended_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let data = [0x5a; 1_000];
    let mut recorder = Recorder::open(folder.path(), 1 << 20).unwrap();
    for second in 0..100 {
        recorder
            .write(
                &frame(second, 0, LinkType::ETHERNET, &data),
                &ethernet,
                Whose::default(),
            )
            .unwrap();
    }
    // As after a kill: nothing is finished, and what is on the disk can be read up to the last second.
    std::mem::forget(recorder);
    let last = folder.path().join("segment-0000000001.pcapng");
    assert_eq!(seconds(&last).last(), Some(&99));
    let bytes = std::fs::metadata(&last).unwrap().len();
    let cut = std::fs::OpenOptions::new().write(true).open(&last).unwrap();
    cut.set_len(bytes - 10).unwrap();

    let mut recorder = Recorder::open(folder.path(), 1 << 20).unwrap();
    recorder
        .write(
            &frame(200, 0, LinkType::ETHERNET, &data),
            &ethernet,
            Whose::default(),
        )
        .unwrap();
    let file = folder.path().join("frozen.pcapng");
    recorder.freeze().unwrap().save(&file, |_| None).unwrap();
    let kept = seconds(&file);
    assert_eq!((kept.len(), kept[0], kept[98], kept[99]), (100, 0, 98, 200));
}

/// Second, who sent it and the process of every frame.
fn owners(bytes: Vec<u8>) -> Vec<(i64, Option<bool>, Option<Process>)> {
    let mut reader = Reader::open(Box::new(Cursor::new(bytes))).unwrap();
    let mut rows = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        let process = record.whose.process.map(|process| Process::clone(process));
        rows.push((record.frame.time.seconds(), record.whose.sent, process));
    }
    rows
}

/// A process with everything that a capture says of one.
fn full(pid: u32) -> Arc<Process> {
    let mut process = Process::clone(&process(pid));
    process.sha256 = Some("0f".repeat(32).into());
    process.script = Some("/srv/get.sh".into());
    process.user_id = Some(1_000);
    process.user_name = Some("mia".into());
    process.unit = Some("session-3.scope".into());
    process.container = Some(Container {
        runtime: "podman".into(),
        id: "c0ffee".into(),
    });
    let key = ProcessKey { pid: 9, start: 8 };
    process.parent = Some(key);
    process.ancestors = Arc::from([Ancestor {
        key,
        name: "bash".into(),
        executable: Some("/usr/bin/bash".into()),
    }]);
    process.flags.deleted = true;
    Arc::new(process)
}

#[test]
fn processes_are_read_as_they_were_written() {
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    let (one, other) = (full(4_711), process(12));
    let rows = [
        (Some(true), Some(&one)),
        (Some(false), Some(&one)),
        (Some(false), None),
        (None, Some(&other)),
        (None, None),
    ];
    for (second, (sent, process)) in rows.into_iter().enumerate() {
        let frame = frame(second as i64, 0, LinkType::ETHERNET, b"abcde");
        writer.write(&frame, &ethernet, Whose { sent, process }).unwrap();
    }
    let file = writer.finish().unwrap();
    let expected: Vec<_> = rows
        .map(|(sent, process)| (sent, process.map(|it| Process::clone(it))))
        .into();
    let found: Vec<_> = owners(file.clone())
        .into_iter()
        .map(|row| (row.1, row.2))
        .collect();
    assert_eq!(found, expected);
    // A section of its own knows nothing of the one before it.
    let twice = [file, claimed("somebody else's")].concat();
    assert_eq!(owners(twice).last().unwrap().2, None);
}

/// A capture of one packet that bears number 0, after a custom block with this text.
fn claimed(text: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    let ethernet = interface("eth0", LinkType::ETHERNET);
    writer
        .write(&frame(1, 0, LinkType::ETHERNET, b"x"), &ethernet, of(&process(1)))
        .unwrap();
    let file = writer.finish().unwrap();
    let at = file
        .windows(4)
        .position(|bytes| bytes == [0xad, 0x0b, 0, 0])
        .unwrap();
    let length = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
    let padded = text.len().next_multiple_of(4);
    let whole = (padded + 16) as u32;
    let mut block = [
        &[0xad, 0x0b, 0, 0][..],
        &whole.to_le_bytes(),
        &32_473_u32.to_le_bytes(),
        text.as_bytes(),
    ]
    .concat();
    block.resize(block.len() + padded - text.len(), 0);
    block.extend(whole.to_le_bytes());
    [&file[..at], &block, &file[at + length..]].concat()
}

#[test]
fn what_the_reader_forgets_is_told_again() {
    let ethernet = interface("eth0", LinkType::ETHERNET);
    let mut writer = Writer::new(Vec::new(), Format::Pcapng);
    // More than 32 MiB of blocks, and then the first ones again.
    for pid in (1..=5_000).chain(1..=10) {
        let mut process = Process::clone(&process(pid));
        process.script = Some("x".repeat(7_000).into());
        let frame = frame(i64::from(pid), 0, LinkType::ETHERNET, &[1; 60]);
        writer.write(&frame, &ethernet, of(&Arc::new(process))).unwrap();
    }
    for (second, _, process) in owners(writer.finish().unwrap()) {
        let pid = process.map(|process| i64::from(process.key.pid));
        assert_eq!(pid, Some(second));
    }
}

#[test]
fn what_is_no_sound_process_is_none() {
    let good = r#""number":0,"pid":7,"start":1,"started":"2026-01-01T00:00:00Z","name":"x""#;
    let found = |object: &str| owners(claimed(&format!("atalaya.process {object}"))).remove(0).2;
    assert_eq!(found(&format!("{{{good}}}")).unwrap().key.pid, 7);
    for bad in ["", "{", "null", "[[[[", "{}", &"[".repeat(7_000)] {
        assert_eq!(found(bad), None, "{bad}");
    }
    for (from, to) in [
        (r#""number":0"#, r#""number":1"#),
        (r#""number":0"#, r#""number":-1"#),
        (r#""pid":7"#, r#""pid":0"#),
        (r#""pid":7"#, r#""pid":4194305"#),
        (r#""pid":7"#, r#""pid":"7""#),
        ("2026-01-01T00:00:00Z", "yesterday"),
        (r#""name":"x""#, r#""name":"""#),
        (r#""name":"x""#, r#""name":"a\u0000b""#),
    ] {
        assert_eq!(found(&format!("{{{}}}", good.replace(from, to))), None, "{to}");
    }
    let long = "x".repeat(1_025);
    let doubtful = format!(
        r#"{{{good},"executable":"{long}","sha256":"XYZ","user_id":-1,"user_name":7,"flags":9,"parent":{{"pid":0}}}}"#
    );
    let process = found(&doubtful).unwrap();
    assert_eq!(process, Process::bare(process.key, "x".into(), process.started));
    // What is longer than any process is nobody's.
    assert_eq!(
        found(&format!("{{{good},\"more\":\"{}\"}}", "x".repeat(9_000))),
        None
    );
    assert_eq!(owners(claimed("somebody else's")).remove(0).2, None);
}

#[test]
fn what_is_frozen_gets_the_processes_that_are_known_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let (ethernet, raw) = (
        interface("eth0", LinkType::ETHERNET),
        interface("tun0", LinkType::RAW),
    );
    let data = [0x5a; 1_000];
    let mut recorder = Recorder::open(folder.path(), 1 << 20).unwrap();
    for second in 0..200 {
        // The second segment meets the interfaces in another order.
        let (number, interface) = if second % 3 == 0 {
            (4, &raw)
        } else {
            (7, &ethernet)
        };
        let whose = Whose {
            sent: Some(second % 2 == 0),
            process: None,
        };
        recorder
            .write(&frame(second, number, interface.link, &data), interface, whose)
            .unwrap();
    }
    let file = folder.path().join("alert.pcapng");
    let owner = full(4_711);
    let found = |record: &Record<'_>| {
        let second = record.frame.time.seconds();
        assert_eq!(record.interface.link, record.frame.link);
        (second % 5 == 0).then(|| Owner {
            process: Arc::clone(&owner),
            sent: true,
        })
    };
    recorder.freeze().unwrap().save(&file, found).unwrap();
    let rows = owners(std::fs::read(&file).unwrap());
    assert_eq!(rows.len(), 200);
    for (second, sent, process) in rows {
        let is_known = second % 5 == 0;
        assert_eq!(sent, Some(is_known || second % 2 == 0));
        assert_eq!(process, is_known.then(|| Process::clone(&owner)));
    }
    let mut reader = Reader::open(Box::new(std::fs::File::open(&file).unwrap())).unwrap();
    while let Some(record) = reader.next_record().unwrap() {
        let name = if record.frame.time.seconds() % 3 == 0 {
            "tun0"
        } else {
            "eth0"
        };
        assert_eq!(record.interface.name, name);
    }
    assert_eq!(reader.interfaces().len(), 2);
}

proptest! {
    #[test]
    fn no_claim_makes_it_panic(text in ".{0,300}", cut in 0..400_usize) {
        let mut file = claimed(&format!("atalaya.process {text}"));
        owners(file.clone());
        let at = file.len().saturating_sub(cut + 1);
        file[at] ^= 0x41;
        if let Ok(mut reader) = Reader::open(Box::new(Cursor::new(file))) {
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }

    #[test]
    fn what_is_written_is_read(
        frames in proptest::collection::vec(
            (0..4_000_000_000_000_000_i64, 0..4_u32, proptest::collection::vec(any::<u8>(), 0..80), any::<bool>()),
            0..40,
        ),
    ) {
        let ethernet = interface("eth0", LinkType::ETHERNET);
        for format in [Format::Pcap, Format::Pcapng] {
            let mut writer = Writer::new(Vec::new(), format);
            for (time, number, data, named) in &frames {
                let frame = Frame { time: Time(*time), ..frame(0, *number, LinkType::ETHERNET, data) };
                let process = named.then(|| process(*number));
                let whose = Whose { sent: named.then_some(*time % 2 == 0), process: process.as_ref() };
                writer.write(&frame, &ethernet, whose).unwrap();
            }
            let rows = read(writer.finish().unwrap());
            prop_assert_eq!(rows.len(), frames.len());
            for (row, (time, _, data, _)) in rows.iter().zip(&frames) {
                prop_assert_eq!((row.0, &row.3), (*time, data));
            }
        }
    }
}
