//! Saved questions: a SQL file each, in a folder beside the configuration.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use atalaya_store::console::SavedQuestion;

use crate::config::load::Loaded;
use crate::exit::Failure;
use crate::paths::Places;

/// Longest name, in bytes.
const NAME: usize = 64;
/// Longest file, in bytes.
const FILE: u64 = 64 << 10;
/// Files in the folder that are looked at, at most.
const FILES: usize = 1_000;

/// The folder of the user's questions: beside the configuration that is in force, or where that would be.
pub(super) fn folder(loaded: &Loaded, places: &Places) -> PathBuf {
    loaded
        .path
        .as_deref()
        .unwrap_or(&places.config)
        .with_file_name("queries")
}

/// Every saved question: first those of the program, then the user's by name.
pub(super) fn all(folder: &Path) -> Result<Vec<SavedQuestion>, Failure> {
    let mut names: Vec<String> = match fs::read_dir(folder) {
        Ok(entries) => entries
            .take(FILES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|file| file.strip_suffix(".sql").map(str::to_owned))
            .filter(|name| check(name).is_ok())
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(folder, &error)),
    };
    names.sort();
    let mut questions: Vec<_> = SavedQuestion::built_in().collect();
    for name in names {
        match read(folder, &name) {
            Ok(question) => questions.push(question),
            // One bad file does not hide the others.
            Err(failure) => tracing::warn!("{failure}"),
        }
    }
    Ok(questions)
}

/// The saved question of this name.
pub(super) fn find(folder: &Path, name: &str) -> Result<SavedQuestion, Failure> {
    check(name)?;
    if let Some(question) = SavedQuestion::built_in().find(|question| question.name == name) {
        return Ok(question);
    }
    if !path(folder, name).exists() {
        let names: Vec<_> = all(folder)?.into_iter().map(|question| question.name).collect();
        return Err(Failure::Usage(format!(
            "there is no saved question `{name}`; there are: {}",
            names.join(", ")
        )));
    }
    read(folder, name)
}

/// The failure of a saved question, a mistake in it with the name of its file.
pub(super) fn of(folder: &Path, name: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Usage(text) if SavedQuestion::built_in().any(|question| question.name == name) => {
            Failure::Usage(format!("{name}: {text}"))
        }
        Failure::Usage(text) => Failure::Usage(format!("{}: {text}", path(folder, name).display())),
        failure => failure,
    }
}

/// Keeps a question; says where. What is there is not overwritten.
pub(super) fn keep(folder: &Path, name: &str, sql: &str) -> Result<PathBuf, Failure> {
    check(name)?;
    if SavedQuestion::built_in().any(|question| question.name == name) {
        return Err(Failure::Usage(format!(
            "`{name}` comes with the program; take another name"
        )));
    }
    let path = path(folder, name);
    let mut text = sql.trim().to_owned();
    text.push('\n');
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Failed(format!("{} is not a folder", folder.display())),
            _ => failed(folder, &error),
        })?;
    match write(&path, &text) {
        Ok(()) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::Usage(format!(
            "{} exists and was left as it is; take another name, or remove it",
            path.display()
        ))),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Writes beside and links into place, so that there is a whole file or none, and never in the place of another.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension(format!("sql.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&beside, path));
    fs::remove_file(&beside).and(written)
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.sql"))
}

fn read(folder: &Path, name: &str) -> Result<SavedQuestion, Failure> {
    let path = path(folder, name);
    let mut text = String::new();
    // Asked first: opening a pipe would wait for somebody to write it.
    if !fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
        return Err(Failure::Failed(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let file = File::open(&path).map_err(|error| failed(&path, &error))?;
    file.take(FILE + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(&path, &error))?;
    if text.len() as u64 > FILE {
        return Err(Failure::Failed(format!(
            "{} has more than {} KiB",
            path.display(),
            FILE >> 10
        )));
    }
    Ok(SavedQuestion::read(name, &text))
}

fn check(name: &str) -> Result<(), Failure> {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_good = (1..=NAME).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('-');
    is_good.then_some(()).ok_or_else(|| {
        Failure::Usage(format!(
            "`{name}` is no name for a question: a-z, 0-9, `-` and `_`, at most {NAME}"
        ))
    })
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot use {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_kept_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/queries");
        let built_in = SavedQuestion::built_in().count();
        assert_eq!(all(&folder).unwrap().len(), built_in);
        let path = keep(&folder, "mine", "-- Mine.\nSELECT 1").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "-- Mine.\nSELECT 1\n");
        assert_eq!(find(&folder, "mine").unwrap().about, "Mine.");
        assert_eq!(all(&folder).unwrap().len(), built_in + 1);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "something was left");
        // Neither it nor those of the program are overwritten.
        assert_eq!(keep(&folder, "mine", "SELECT 2").unwrap_err().exit() as i32, 2);
        assert_eq!(find(&folder, "mine").unwrap().sql, "-- Mine.\nSELECT 1\n");
        assert!(keep(&folder, "uploads", "SELECT 2").is_err());
    }

    #[test]
    fn a_folder_that_is_none_is_not_taken_for_a_question() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queries");
        fs::write(&file, "mine").unwrap();
        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        for path in [&file, &dangling] {
            let failure = keep(path, "mine", "SELECT 1").unwrap_err();
            assert_eq!(failure.exit() as i32, 3);
            assert!(failure.to_string().ends_with("is not a folder"), "{failure}");
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    }

    #[test]
    fn names_are_no_paths() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "",
            "../x",
            "a/b",
            ".x",
            "-x",
            "X",
            "a b",
            "é",
            "a\0",
            &"a".repeat(65),
        ] {
            assert!(keep(folder.path(), name, "SELECT 1").is_err(), "{name:?}");
            assert!(find(folder.path(), name).is_err(), "{name:?}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn odd_files_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let built_in = SavedQuestion::built_in().count();
        fs::create_dir(folder.path().join("folder.sql")).unwrap();
        fs::write(folder.path().join("bytes.sql"), [0xff, 0xfe]).unwrap();
        fs::write(folder.path().join("large.sql"), vec![b' '; FILE as usize + 1]).unwrap();
        fs::write(folder.path().join("text.txt"), "SELECT 1").unwrap();
        fs::write(folder.path().join("Good Name.sql"), "SELECT 1").unwrap();
        assert_eq!(all(folder.path()).unwrap().len(), built_in);
        assert!(find(folder.path(), "large").is_err());
    }
}
