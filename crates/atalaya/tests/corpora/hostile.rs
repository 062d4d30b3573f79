//! Captures made to harm, or damaged, and captures of attacks: nothing panics or hangs, and what is damaged is said.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::replay::{Settings, folder, replay, rows};

/// Events that a frame may lead to, on the average of a capture, and those of a capture of none.
const MOST_OUTPUTS: (u64, u64) = (64, 64);

#[test]
fn damaged_captures_are_read_up_to_the_damage() {
    let Some(folder) = folder("damaged") else { return };
    let (mut captures, mut right, mut packets, mut events) = (0, 0, 0, 0);
    for row in rows(&folder.join("packets.jsonl")) {
        let capture = row["capture"].as_str().unwrap();
        for checksums in [false, true] {
            let settings = Settings {
                checksums,
                apart_by_vlan: true,
            };
            let replayed = replay(&folder.join(capture), settings, &mut |_| {});
            let counted = row["packets"].as_u64().unwrap() == replayed.frames;
            let told = match &replayed.error {
                None => row["readable"] == true,
                Some(error) => row["readable"] == false && names_the_place(error),
            };
            if !counted || !told {
                println!(
                    "{capture}: {} frames, {:?}; wanted {row}",
                    replayed.frames, replayed.error
                );
            }
            let (each, none) = MOST_OUTPUTS;
            let outputs = u64::try_from(replayed.outputs).unwrap();
            assert!(
                outputs <= each * replayed.frames + none,
                "{capture}: {outputs} events of {} frames",
                replayed.frames
            );
            captures += 1;
            right += usize::from(counted && told);
            packets += replayed.frames;
            events += outputs;
        }
    }
    println!(
        "damaged: {right} of {captures} readings as given: {packets} packets, {events} events and alerts"
    );
    assert_eq!((right, captures), (2 * 619, 2 * 619));
}

fn names_the_place(error: &str) -> bool {
    let number_after = |word: &str| {
        error
            .split_once(word)
            .is_some_and(|(_, rest)| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()))
    };
    number_after("record ") && number_after("byte ")
}

/// The program itself: all that cannot be read to the end, and every twentieth of the others.
#[test]
fn the_program_says_what_is_damaged() {
    let Some(folder) = folder("damaged") else { return };
    let (mut damaged, mut whole) = (0, 0);
    for (index, row) in rows(&folder.join("packets.jsonl")).iter().enumerate() {
        let capture = row["capture"].as_str().unwrap();
        let readable = row["readable"] == true;
        if readable && index % 20 != 0 {
            continue;
        }
        let run = Command::new(env!("CARGO_BIN_EXE_atalaya"))
            .args(["replay", "--output", "json"])
            .arg(folder.join(capture))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        if readable {
            assert!(
                matches!(run.status.code(), Some(0 | 1)),
                "{capture}: {}: {said}",
                run.status
            );
            whole += 1;
        } else {
            assert_eq!(run.status.code(), Some(3), "{capture}: {said}");
            assert!(
                said.lines()
                    .any(|line| line.contains(capture) && names_the_place(line)),
                "{capture}: {said}"
            );
            damaged += 1;
        }
    }
    println!("damaged: the program read {whole} captures, and said of {damaged} where they are damaged");
    assert!(damaged == 2 && whole >= 30);
}

#[test]
fn captures_of_attacks_do_no_harm() {
    let Some(folder) = folder("detection") else { return };
    let mut paths: Vec<PathBuf> = rows(&folder.join("truth.jsonl"))
        .iter()
        .map(|row| folder.join(row["capture"].as_str().unwrap()))
        .collect();
    paths.sort();
    paths.dedup();
    let (mut frames, mut outputs) = (0, 0);
    for path in &paths {
        assert!(fs::exists(path).unwrap(), "{}", path.display());
        let replayed = replay(path, Settings::default(), &mut |_| {});
        if let Some(error) = &replayed.error {
            println!("{}: {error}", path.display());
        }
        frames += replayed.frames;
        outputs += replayed.outputs;
    }
    println!(
        "detection: {frames} packets of {} captures, {outputs} events and alerts",
        paths.len()
    );
    assert!(paths.len() > 300);
}
