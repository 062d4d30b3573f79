//! `seeds FOLDER [CAPTURE…]`: writes inputs for every target to begin with.

use std::io;
use std::path::{Path, PathBuf};

use atalaya_fuzz::seeds::Seeds;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().unwrap_or_else(|| PathBuf::from("corpus"));
    let mut seeds = Seeds::new(&folder);
    seeds.words()?;
    arguments.try_for_each(|path: PathBuf| seeds.capture(Path::new(&path)))
}
