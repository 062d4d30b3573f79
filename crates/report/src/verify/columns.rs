//! Which column is what: the names under which monitors write the same thing, in English and Spanish.
//!
//! Names are compared without case, accents, spaces and signs: `Línea de Comandos` is `lineadecomandos`, and
//! `process.hash.sha256` is `processhashsha256`.

use atalaya_format::csv::watched;
use atalaya_model::fields::{self, Kind};

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    Event,
    Pid,
    ParentPid,
    Name,
    User,
    Path,
    CommandLine,
    Sha256,
    Connections,
    Protocol,
    LocalAddress,
    LocalPort,
    RemoteAddress,
    RemotePort,
    State,
    SentBytes,
    ReceivedBytes,
    Direction,
    /// Free text, in which the second seed keeps `User='…'`.
    Details,
}

/// How many columns there are to know.
pub(super) const COLUMNS: usize = Column::Details as usize + 1;

/// Each column with what people call it, and the names by which it is found.
pub(super) const NAMES: [(Column, &str, &[&str]); COLUMNS] = [
    (
        Column::Time,
        "Timestamp",
        &[
            "timestamp",
            "time",
            "date",
            "datetime",
            "@timestamp",
            "ts",
            "fecha",
            "hora",
            "fecha y hora",
            "fecha hora",
            "marca de tiempo",
            "marca temporal",
        ],
    ),
    (
        Column::Event,
        "EventType",
        &[
            "event",
            "event type",
            "event action",
            "event.action",
            "action",
            "evento",
            "tipo de evento",
            "tipo evento",
            "accion",
        ],
    ),
    (
        Column::Pid,
        "PID",
        &[
            "pid",
            "process id",
            "process.pid",
            "processid",
            "id de proceso",
            "id proceso",
            "id del proceso",
        ],
    ),
    (
        Column::ParentPid,
        "PPID",
        &[
            "ppid",
            "parent pid",
            "parent process id",
            "process.parent.pid",
            "pid padre",
            "pid del padre",
        ],
    ),
    (
        Column::Name,
        "ProcessName",
        &[
            "process name",
            "process",
            "process.name",
            "proc name",
            "image name",
            "comm",
            "nombre",
            "proceso",
            "nombre de proceso",
            "nombre del proceso",
            "nombre proceso",
            "name",
        ],
    ),
    (
        Column::User,
        "Usuario",
        &[
            "user",
            "user name",
            "username",
            "user.name",
            "owner",
            "account",
            "usuario",
            "nombre de usuario",
            "propietario",
            "cuenta",
        ],
    ),
    (
        Column::Path,
        "Ruta Ejecutable",
        &[
            "path",
            "process path",
            "executable",
            "executable path",
            "process.executable",
            "exe",
            "exe path",
            "image",
            "image path",
            "ruta",
            "ruta ejecutable",
            "ruta del ejecutable",
            "ruta de ejecutable",
            "ruta del proceso",
            "ruta proceso",
            "ejecutable",
        ],
    ),
    (
        Column::CommandLine,
        "Línea de Comandos",
        &[
            "command line",
            "process cmdline",
            "process command line",
            "process.command_line",
            "cmdline",
            "cmd line",
            "command",
            "cmd",
            "linea de comandos",
            "linea de comando",
            "linea comandos",
            "linea comando",
            "comando",
        ],
    ),
    (
        Column::Sha256,
        "Hash SHA256",
        &[
            "sha256",
            "hash sha256",
            "sha256 hash",
            "process.hash.sha256",
            "hash",
            "executable hash",
            "file hash",
            "suma sha256",
            "huella",
            "hash del ejecutable",
            "hash ejecutable",
        ],
    ),
    (
        Column::Connections,
        "Conexiones",
        &[
            "connections",
            "network connections",
            "conexiones",
            "conexiones de red",
            "conexiones activas",
        ],
    ),
    (
        Column::Protocol,
        "Protocol",
        &[
            "protocol",
            "proto",
            "network.transport",
            "transport",
            "type",
            "protocolo",
            "transporte",
            "tipo",
        ],
    ),
    (
        Column::LocalAddress,
        "LocalAddress",
        &[
            "local address",
            "local",
            "laddr",
            "local ip",
            "local addr",
            "direccion local",
            "dir local",
            "ip local",
        ],
    ),
    (
        Column::LocalPort,
        "LocalPort",
        &["local port", "lport", "puerto local"],
    ),
    (
        Column::RemoteAddress,
        "RemoteAddress",
        &[
            "remote address",
            "remote",
            "raddr",
            "remote ip",
            "remote addr",
            "foreign address",
            "direccion remota",
            "dir remota",
            "ip remota",
            "direccion ip remota",
        ],
    ),
    (
        Column::RemotePort,
        "RemotePort",
        &["remote port", "rport", "puerto remoto"],
    ),
    (
        Column::State,
        "Status",
        &[
            "status",
            "state",
            "connection state",
            "tcp state",
            "estado",
            "estado de la conexion",
        ],
    ),
    (
        Column::SentBytes,
        "sent_bytes",
        &[
            "sent bytes",
            "bytes sent",
            "sent",
            "bytes out",
            "bytes enviados",
            "enviados",
        ],
    ),
    (
        Column::ReceivedBytes,
        "received_bytes",
        &[
            "received bytes",
            "bytes received",
            "received",
            "bytes in",
            "bytes recibidos",
            "recibidos",
        ],
    ),
    (
        Column::Direction,
        "direction",
        &["direction", "network.direction", "direccion", "sentido"],
    ),
    (
        Column::Details,
        "EventDetails",
        &[
            "event details",
            "details",
            "detalles",
            "detalles del evento",
            "detalle",
        ],
    ),
];

/// A question that a table may answer, with what it needs: of each group at least one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// `verify processes`.
    Processes,
    /// `verify network`.
    Network,
}

impl Question {
    /// The verb that asks it.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Processes => "verify processes",
            Self::Network => "verify network",
        }
    }

    const fn needs(self) -> &'static [&'static [Column]] {
        match self {
            Self::Processes => &[
                &[Column::Name],
                &[Column::Sha256, Column::Path, Column::CommandLine],
            ],
            Self::Network => &[
                &[Column::Name, Column::Path, Column::Pid],
                &[Column::RemoteAddress],
            ],
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Processes => Self::Network,
            Self::Network => Self::Processes,
        }
    }
}

/// Where each column is in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    places: [Option<usize>; COLUMNS],
    /// Our own table, in which only an empty cell says nothing: a process may call itself `null`.
    pub(super) is_ours: bool,
}

impl Layout {
    /// The place of a column.
    pub(super) const fn place(&self, column: Column) -> Option<usize> {
        self.places[column as usize]
    }

    /// Finds the columns by their names. Of several with one meaning the name that stands first in [`NAMES`] counts.
    pub(super) fn of(header: &[Vec<u8>]) -> Self {
        let is_ours = is_ours(header);
        let header: Vec<String> = header.iter().map(|name| plain(&decoded(name))).collect();
        let find = |names: &[&str]| {
            let mut names = names.iter();
            names.find_map(|name| header.iter().position(|known| *known == plain(name)))
        };
        let places = NAMES.map(|(_, _, names)| find(names));
        Self { places, is_ours }
    }

    /// Can the question be asked? If not, what is missing, and what there is, in words.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(super) fn answers(&self, question: Question, header: &[Vec<u8>]) -> Result<(), String> {
        let missing = self.missing(question);
        if missing.is_empty() {
            return Ok(());
        }
        let called = |column: &Column| {
            let (_, name, others) = NAMES[*column as usize];
            let first = others.first().copied().unwrap_or_default();
            format!("`{name}` (or `{first}`)")
        };
        let missing: Vec<String> = missing
            .iter()
            .map(|group| group.iter().map(called).collect::<Vec<_>>().join(" or "))
            .collect();
        let there: Vec<String> = header
            .iter()
            .take(MAX_NAMED)
            .map(|name| format!("`{}`", atalaya_format::escape::start(&decoded(name), MAX_NAME)))
            .collect();
        let more = match header.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let other = question.other();
        let hint = match self.missing(other).is_empty() {
            true => format!("`atalaya {}` can read it", other.verb()),
            false => "docs/verify.md lists the names that are understood; rename the columns".to_owned(),
        };
        Err(format!(
            "line 1: no column for {}; there are {}{more}\n  hint: {hint}",
            missing.join(" and "),
            there.join(", ")
        ))
    }

    fn missing(&self, question: Question) -> Vec<&'static [Column]> {
        let needs = question.needs().iter().copied();
        needs
            .filter(|group| group.iter().all(|column| self.place(*column).is_none()))
            .collect()
    }
}

/// Is it the header of a table that a watch writes, or of an export?
fn is_ours(header: &[Vec<u8>]) -> bool {
    let is = |columns: &[&str]| {
        let columns = columns.iter().map(|column| column.as_bytes());
        columns.eq(header.iter().map(Vec::as_slice))
    };
    let exported = |kind| is(&fields::of(kind).map(|field| field.column).collect::<Vec<_>>());
    is(&watched::PROCESSES)
        || is(&watched::CONNECTIONS)
        || [Kind::Process, Kind::Connection, Kind::Listener]
            .into_iter()
            .any(exported)
}

/// Columns of a header that an error names.
const MAX_NAMED: usize = 24;
/// Longest name of a column in an error, in characters.
const MAX_NAME: usize = 40;

/// A cell as text: UTF-8, or else Latin-1, which older spreadsheets write.
pub(super) fn decoded(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
            .into(),
    }
}

/// A name without case, accents, spaces and signs.
fn plain(name: &str) -> String {
    let letters = name.chars().flat_map(char::to_lowercase).map(|c| match c {
        'á' | 'à' | 'ä' => 'a',
        'é' | 'è' | 'ë' => 'e',
        'í' | 'ì' | 'ï' => 'i',
        'ó' | 'ò' | 'ö' => 'o',
        'ú' | 'ù' | 'ü' => 'u',
        'ñ' => 'n',
        c => c,
    });
    letters.filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str) -> Vec<Vec<u8>> {
        names.split(',').map(|name| name.as_bytes().to_vec()).collect()
    }

    #[track_caller]
    fn check(names: &str, expected: &[Column]) {
        let layout = Layout::of(&header(names));
        for (place, column) in expected.iter().enumerate() {
            assert_eq!(layout.place(*column), Some(place), "{column:?} in {names}");
        }
    }

    #[test]
    fn the_second_seeds_tables_and_ours_are_understood() {
        use Column::*;
        check(
            "Timestamp,PID,Nombre,Usuario,Ruta Ejecutable,Línea de Comandos,PPID",
            &[Time, Pid, Name, User, Path, CommandLine, ParentPid],
        );
        check(
            "L\u{ed}nea de Comandos,Hash SHA256,Conexiones",
            &[CommandLine, Sha256, Connections],
        );
        // Decomposed accents, and capitals.
        check("LI\u{301}NEA DE COMANDOS,hash_sha-256", &[CommandLine, Sha256]);
        check(
            "Timestamp,EventType,PID,ProcessName,ProcessPath,ProcessCmdline,LocalAddress,RemoteAddress,Status,\
             Protocol,EventDetails",
            &[
                Time,
                Event,
                Pid,
                Name,
                Path,
                CommandLine,
                LocalAddress,
                RemoteAddress,
                State,
                Protocol,
                Details,
            ],
        );
        let ours = watched::CONNECTIONS.join(",");
        let columns = [
            Time,
            Event,
            Pid,
            Name,
            Path,
            CommandLine,
            Protocol,
            LocalAddress,
            LocalPort,
            RemoteAddress,
            RemotePort,
            State,
            SentBytes,
            ReceivedBytes,
            User,
            Direction,
        ];
        check(&ours, &columns);
        let ours = watched::PROCESSES.join(",");
        check(
            &ours,
            &[Time, Pid, Name, User, Path, CommandLine, Sha256, Connections],
        );
        let latin = Layout::of(&[b"L\xednea de Comandos".to_vec()]);
        assert_eq!(latin.place(CommandLine), Some(0));
    }

    #[test]
    fn the_process_is_not_the_name_that_was_asked_for() {
        // Both are in our own table: `process` is the better one.
        let layout = Layout::of(&header("name,process"));
        assert_eq!(layout.place(Column::Name), Some(1));
    }

    #[test]
    fn what_is_missing_is_named() {
        let header = header("Fecha,Ruta Ejecutable,Color");
        let layout = Layout::of(&header);
        let error = layout.answers(Question::Processes, &header).unwrap_err();
        assert_eq!(
            error,
            "line 1: no column for `ProcessName` (or `process name`); there are `Fecha`, `Ruta Ejecutable`, `Color`\n  \
             hint: docs/verify.md lists the names that are understood; rename the columns"
        );
        let error = layout.answers(Question::Network, &header).unwrap_err();
        assert!(
            error.contains("no column for `RemoteAddress` (or `remote address`)"),
            "{error}"
        );
    }

    #[test]
    fn the_other_verb_is_named_where_it_would_do() {
        let header = header("PID,Nombre,Ruta");
        let error = Layout::of(&header)
            .answers(Question::Network, &header)
            .unwrap_err();
        assert!(
            error.ends_with("`atalaya verify processes` can read it"),
            "{error}"
        );
    }

    #[test]
    fn the_page_lists_every_name_and_pattern() {
        let page = include_str!("../../../../docs/verify.md");
        for (column, _, names) in NAMES {
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            assert!(
                page.contains(&format!("| {}", listed.join(", "))),
                "{column:?} in docs/verify.md"
            );
        }
        for pattern in super::super::commands::PATTERNS {
            let row = format!(
                "| `{}` | {} | {} |",
                pattern.name,
                pattern.severity.name(),
                pattern.meaning
            );
            assert!(page.contains(&row), "{row} in docs/verify.md");
        }
    }

    #[test]
    fn no_name_means_two_things() {
        let mut seen = std::collections::HashMap::new();
        for (column, shown, names) in NAMES {
            assert!(names.iter().any(|name| plain(name) == plain(shown)), "{shown}");
            assert_eq!(NAMES[column as usize].0, column);
            for name in names {
                if let Some(other) = seen.insert(plain(name), column) {
                    assert_eq!(other, column, "{name}");
                }
            }
        }
    }
}
