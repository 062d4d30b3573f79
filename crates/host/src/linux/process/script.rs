//! Which script an interpreter runs, from its arguments.

/// An interpreter, and which of its options matter for finding the script.
struct Interpreter {
    /// The names of the program; a version may follow (`python3.11`).
    names: &'static [&'static str],
    /// Letters of options after which no script follows: the code is in the arguments, or comes from a module.
    ends: &'static str,
    /// Letters of options that take a value.
    takes: &'static str,
    /// The same for long options.
    long_ends: &'static [&'static str],
    /// Long options whose value is the next argument.
    long_takes: &'static [&'static str],
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["python", "pypy"],
        ends: "cm",
        takes: "WX",
        long_ends: &["--version", "--help"],
        long_takes: &["--check-hash-based-pycs"],
    },
    Interpreter {
        names: &["perl"],
        ends: "eE",
        takes: "",
        long_ends: &[],
        long_takes: &[],
    },
    Interpreter {
        names: &["bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "fish", "rbash"],
        ends: "cs",
        takes: "oO",
        long_ends: &["--command", "--version", "--help"],
        long_takes: &["--rcfile", "--init-file"],
    },
    Interpreter {
        names: &["node", "nodejs"],
        ends: "ep",
        takes: "rC",
        long_ends: &["--eval", "--print", "--version", "--test"],
        long_takes: &["--require", "--import", "--loader", "--conditions", "--env-file"],
    },
    Interpreter {
        names: &["ruby", "jruby"],
        ends: "e",
        takes: "Cr",
        long_ends: &["--version", "--help"],
        long_takes: &["--encoding"],
    },
    Interpreter {
        names: &["php", "php-cgi"],
        ends: "raRSBE",
        takes: "cdz",
        long_ends: &["--run", "--server", "--version"],
        long_takes: &["--php-ini", "--define"],
    },
    Interpreter {
        names: &["lua", "luajit", "texlua"],
        ends: "",
        takes: "el",
        long_ends: &[],
        long_takes: &[],
    },
    Interpreter {
        names: &[
            "tclsh",
            "wish",
            "expect",
            "guile",
            "Rscript",
            "groovy",
            "osascript",
        ],
        ends: "c",
        takes: "",
        long_ends: &[],
        long_takes: &[],
    },
];

/// The script named by the arguments of `executable`, made absolute by `working_directory`. `None` where the program
/// is no interpreter, or runs a module, code from its arguments or its standard input.
pub fn script<T: AsRef<str>>(
    executable: &str,
    arguments: &[T],
    working_directory: Option<&str>,
) -> Option<String> {
    let interpreter = interpreter(executable, arguments)?;
    let mut rest = arguments.iter().map(AsRef::as_ref).skip(1);
    let found = loop {
        let argument = rest.next()?;
        match argument {
            "" | "-" => return None,
            "--" => break rest.next()?,
            "-f" | "--file" if interpreter.names.contains(&"php") => break rest.next()?,
            _ if argument.starts_with("--") => {
                if interpreter.long_ends.contains(&argument) {
                    return None;
                }
                if interpreter.long_takes.contains(&argument) {
                    rest.next()?;
                }
            }
            _ if argument.starts_with('-') => match cluster(interpreter, &argument[1..]) {
                Cluster::Ends => return None,
                Cluster::TakesNext => {
                    rest.next()?;
                }
                Cluster::Plain => {}
            },
            _ if argument.starts_with('+') && interpreter.names.contains(&"sh") => {}
            _ => break argument,
        }
    };
    absolute(found, working_directory)
}

/// The interpreter behind a path. A multi-call program is whatever its first argument says.
fn interpreter<T: AsRef<str>>(executable: &str, arguments: &[T]) -> Option<&'static Interpreter> {
    let mut name = base_name(executable);
    if name == "busybox" || name == "toybox" {
        name = base_name(arguments.first()?.as_ref()).trim_start_matches('-');
    }
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    INTERPRETERS
        .iter()
        .find(|interpreter| interpreter.names.contains(&name))
}

enum Cluster {
    Plain,
    Ends,
    TakesNext,
}

/// Walks the letters of `-xyz`: an option with a value takes the rest of the cluster, or the next argument.
fn cluster(interpreter: &Interpreter, letters: &str) -> Cluster {
    for (index, letter) in letters.char_indices() {
        if interpreter.ends.contains(letter) {
            return Cluster::Ends;
        }
        if interpreter.takes.contains(letter) {
            let last = index + letter.len_utf8() == letters.len();
            return if last { Cluster::TakesNext } else { Cluster::Plain };
        }
        if !letter.is_ascii_alphabetic() {
            break; // `-I/usr/lib/ruby`, `-0777`: what follows is a value
        }
    }
    Cluster::Plain
}

/// A path made absolute by `working_directory`; `None` where it names nothing.
pub fn absolute(path: &str, working_directory: Option<&str>) -> Option<String> {
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let mut relative = path;
    while let Some(shorter) = relative.strip_prefix("./") {
        relative = shorter.trim_start_matches('/');
    }
    match working_directory {
        _ if relative.is_empty() => None,
        Some(folder) => Some(format!("{}/{relative}", folder.trim_end_matches('/'))),
        None => Some(relative.to_owned()),
    }
}

/// What follows the last slash.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_the_script() {
        let cases = [
            (
                "/usr/bin/python3.11",
                "python3 app.py --port 80",
                Some("/srv/app.py"),
            ),
            (
                "/usr/bin/python3",
                "python3 -u -W ignore ./app.py",
                Some("/srv/app.py"),
            ),
            (
                "/usr/bin/python3",
                "python3 -Wignore /opt/a.py x",
                Some("/opt/a.py"),
            ),
            ("/usr/bin/python3", "python3 -m http.server", None),
            ("/usr/bin/python3", "python3 -c print(1) x.py", None),
            ("/usr/bin/python3", "python3 -Ic print(1)", None),
            ("/usr/bin/python3", "python3", None),
            ("/usr/bin/python3", "python3 - x", None),
            ("/usr/bin/python3", "python3 -- -odd.py", Some("/srv/-odd.py")),
            (
                "/usr/bin/bash",
                "bash -x -o pipefail run.sh a",
                Some("/srv/run.sh"),
            ),
            ("/usr/bin/bash", "-bash", None),
            ("/usr/bin/bash", "bash -lc /opt/run.sh", None),
            ("/usr/bin/dash", "sh /etc/init.d/x start", Some("/etc/init.d/x")),
            ("/usr/bin/busybox", "sh loop.sh", Some("/srv/loop.sh")),
            ("/usr/bin/perl", "perl -w -T /usr/bin/ack", Some("/usr/bin/ack")),
            ("/usr/bin/perl", "perl -I/opt/lib x.pl", Some("/srv/x.pl")),
            ("/usr/bin/perl", "perl -ne print x", None),
            (
                "/usr/bin/node",
                "node --require dotenv server.js",
                Some("/srv/server.js"),
            ),
            ("/usr/bin/node", "node -e 1", None),
            ("/usr/bin/ruby3.1", "ruby -rjson bin/puma", Some("/srv/bin/puma")),
            ("/usr/bin/php8.2", "php -d a=b -f x.php", Some("/srv/x.php")),
            ("/usr/bin/php8.2", "php -S 0.0.0.0:80", None),
            ("/usr/bin/lua5.4", "lua -e x=1 y.lua", Some("/srv/y.lua")),
            ("/usr/sbin/sshd", "sshd -D", None),
            ("/usr/bin/curl", "curl x.py", None),
        ];
        for (executable, line, expected) in cases {
            let arguments: Vec<&str> = line.split(' ').collect();
            let found = script(executable, &arguments, Some("/srv"));
            assert_eq!(found.as_deref(), expected, "{executable}: {line}");
        }
    }

    #[test]
    fn stays_relative_where_the_folder_is_unknown() {
        let found = script("/usr/bin/python3", &["python3", "a.py"], None);
        assert_eq!(found.as_deref(), Some("a.py"));
    }

    proptest! {
        #[test]
        fn hostile_arguments_do_no_harm(arguments in prop::collection::vec(".{0,12}", 0..8), pick in 0usize..8) {
            let executable = INTERPRETERS[pick].names[0];
            let _ = script(executable, &arguments, Some("/"));
        }
    }
}
