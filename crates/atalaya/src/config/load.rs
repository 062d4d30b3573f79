//! Finds the configuration, reads it, and loads the lists it names.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use atalaya_alert::AllowList;
use atalaya_detect::{Lists, registry};
use atalaya_model::{Networks, Problem, Span, Time};
use atalaya_track::{Atlas, Held};

use super::{Config, check};
use crate::paths::Places;

/// A configuration file larger than this is refused.
const MAX_CONFIG: u64 = 1 << 20;
/// A list file larger than this is refused.
const MAX_LIST: u64 = 256 << 20;

/// A database of addresses larger than this is refused: it is held in memory.
const MAX_DATABASE: u64 = 512 << 20;

/// A configuration with everything that it names.
#[derive(Debug)]
pub struct Loaded {
    /// The file it came from; `None` for defaults.
    pub path: Option<PathBuf>,
    /// What it says.
    pub config: Config,
    /// The lists, read.
    pub lists: Lists,
    /// The allow-list, compiled.
    pub allow: AllowList,
    /// Databases of addresses; empty until [`Loaded::open_atlas`].
    pub atlas: Arc<Atlas>,
    /// What is not wrong enough to refuse: expired allow-list entries, single bad lines of lists.
    pub warnings: Vec<Problem>,
}

impl Loaded {
    /// The owner's own ranges.
    pub fn networks(&self) -> Networks {
        Networks(self.config.networks.internal.clone())
    }

    /// Reads the databases of addresses that it names: for whoever tells of connections. They are large.
    ///
    /// # Errors
    /// Every one that cannot be read.
    pub fn open_atlas(mut self) -> Result<Self, Vec<Problem>> {
        let folder = self.path.as_deref().and_then(Path::parent);
        let files: Vec<PathBuf> = self
            .config
            .geo
            .files
            .iter()
            .map(|file| beside(folder, file))
            .collect();
        let (atlas, warnings) = open_atlas(&files)?;
        self.atlas = Arc::new(atlas);
        self.warnings.extend(warnings);
        Ok(self)
    }
}

/// A file that is named in a configuration of this folder.
pub(crate) fn beside(folder: Option<&Path>, file: &Path) -> PathBuf {
    folder.map_or_else(|| file.to_path_buf(), |folder| folder.join(file))
}

/// Databases of addresses, and what is odd about them.
///
/// # Errors
/// Every one that cannot be read.
pub fn open_atlas(files: &[PathBuf]) -> Result<(Atlas, Vec<Problem>), Vec<Problem>> {
    let mut atlas = Atlas::default();
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for file in files {
        let shown = file.display().to_string();
        let mut bytes = Vec::new();
        let added = read_into(file, MAX_DATABASE, |file| file.read_to_end(&mut bytes))
            .map_err(|error| {
                let mut unreadable = unreadable(&shown, &error);
                unreadable.message = format!("cannot read the database of addresses: {error}");
                unreadable
            })
            .and_then(|_| {
                let hint =
                    "name a database in MaxMind's format (.mmdb), unpacked; `[geo]` or `--geo` names it";
                atlas.add(bytes).map_err(|error| problem(&shown, error, hint))
            });
        match added {
            Ok(Held {
                damage: Some(damage), ..
            }) => warnings.push(problem(
                &shown,
                format!("what can be read of this database is used, but: {damage}"),
                "fetch it again",
            )),
            Ok(held) if !held.countries && !held.systems => warnings.push(problem(
                &shown,
                format!("nothing of use was found in this database ({held})"),
                "name one of countries or of autonomous systems",
            )),
            Ok(held) => tracing::debug!("{shown}: {held}"),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok((atlas, warnings))
    } else {
        Err(problems)
    }
}

/// Reads `given`, or else `usual` where that exists, or else takes the defaults.
///
/// # Errors
/// Every problem found; nothing may be started with it.
pub fn load(given: Option<&Path>, usual: &Path, now: Time) -> Result<Loaded, Vec<Problem>> {
    let path = given
        .map(Path::to_path_buf)
        .or_else(|| usual.exists().then(|| usual.to_path_buf()));
    let Some(path) = path else {
        return prepare(Config::default(), None, "defaults", now);
    };
    let name = path.display().to_string();
    let text = read_text(&path, MAX_CONFIG).map_err(|error| vec![unreadable(&name, &error)])?;
    let (config, mut problems) = check::read::<Config>(&name, &text);
    let loaded = prepare(config, Some(path), &name, now);
    match loaded {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// Loads what a configuration names. `name` is what problems call it.
fn prepare(mut config: Config, path: Option<PathBuf>, name: &str, now: Time) -> Result<Loaded, Vec<Problem>> {
    if !config.collect.hashes {
        // There is nothing to wait for.
        config.detect.wait_for_hash = Span(0);
    }
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut lists = Lists::default();
    let folder = path.as_deref().and_then(Path::parent);
    let blocklist = &config.detect.blocklisted_address;
    for file in &blocklist.files {
        let file = beside(folder, file);
        let label = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let shown = file.display().to_string();
        match read_text(&file, MAX_LIST) {
            Ok(text) => warnings.extend(lists.blocklist.add_text(&label, &shown, &text)),
            Err(error) => {
                let mut unreadable = unreadable(&shown, &error);
                unreadable.message = format!(
                    "cannot read the list named in {name}, detect.blocklisted_address.files: {error}"
                );
                problems.push(unreadable);
            }
        }
    }
    let places = Places::of_this_user();
    let folder = config.watch.log_folder.as_ref().unwrap_or(&places.logs);
    let store = config.store.path.as_ref().unwrap_or(&places.store);
    let mut files = HashMap::from([(plain(store), "the database")]);
    if let Some(path) = &path {
        files.insert(plain(path), "this configuration");
    }
    for (table, file) in config.outlets.files() {
        let whose = files.insert(plain(&folder.join(file)), "the file of another outlet, too");
        if file.trim().is_empty() {
            problems.push(problem(
                name,
                format!("{table}.file is empty"),
                "name a file, or remove the table",
            ));
        } else if let Some(whose) = whose {
            problems.push(problem(
                name,
                format!("{table}.file: `{file}` is {whose}"),
                "give each outlet a file of its own",
            ));
        }
    }
    let outlets = &config.outlets;
    let tables = [
        outlets
            .processes_csv
            .as_ref()
            .map(|csv| ("outlets.processes_csv", csv.interval)),
        outlets
            .connections_csv
            .as_ref()
            .map(|csv| ("outlets.connections_csv", csv.interval)),
    ];
    for (table, interval) in tables.into_iter().flatten() {
        if interval.0.0 < 1_000_000 {
            problems.push(problem(
                name,
                format!("{table}.interval is shorter than 1s"),
                "10s for connections and 120s for processes are good choices",
            ));
        }
    }
    if config.watch.interval.0.0 < 10_000 {
        problems.push(problem(
            name,
            "watch.interval is shorter than 10ms".to_owned(),
            "1s is a good choice",
        ));
    }
    for (what, hint) in config.store.mistakes() {
        problems.push(problem(name, what.to_owned(), hint));
    }
    let rules: Vec<&str> = registry::ENTRIES.iter().map(|entry| entry.id).collect();
    let (allow, complaints) = AllowList::compile(&config.allow, name, now, &rules);
    for complaint in complaints {
        // An expired entry is out of force, not out of order.
        let into = if complaint.message.contains("expired") {
            &mut warnings
        } else {
            &mut problems
        };
        into.push(complaint);
    }
    if problems.is_empty() {
        Ok(Loaded {
            path,
            config,
            lists,
            allow,
            atlas: Arc::default(),
            warnings,
        })
    } else {
        Err(problems)
    }
}

/// The same path for however a file is written: absolute, without `.` and `..`. Links are not followed.
fn plain(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

fn problem(path: &str, message: String, hint: &str) -> Problem {
    Problem {
        path: path.to_owned(),
        line: None,
        column: None,
        message,
        hint: Some(hint.to_owned()),
    }
}

fn unreadable(path: &str, error: &io::Error) -> Problem {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "check the path; `atalaya config init --to FILE` writes a new configuration"
        }
        io::ErrorKind::PermissionDenied => "run as its owner or as root, or make it readable",
        _ => "name a readable text file",
    };
    problem(path, format!("cannot read it: {error}"), hint)
}

/// Reads a regular text file of bounded size.
fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    read_into(path, limit, |file| file.read_to_string(&mut text))?;
    Ok(text)
}

/// Has a regular file of bounded size read.
fn read_into(
    path: &Path,
    limit: u64,
    read: impl FnOnce(&mut io::Take<File>) -> io::Result<usize>,
) -> io::Result<()> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if read(&mut file.take(limit + 1))? as u64 > limit {
        return Err(io::Error::other(format!(
            "it is larger than {} MB",
            limit / 1_000_000
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_700_000_000_000_000);

    /// Loads this text, in a folder of its own with a list in it.
    fn loaded(text: &str) -> Result<Loaded, Vec<Problem>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("atalaya.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(
            folder.path().join("list.txt"),
            "192.0.2.1\n# a comment\nnonsense\n",
        )
        .unwrap();
        load(Some(&path), Path::new("/nonexistent"), NOW)
    }

    #[test]
    fn without_a_file_the_defaults_hold() {
        let loaded = load(None, Path::new("/nonexistent/atalaya.toml"), NOW).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!((loaded.path, loaded.warnings), (None, Vec::new()));
        let problems = load(Some(Path::new("/nonexistent/atalaya.toml")), Path::new("/"), NOW).unwrap_err();
        assert!(
            problems[0]
                .to_string()
                .contains("/nonexistent/atalaya.toml: cannot read it")
        );
    }

    #[test]
    fn lists_are_found_beside_the_file_and_a_bad_line_is_a_warning() {
        let loaded = loaded("[detect.blocklisted_address]\nfiles = [\"list.txt\"]\n").unwrap();
        assert_eq!(loaded.lists.blocklist.len(), 1);
        assert_eq!(loaded.warnings.len(), 1);
        assert_eq!(loaded.warnings[0].line, Some(3));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (text, words) in [
            ("watch.interval = \"1ms\"", "watch.interval is shorter than 10ms"),
            ("outlets.log.file = \" \"", "outlets.log.file is empty"),
            (
                "outlets.json.file = \"a\"\noutlets.log.file = \"a\"",
                "the file of another outlet",
            ),
            (
                "outlets.processes_csv.file = \"a\"\noutlets.log.file = \"a\"",
                "the file of another outlet",
            ),
            (
                "outlets.processes_csv.file = \"a/../b//./c\"\noutlets.log.file = \"b/c\"",
                "the file of another outlet",
            ),
            (
                "watch.log_folder = \"/srv/log\"\noutlets.json.file = \"a\"\noutlets.log.file = \"/srv/log/a\"",
                "the file of another outlet",
            ),
            (
                "watch.log_folder = \"/srv\"\nstore.path = \"/srv/a.db\"\noutlets.log.file = \"a.db\"",
                "`a.db` is the database",
            ),
            (
                "outlets.processes_csv.interval = \"100ms\"",
                "outlets.processes_csv.interval is shorter than 1s",
            ),
            ("detect.blocklisted_address.files = [\"none.txt\"]", "none.txt"),
            (
                "store.keep_protocols = \"60d\"",
                "store.keep_protocols is longer than store.keep",
            ),
            ("store.keep_rollups = \"-1d\"", "`-1d` is not a length of time"),
            ("[[allow]]\nrule = \"no_such_rule\"", "no_such_rule"),
        ] {
            let problems = loaded(text).unwrap_err();
            assert!(
                problems.len() == 1 && problems[0].to_string().contains(words),
                "{problems:#?}"
            );
            assert!(problems[0].hint.is_some(), "{problems:#?}");
        }
    }

    #[test]
    fn nothing_waits_for_hashes_that_nobody_makes() {
        assert_eq!(
            loaded("collect.hashes = false")
                .unwrap()
                .config
                .detect
                .wait_for_hash,
            Span(0)
        );
        assert!(loaded("").unwrap().config.detect.wait_for_hash.0 > 0);
    }
}
