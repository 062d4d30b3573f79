//! Every capture of the corpora is read: whole where it is whole, up to the damage where it is not.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that tells shares"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use atalaya_wire::capture::{CaptureError, Reader};

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("ATALAYA_CORPORA").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: no corpora");
    }
    folder
}

fn read(path: &Path) -> (u64, Result<(), CaptureError>) {
    let file = File::open(path).unwrap();
    let mut reader = match Reader::open(Box::new(file)) {
        Ok(reader) => reader,
        Err(error) => return (0, Err(error)),
    };
    loop {
        match reader.next() {
            Ok(Some(frame)) => assert!(frame.length as usize >= frame.data.len()),
            Ok(None) => return (reader.records(), Ok(())),
            Err(error) => return (reader.records(), Err(error)),
        }
    }
}

#[test]
fn damaged_captures_are_read_up_to_the_damage() {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join("damaged");
    let table = fs::read_to_string(folder.join("packets.jsonl")).unwrap();
    let (mut right, mut rows) = (0, 0);
    for row in table.lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let name = row["capture"].as_str().unwrap();
        let expected = row["packets"].as_u64().unwrap();
        let (packets, end) = read(&folder.join(name));
        let is_right = match (row["readable"].as_bool().unwrap(), &end) {
            (true, Ok(())) => packets == expected,
            (false, Err(error)) => {
                println!("{name}: {packets} packets of {expected}, then: {error}");
                error.to_string().contains("record") && packets.abs_diff(expected) <= 1
            }
            _ => false,
        };
        rows += 1;
        right += u32::from(is_right);
        if !is_right {
            println!("{name}: {packets} packets of {expected}, {end:?}");
        }
    }
    println!("damaged: {right} of {rows}");
    assert_eq!(right, rows);
}

#[test]
fn all_other_captures_are_read_to_the_end() {
    let Some(corpora) = corpora() else { return };
    for folder in ["flows", "conn", "app", "ja4", "community-id", "detection"] {
        let (mut whole, mut captures, mut packets) = (0, 0, 0);
        let files = fs::read_dir(corpora.join(folder)).unwrap();
        for path in files.map(|file| file.unwrap().path()) {
            let is_capture = |end: &str| matches!(end, "pcap" | "pcapng" | "cap" | "dmp" | "trace");
            if !path
                .extension()
                .and_then(|end| end.to_str())
                .is_some_and(is_capture)
            {
                continue;
            }
            let (read, end) = read(&path);
            captures += 1;
            packets += read;
            match end {
                Ok(()) => whole += 1,
                Err(error) => println!("{}: {read} packets, then: {error}", path.display()),
            }
        }
        println!("{folder}: {whole} of {captures} captures read to the end, {packets} packets");
        assert_eq!(whole, captures, "{folder}");
    }
}
