//! Speed of hashing, beside other programs on the same file:
//! `cargo run --release -p atalaya-host --example hash_speed [FILE]`, then `openssl speed -evp sha256` and `time sha256sum FILE`.
//! Without a file it makes one of 512 MiB and removes it.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use atalaya_host::linux::hash::{BUFFER, MAX_FILE, sha256};
use atalaya_host::usage;

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut file = match std::env::args_os().nth(1) {
        Some(path) => File::open(path)?,
        None => made_up()?,
    };
    let mut buffer = vec![0; BUFFER];
    let bytes = file.metadata()?.len();
    for round in 0..5 {
        file.rewind()?;
        let before = usage::own().cpu;
        sha256(&file, &mut buffer, MAX_FILE)?;
        let cpu = (usage::own().cpu.0 - before.0).max(1);
        println!(
            "round {round}: {} MB, {:.0} MB per CPU second",
            bytes / 1_000_000,
            bytes as f64 / cpu as f64
        );
    }
    Ok(())
}

fn made_up() -> std::io::Result<File> {
    let path = std::env::temp_dir().join(format!("atalaya-hash-speed-{}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    for number in 0..512u32 {
        file.write_all(&vec![number as u8; 1 << 20])?;
    }
    Ok(file)
}
