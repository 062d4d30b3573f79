//! Programs whose short options hold secrets. An option that means something else elsewhere is listed only here.

/// Programs that share options.
#[derive(Debug)]
pub(super) struct Family {
    /// Base names.
    programs: &'static [&'static str],
    /// Beginnings of base names.
    prefixes: &'static [&'static str],
    /// The options with secrets.
    pub(super) options: &'static [Secret],
    /// An argument that must have come before, such as a subcommand.
    pub(super) after: Option<&'static str>,
    /// Long options such as `--password` take a value only after `=`.
    pub(super) only_attached: bool,
}

impl Family {
    /// Does a program of this family run another one that its arguments name?
    pub(super) fn runs_others(&self) -> bool {
        self.after.is_some()
            || self
                .programs
                .iter()
                .any(|program| ["sshpass", "ssh"].contains(program))
    }
}

/// An option (or keyword) with a secret.
#[derive(Debug)]
pub(super) struct Secret {
    /// As it is written: `-p`, `--user`, `/p:`.
    pub(super) name: &'static str,
    /// Where the value stands.
    pub(super) place: Place,
    /// Which part of the value is secret.
    pub(super) part: Part,
}

/// Where an option's value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the same argument.
    Attached,
    /// In the next one.
    Next,
    /// In either.
    Either,
}

/// Which part of a value is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// All of it, unless it looks like the next option.
    Optional,
    /// What follows the first such character; nothing where there is none.
    After(char),
    /// All of it where it holds such a character.
    With(char),
    /// What follows `pass:`.
    AfterPass,
    /// A scheme (`Bearer`), and all of the argument after it.
    Scheme,
}

const fn secret(name: &'static str, place: Place, part: Part) -> Secret {
    Secret { name, place, part }
}

const fn family(programs: &'static [&'static str], options: &'static [Secret]) -> Family {
    Family {
        programs,
        prefixes: &[],
        options,
        after: None,
        only_attached: false,
    }
}

use Part::{After, AfterPass, Whole, With};
use Place::{Attached, Either, Next};

const P_EITHER: &[Secret] = &[secret("-p", Either, Whole)];
const CAPITAL_P: &[Secret] = &[secret("-P", Either, Whole)];

const FAMILIES: &[Family] = &[
    Family {
        prefixes: &["mysql", "mariadb"],
        only_attached: true,
        ..family(
            &["mycli", "mytop", "xtrabackup", "innobackupex", "mariabackup"],
            &[secret("-p", Attached, Whole)],
        )
    },
    Family {
        prefixes: &["pg_"],
        only_attached: true,
        ..family(
            &[
                "psql",
                "createdb",
                "dropdb",
                "createuser",
                "vacuumdb",
                "reindexdb",
            ],
            &[],
        )
    },
    Family {
        prefixes: &["mongo"],
        ..family(&["mongosh"], P_EITHER)
    },
    family(&["sshpass", "rdesktop"], P_EITHER),
    family(&["ssh", "scp", "sftp", "rsync"], &[]),
    family(
        &["curl"],
        &[
            secret("-u", Either, After(':')),
            secret("--user", Either, After(':')),
            secret("-U", Either, After(':')),
            secret("--proxy-user", Either, After(':')),
            secret("-E", Either, After(':')),
            secret("--cert", Either, After(':')),
            secret("-b", Either, With('=')),
            secret("--cookie", Either, With('=')),
        ],
    ),
    family(
        &["http", "https", "xh", "xhs"],
        &[
            secret("-a", Either, After(':')),
            secret("--auth", Either, After(':')),
        ],
    ),
    family(
        &["ab"],
        &[secret("-A", Either, After(':')), secret("-P", Either, After(':'))],
    ),
    family(&["lftp"], &[secret("-u", Either, After(','))]),
    family(
        &["redis-cli", "keydb-cli", "valkey-cli", "redis-benchmark"],
        &[secret("-a", Next, Whole)],
    ),
    Family {
        prefixes: &["ldap"],
        ..family(&[], &[secret("-w", Either, Whole)])
    },
    family(
        &[
            "smbclient",
            "rpcclient",
            "smbget",
            "net",
            "winexe",
            "smbcacls",
            "smbtree",
        ],
        &[
            secret("-U", Either, After('%')),
            secret("--user", Either, After('%')),
        ],
    ),
    family(
        &[
            "sqlcmd", "bcp", "isql", "tsql", "osql", "ipmitool", "zip", "unzip", "zipcloak",
        ],
        CAPITAL_P,
    ),
    family(&["7z", "7za", "7zr", "7zz"], &[secret("-p", Attached, Whole)]),
    family(
        &["rar", "unrar"],
        &[secret("-hp", Attached, Whole), secret("-p", Attached, Whole)],
    ),
    family(
        &["openssl"],
        &[
            secret("-passin", Next, AfterPass),
            secret("-passout", Next, AfterPass),
            secret("-pass", Next, AfterPass),
            secret("-k", Next, Whole),
            secret("-K", Next, Whole),
        ],
    ),
    Family {
        prefixes: &["snmp"],
        ..family(
            &[],
            &[
                secret("-c", Either, Whole),
                secret("-A", Either, Whole),
                secret("-X", Either, Whole),
            ],
        )
    },
    Family {
        prefixes: &["xfreerdp", "wlfreerdp"],
        ..family(
            &["sdl-freerdp"],
            &[
                secret("/p:", Attached, Whole),
                secret("/password:", Attached, Whole),
            ],
        )
    },
    family(&["useradd", "usermod"], &[secret("-p", Next, Whole)]),
    family(
        &["nmcli"],
        &[
            secret("password", Next, Whole),
            secret("wifi-sec.psk", Next, Whole),
            secret("802-11-wireless-security.psk", Next, Whole),
        ],
    ),
    family(
        &["ngrok"],
        &[
            secret("authtoken", Next, Whole),
            secret("add-authtoken", Next, Whole),
        ],
    ),
    Family {
        after: Some("login"),
        ..family(
            &[
                "docker", "podman", "nerdctl", "helm", "az", "skopeo", "buildah", "oras", "crane",
            ],
            P_EITHER,
        )
    },
];

/// Programs whose arguments name another program without running it here, or publish ports: `-p3306:3306`.
pub(super) const CARRIERS: [&str; 6] = ["docker", "podman", "nerdctl", "kubectl", "ssh", "scp"];

/// The family of the program with this base name.
pub(super) fn of(program: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| {
        family.programs.contains(&program) || family.prefixes.iter().any(|prefix| program.starts_with(prefix))
    })
}
