//! Files on a real file system.

use std::os::unix::fs::{PermissionsExt, symlink};

use atalaya_model::Span;

use super::*;
use crate::options::{Period, Size};

const NOW: Time = Time::from_seconds(1_763_674_023);

fn rotation(size: u64, keep: u32, suffix: Suffix) -> Rotation {
    Rotation {
        size: Size(size),
        age: Period(Span::from_seconds(86_400)),
        keep,
        suffix,
    }
}

/// The files in a folder with their content, by name.
fn content(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn the_folder_is_created_and_the_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/alerts.log");
    let mut file = LogFile::new(path.clone(), Rotation::default());
    file.write(b"one\n", NOW).unwrap();
    file.write(b"two\n", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    // A second start appends.
    LogFile::new(path.clone(), Rotation::default())
        .write(b"three\n", NOW)
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn numbered_files_shift_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = LogFile::new(folder.path().join("a.log"), rotation(8, 2, Suffix::Number));
    fs::write(folder.path().join("a.log.bak"), "somebody's").unwrap();
    for line in ["11111\n", "22222\n", "33333\n", "44444\n"] {
        file.write(line.as_bytes(), NOW).unwrap();
    }
    let expected = [
        ("a.log", "44444\n"),
        ("a.log.1", "33333\n"),
        ("a.log.2", "22222\n"),
        ("a.log.bak", "somebody's"),
    ];
    assert_eq!(content(folder.path()), pairs(&expected));
}

#[test]
fn dated_files_have_the_time_at_which_they_were_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = LogFile::new(folder.path().join("a.log"), rotation(8, 9, Suffix::Date));
    for line in ["11111\n", "22222\n", "33333\n"] {
        file.write(line.as_bytes(), NOW).unwrap();
    }
    let expected = [
        ("a.log", "33333\n"),
        ("a.log.20251120T212703Z", "11111\n"),
        ("a.log.20251120T212703Z-2", "22222\n"),
    ];
    assert_eq!(content(folder.path()), pairs(&expected));
    let mut file = LogFile::new(folder.path().join("a.log"), rotation(8, 1, Suffix::Date));
    file.write(b"44444\n", NOW.after(Span::from_seconds(60))).unwrap();
    assert_eq!(content(folder.path()).len(), 2);
}

#[test]
fn old_files_are_put_aside_and_nothing_is_kept_where_nothing_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = LogFile::new(folder.path().join("a.log"), rotation(1_000, 0, Suffix::Number));
    file.write(b"old\n", NOW).unwrap();
    file.write(b"same day\n", NOW.after(Span::from_seconds(86_399)))
        .unwrap();
    file.write(b"new\n", NOW.after(Span::from_seconds(86_400)))
        .unwrap();
    assert_eq!(content(folder.path()), pairs(&[("a.log", "new\n")]));
}

#[test]
fn a_date_in_the_name_begins_a_new_file_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = LogFile::new(
        folder.path().join("a-{date}.log"),
        rotation(1_000, 2, Suffix::Number),
    );
    for day in 0..5 {
        let time = NOW.after(Span::from_seconds(day * 86_400));
        file.write(format!("{day}\n").as_bytes(), time).unwrap();
    }
    let files = content(folder.path());
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(files[2].1, "4\n");
    assert!(files[0].0.starts_with("a-2025-11-2"), "{files:?}");
    assert!(file.is_ours("a-2025-11-20.log.1"));
    for other in [
        "a-2025-11-20.log.gz",
        "a-.log",
        "a-2025-11-20.logs",
        "a-notadate!!.log",
        "b-2025-11-20.log",
    ] {
        assert!(!file.is_ours(other), "{other}");
    }
}

#[test]
fn a_file_larger_than_the_limit_takes_one_line_at_least() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = LogFile::new(folder.path().join("a.log"), rotation(2, 5, Suffix::Number));
    file.write(b"longer than the limit\n", NOW).unwrap();
    assert_eq!(content(folder.path()).len(), 1);
}

#[test]
fn symbolic_links_and_pipes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, folder.path().join("a.log")).unwrap();
    let mut file = LogFile::new(folder.path().join("a.log"), Rotation::default());
    let error = file.write(b"line\n", NOW).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // A link that is put in the way later is not followed either.
    let path = folder.path().join("b.log");
    let mut file = LogFile::new(path.clone(), Rotation::default());
    file.write(b"line\n", NOW).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&victim, &path).unwrap();
    assert!(file.write(b"line\n", NOW).is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");

    assert!(
        LogFile::new(folder.path().to_owned(), Rotation::default())
            .write(b"x\n", NOW)
            .is_err()
    );
}

#[test]
fn a_file_or_folder_that_vanishes_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/a.log");
    let mut file = LogFile::new(path.clone(), Rotation::default());
    file.write(b"one\n", NOW).unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    file.write(b"two\n", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    file.write(b"three\n", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_file_that_was_emptied_in_place_is_as_long_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let mut file = LogFile::new(path.clone(), rotation(10, 3, Suffix::Number));
    file.write(b"1234567\n", NOW).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    // With the old length it would be put aside, and a full disk would have it cut to a length that it does not have.
    file.write(b"abcdefg\n", NOW).unwrap();
    assert_eq!(content(folder.path()), pairs(&[("a.log", "abcdefg\n")]));
}

#[test]
fn half_a_line_of_a_crash_does_not_swallow_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    fs::write(&path, "whole\nhal").unwrap();
    LogFile::new(path.clone(), Rotation::default())
        .write(b"next\n", NOW)
        .unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nhal\nnext\n");
}

/// A table with the columns `a` and `b`.
fn table(path: PathBuf, rotation: Rotation) -> LogFile {
    let mut file = LogFile::new(path, rotation);
    file.begin_with(Some("a,b\n".into()));
    file
}

#[test]
fn every_file_of_a_table_has_its_header_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let mut file = table(path.clone(), rotation(12, 2, Suffix::Number));
    for row in ["1,1\n", "2,2\n", "3,3\n"] {
        file.write(row.as_bytes(), NOW).unwrap();
    }
    // A second start goes on where the first ended.
    let mut file = table(path.clone(), rotation(12, 2, Suffix::Number));
    file.write(b"4,4\n", NOW).unwrap();
    file.write(b"5,5\n", NOW).unwrap();
    let expected = [
        ("a.csv", "a,b\n5,5\n"),
        ("a.csv.1", "a,b\n3,3\n4,4\n"),
        ("a.csv.2", "a,b\n1,1\n2,2\n"),
    ];
    assert_eq!(content(folder.path()), pairs(&expected));
    // Nothing but a header is never put aside, however old.
    fs::write(&path, "a,b\n").unwrap();
    let mut file = table(path.clone(), rotation(12, 2, Suffix::Number));
    let later = NOW.after(Span::from_seconds(900_000_000));
    file.write(b"6,6\n", later).unwrap();
    assert_eq!(content(folder.path())[0].1, "a,b\n6,6\n");
    assert_eq!(content(folder.path()).len(), 3);
}

#[test]
fn another_table_in_the_way_is_put_aside_and_never_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let foreign = "Timestamp,PID\n1,\"half";
    fs::write(&path, foreign).unwrap();
    let error = table(path.clone(), rotation(100, 0, Suffix::Number)).write(b"1,1\n", NOW);
    assert!(error.unwrap_err().to_string().contains("it holds another table"));
    assert_eq!(content(folder.path()), pairs(&[("a.csv", foreign)]));
    table(path, rotation(100, 3, Suffix::Number))
        .write(b"1,1\n", NOW)
        .unwrap();
    let expected = [("a.csv", "a,b\n1,1\n"), ("a.csv.1", foreign)];
    assert_eq!(content(folder.path()), pairs(&expected));
}

#[test]
fn half_a_row_of_a_crash_is_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let long = format!("a,b\n1,1\n2,\"{}", "x".repeat(200_000));
    for (left, kept) in [
        ("a,b\n1,1\n2,\"ope", "a,b\n1,1\n"),
        ("a,", "a,b\n"),
        (&long, "a,b\n1,1\n"),
    ] {
        fs::write(&path, left).unwrap();
        let mut file = table(path.clone(), Rotation::default());
        file.write(b"9,9\n", NOW).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{kept}9,9\n"));
    }
    // One that was emptied in place gets its header again.
    let mut file = table(path.clone(), Rotation::default());
    file.write(b"1,1\n", NOW).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    file.write(b"2,2\n", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n2,2\n");
}

/// A mounted tmpfs of 64 KiB, unmounted when dropped.
pub(in crate::outlet) struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    /// `None`, with a line that says so, where we may not mount.
    pub(in crate::outlet) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        match rustix::mount::mount("tmpfs", folder.path(), "tmpfs", flags, Some(c"size=64k")) {
            Ok(()) => Some(Self(folder)),
            Err(error) => {
                println!("skipped: cannot mount a tmpfs ({error})");
                None
            }
        }
    }

    pub(in crate::outlet) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    pub(in crate::outlet) fn fill(&self) {
        let error = fs::write(self.path().join("ballast"), vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    pub(in crate::outlet) fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let result = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
        assert_eq!(result, Ok(()));
    }
}

#[test]
fn a_full_disk_leaves_whole_lines_only() {
    let Some(disk) = TinyDisk::mount() else { return };
    let path = disk.path().join("a.log");
    let mut file = LogFile::new(path.clone(), Rotation::default());
    file.write(b"before\n", NOW).unwrap();
    disk.fill();
    // The rest of the page that the file has already is still free: a long line gets half of it.
    let mut line = vec![b'x'; 8_000];
    line.push(b'\n');
    let error = file.write(&line, NOW).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\n");
    disk.make_room();
    file.write(b"after\n", NOW).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
}
