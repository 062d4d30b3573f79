//! Folders where programs are not installed.

use atalaya_model::filter::Glob;

/// What makes a path suspicious: globs of the whole path, and pieces of it.
#[derive(Clone, Debug, Default)]
pub struct SuspiciousPaths {
    globs: Vec<Glob>,
    except: Vec<Glob>,
    /// In lower case.
    pieces: Vec<String>,
}

/// Pieces of a path that are suspicious on other systems, whose tables may be read here.
const FOREIGN: [&str; 8] = [
    "\\temp\\",
    "\\tmp\\",
    "\\downloads\\",
    "\\appdata\\local\\temp\\",
    "\\users\\public\\",
    "\\programdata\\temp\\",
    "\\perflogs\\",
    "\\$recycle.bin\\",
];

impl SuspiciousPaths {
    /// The globs of the configuration, with their exceptions, and what Windows has instead.
    pub fn new(globs: &[String], except: &[String]) -> Self {
        let compiled = |globs: &[String]| globs.iter().map(|glob| Glob::new(glob)).collect();
        Self {
            globs: compiled(globs),
            except: compiled(except),
            pieces: FOREIGN.map(str::to_owned).to_vec(),
        }
    }

    /// Adds one: a glob of the whole path where it has `*` or `?`, else a piece of it, in any case.
    pub fn add(&mut self, path: &str) {
        if path.contains(['*', '?']) {
            self.globs.push(Glob::new(path));
        } else if !path.is_empty() {
            self.pieces.push(path.to_lowercase());
        }
    }

    /// Why this path is suspicious; `None` where it is not.
    pub fn why(&self, path: &str) -> Option<&str> {
        // Whoever asked for a piece means it, whatever the exceptions say.
        if let Some(piece) = self.piece(path) {
            return Some(piece);
        }
        if !path.starts_with('/') || self.except.iter().any(|glob| glob.is_match(path)) {
            return None;
        }
        let glob = self.globs.iter().find(|glob| glob.is_match(path))?;
        Some(glob.pattern())
    }

    fn piece(&self, path: &str) -> Option<&str> {
        let lower = path.to_lowercase();
        let piece = self.pieces.iter().find(|piece| lower.contains(piece.as_str()))?;
        Some(piece)
    }

    /// The script that an interpreter runs, where it lies in such a folder, and why.
    pub fn script<'a>(&'a self, name: &str, command_line: &'a str) -> Option<(&'a str, &'a str)> {
        const INTERPRETERS: [&str; 14] = [
            "python", "pypy", "perl", "ruby", "node", "php", "lua", "bash", "dash", "zsh", "ksh", "fish",
            "sh", "busybox",
        ];
        let mut words = command_line.split_ascii_whitespace();
        let program = words.next()?.rsplit(['/', '\\']).next()?;
        let is_interpreter = |name: &str| {
            let base = name
                .trim_start_matches('-')
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            INTERPRETERS.contains(&base)
        };
        if !is_interpreter(program) && !is_interpreter(name) {
            return None;
        }
        // After `-c`, `-e`, `-m` comes no file.
        let first = words.next()?;
        let script = match first.strip_prefix('-') {
            Some(options) if options.contains(['c', 'e', 'm', 'r']) => return None,
            Some(_) => words.next()?,
            None => first,
        };
        Some((script, self.why(script)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> SuspiciousPaths {
        let globs = ["/tmp/*", "*/.*"].map(str::to_owned);
        let mut paths = SuspiciousPaths::new(&globs, &["/home/*/.cargo/*".to_owned()]);
        paths.add("/srv/drop*");
        paths.add("Odd");
        paths
    }

    #[test]
    fn globs_pieces_and_exceptions() {
        let paths = paths();
        for (path, why) in [
            ("/tmp/x", Some("/tmp/*")),
            ("/home/ann/.x/run", Some("*/.*")),
            ("/home/ann/.cargo/bin/cargo", None),
            ("/usr/bin/curl", None),
            ("/srv/drop1/x", Some("/srv/drop*")),
            ("/opt/ODD/x", Some("odd")),
            (r"C:\Windows\Temp\a.exe", Some(r"\temp\")),
            (r"C:\Windows\System32\svchost.exe", None),
            ("relative/.x", None),
            ("", None),
        ] {
            assert_eq!(paths.why(path), why, "{path}");
        }
    }

    #[test]
    fn scripts_count_like_programs() {
        let paths = paths();
        let script =
            |name: &str, line: &'static str| paths.script(name, line).map(|(script, _)| script.to_owned());
        assert_eq!(
            script("python3", "/usr/bin/python3.11 /tmp/x.py --go"),
            Some("/tmp/x.py".into())
        );
        assert_eq!(script("sh", "sh -x /tmp/a.sh"), Some("/tmp/a.sh".into()));
        assert_eq!(script("bash", "bash -c /tmp/a.sh"), None);
        assert_eq!(script("cat", "cat /tmp/notes"), None);
        assert_eq!(script("python3", "python3 /usr/share/x.py"), None);
        assert_eq!(script("python3", ""), None);
    }
}
