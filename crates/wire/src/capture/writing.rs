//! What is written is read again: frames, interfaces, processes; files in turn; the ring and what is frozen of it.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::{Process, ProcessKey, Span, Time};
use proptest::prelude::*;

use super::{Format, Interface, Reader, Recorder, Rotating, Rotation, Writer};
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

fn process(pid: u32) -> Process {
    let key = ProcessKey { pid, start: 99 };
    let mut process = Process::bare(key, Arc::from("curl"), Time(1_700_000_000_000_000));
    process.executable = Some(Arc::from("/usr/bin/curl"));
    process
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
        .write(
            &frame(5, 2, LinkType::ETHERNET, b"abcde"),
            &ethernet,
            Some(&known),
        )
        .unwrap();
    writer
        .write(&frame(6, 7, LinkType::RAW, b"x"), &raw, None)
        .unwrap();
    known.sha256 = Some(Arc::from("00ff"));
    for second in 7..9 {
        writer
            .write(
                &frame(second, 2, LinkType::ETHERNET, b"fg"),
                &ethernet,
                Some(&known),
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
    writer.write(&tagged, &ethernet, Some(&process(1))).unwrap();
    let refused = writer.write(&frame(6, 1, LinkType::RAW, b"x"), &ethernet, None);
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
                .write(&frame(second, 0, LinkType::ETHERNET, &data), &ethernet, None)
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
                Some(&process(1)),
            )
            .unwrap();
        assert!(recorder.bytes() <= limit);
    }
    let frozen = recorder.freeze().unwrap();
    for second in 1_000..1_500 {
        recorder
            .write(&frame(second, 0, LinkType::ETHERNET, &data), &ethernet, None)
            .unwrap();
    }
    let file = folder.path().join("alert.pcapng");
    assert!(frozen.save(&file).unwrap() > limit / 2);
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
            .write(&frame(second, 0, LinkType::ETHERNET, &data), &ethernet, None)
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
        .write(&frame(200, 0, LinkType::ETHERNET, &data), &ethernet, None)
        .unwrap();
    let file = folder.path().join("frozen.pcapng");
    recorder.freeze().unwrap().save(&file).unwrap();
    let kept = seconds(&file);
    assert_eq!((kept.len(), kept[0], kept[98], kept[99]), (100, 0, 98, 200));
}

proptest! {
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
                writer.write(&frame, &ethernet, process.as_ref()).unwrap();
            }
            let rows = read(writer.finish().unwrap());
            prop_assert_eq!(rows.len(), frames.len());
            for (row, (time, _, data, _)) in rows.iter().zip(&frames) {
                prop_assert_eq!((row.0, &row.3), (*time, data));
            }
        }
    }
}
