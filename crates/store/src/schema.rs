//! What people may ask by SQL: the views and their columns, each with a sentence.
//!
//! The columns of connections, processes, listeners, alerts and gaps are those of `model::fields`. Tables are not for
//! asking: they change with the schema, views do not lose a column.

use atalaya_model::fields::{self, Kind, Type};

use crate::identity::Table;
use crate::protocols;

/// A view.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct View {
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    pub columns: Vec<Column>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Column {
    pub name: String,
    /// What its values are: `integer`, `text`, `blob`, `microseconds`, `time` (microseconds since 1970, UTC), `boolean`
    /// (0 or 1), `bytes` (a number), `texts` (a JSON array).
    pub kind: &'static str,
    /// One sentence.
    pub doc: String,
}

const fn kind(of: Type) -> &'static str {
    match of {
        Type::Bool => "boolean",
        Type::Integer => "integer",
        Type::Bytes => "bytes",
        Type::Text | Type::Address => "text",
        Type::Time => "time",
        Type::Span => "microseconds",
        Type::Texts => "texts",
    }
}

fn column(name: &str, kind: &'static str, doc: &str) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        doc: doc.to_owned(),
    }
}

/// What sums have.
const TOTALS: [(&str, &str, &str); 4] = [
    ("connections", "integer", "Conversations that began."),
    ("failed", "integer", "Conversations that were never established."),
    ("sent_bytes", "bytes", "Payload bytes from this host."),
    ("received_bytes", "bytes", "Payload bytes to this host."),
];

/// What is seen has.
const SEEN: [(&str, &str, &str); 2] = [
    ("first_seen", "time", "When it was first seen."),
    ("last_seen", "time", "When it was last seen."),
];

/// Name, sentence and columns of the views that are no record's.
type Plain = (
    &'static str,
    &'static str,
    Vec<(&'static str, &'static str, &'static str)>,
);

fn plain() -> Vec<Plain> {
    let id = ("id", "integer", "Its number.");
    let time = ("time", "time", "When that began.");
    let (program, path) = (
        (
            "program",
            "text",
            "Name of the program; empty for conversations whose process is unknown.",
        ),
        ("path", "text", "Its executable."),
    );
    let address = ("address", "text", "The remote address.");
    let counted = || TOTALS.into_iter().filter(|(name, _, _)| *name != "failed");
    vec![
        (
            "executables",
            "Every executable ever seen, by path and content.",
            [
                id,
                ("path", "text", "Path."),
                ("sha256", "text", "SHA-256 of the content."),
            ]
            .into_iter()
            .chain(SEEN)
            .collect(),
        ),
        (
            "programs",
            "What ran and used the network, whatever process it was, with all that it had.",
            [
                id,
                ("name", "text", "Name of its first process."),
                path,
                ("script", "text", "The script that it ran."),
            ]
            .into_iter()
            .chain(SEEN)
            .chain(TOTALS)
            .chain([("addresses", "integer", "Remote addresses that it ever talked to.")])
            .collect(),
        ),
        (
            "addresses",
            "Every remote address that is remembered, with all that it had.",
            [id, address, ("address_raw", "blob", "Its 4 or 16 bytes.")]
                .into_iter()
                .chain(SEEN)
                .chain([
                    TOTALS[0],
                    (
                        "begun",
                        "integer",
                        "Those of the conversations that this host began.",
                    ),
                    TOTALS[2],
                    TOTALS[3],
                    (
                        "country",
                        "text",
                        "ISO code of its country, where a database told.",
                    ),
                    ("asn", "integer", "Number of its autonomous system."),
                    ("organization", "text", "Who runs that."),
                ])
                .collect(),
        ),
        (
            "traffic_by_minute",
            "What each minute had. Bytes count in the minute in which they were told.",
            [time].into_iter().chain(TOTALS).collect(),
        ),
        (
            "traffic_by_hour_and_program",
            "What each program had in each hour.",
            [time, program, path].into_iter().chain(TOTALS).collect(),
        ),
        (
            "traffic_by_hour_and_port",
            "What each destination port had in each hour.",
            [
                time,
                ("transport", "text", "Transport protocol."),
                (
                    "port",
                    "integer",
                    "The port; unset for those that were too many to be counted one by one.",
                ),
            ]
            .into_iter()
            .chain(TOTALS)
            .collect(),
        ),
        (
            "top_addresses_by_hour",
            "The 500 remote addresses with the most bytes of each hour.",
            [time, address].into_iter().chain(counted()).collect(),
        ),
        (
            "traffic_by_day_and_address",
            "What each remote address had on each day (UTC).",
            [time, address].into_iter().chain(counted()).collect(),
        ),
        (
            "traffic_by_program_and_address",
            "What each program had with each remote address, ever.",
            [program, path, address]
                .into_iter()
                .chain(SEEN)
                .chain(counted())
                .collect(),
        ),
        (
            "runs",
            "When a watcher ran.",
            vec![
                id,
                ("boot_id", "text", "Boot id of the system."),
                ("version", "text", "Version of the program."),
                ("started", "time", "When it began."),
                ("seen", "time", "When it last showed life, to a minute."),
                (
                    "ended",
                    "time",
                    "When it ended; unset where it goes on, or was killed.",
                ),
            ],
        ),
        (
            "incidents",
            "Alerts that belong together. Nothing makes them yet.",
            vec![
                id,
                ("opened", "time", "When the first alert came."),
                ("changed", "time", "When it last changed."),
                ("severity_number", "integer", "The worst severity."),
                ("state", "text", "Its state."),
                ("document", "text", "All of it, as JSON."),
            ],
        ),
        (
            "scans",
            "What was scanned by hand. Nothing makes them yet.",
            vec![
                id,
                time,
                ("kind", "text", "What was done."),
                ("target", "text", "What was scanned."),
                ("document", "text", "All that was found, as JSON."),
            ],
        ),
    ]
}

/// The columns of a record's view: the fields, and what helps asking.
fn record(of: Kind) -> Vec<Column> {
    let mut columns = vec![column(
        "id",
        "integer",
        "Number of the row; those of later events are greater.",
    )];
    if matches!(of, Kind::Connection | Kind::Listener) {
        columns.push(column(
            "live",
            "boolean",
            "It is open, and the run that saw it goes on.",
        ));
    }
    for field in fields::of(of) {
        columns.push(column(field.column, kind(field.kind), field.doc));
        if field.kind == Type::Address {
            let name = format!("{}_raw", field.column);
            columns.push(column(&name, "blob", "The same as 4 or 16 bytes, for BETWEEN."));
        }
    }
    if of == Kind::Alert {
        columns.extend([
            column("count", "integer", "How often it came in all."),
            column("last_time", "time", "When it last came."),
            column("acknowledged", "boolean", "Somebody has seen it."),
            column(
                "verdict",
                "text",
                "What people decided last: `true-positive`, `false-positive` …",
            ),
        ]);
    }
    columns
}

/// The columns of the view of what was said in one table.
fn said(table: Table) -> Vec<Column> {
    let mut columns = vec![
        column(
            "id",
            "integer",
            "Number of the row; those of later facts are greater.",
        ),
        column("time", "time", "When it began."),
        column("connection", "integer", "`id` of its conversation."),
    ];
    let shared = [
        "transport",
        "source_ip",
        "source_port",
        "destination_ip",
        "destination_port",
    ];
    let shared = shared.into_iter().chain(["pid", "process_name", "executable"]);
    for field in shared.filter_map(|name| fields::of(Kind::Connection).find(|field| field.column == name)) {
        columns.push(column(field.column, kind(field.kind), field.doc));
        if field.kind == Type::Address {
            let name = format!("{}_raw", field.column);
            columns.push(column(&name, "blob", "The same as 4 or 16 bytes, for BETWEEN."));
        }
    }
    match table {
        Table::Dns => columns.extend([
            column("dns_question_name", "text", "The name that was asked for."),
            column(
                "dns_question_type",
                "text",
                "The type that was asked for: A, AAAA, TXT …",
            ),
            column(
                "dns_response_code",
                "text",
                "NOERROR, NXDOMAIN …; unset where no answer was seen.",
            ),
            column(
                "dns_answers",
                "texts",
                "What the answer says: addresses, names, texts.",
            ),
            column(
                "dns_response_time",
                "microseconds",
                "From the question to the answer.",
            ),
        ]),
        Table::Protocol => columns.push(column(
            "protocol",
            "text",
            "The protocol: `quic`, `ssh`, `smtp` …",
        )),
        table => {
            for field in protocols::columns(table) {
                columns.push(column(field.column, kind(field.kind), field.doc));
            }
        }
    }
    columns.push(column("document", "text", "All of it, as JSON."));
    columns
}

/// Every view, in the order in which a page shows them.
pub fn views() -> Vec<View> {
    let view = |name, doc, columns| View { name, doc, columns };
    let mut views = vec![
        view(
            "connections",
            "Conversations, one row an observed socket.",
            record(Kind::Connection),
        ),
        view(
            "processes",
            "Processes, as they are known last.",
            record(Kind::Process),
        ),
        view("listeners", "Sockets that accept.", record(Kind::Listener)),
        view(
            "alerts",
            "Alerts, with what was said of them.",
            record(Kind::Alert),
        ),
        view("gaps", "What was not seen, or not kept.", record(Kind::Gap)),
        view(
            "dns",
            "Names that were asked for, and the answers.",
            said(Table::Dns),
        ),
        view("tls", "TLS and DTLS handshakes.", said(Table::Tls)),
        view("http", "HTTP requests and their responses.", said(Table::Http)),
        view(
            "protocols",
            "What was said in every other protocol.",
            said(Table::Protocol),
        ),
    ];
    views.extend(plain().into_iter().map(|(name, doc, columns)| {
        View {
            name,
            doc,
            columns: columns
                .into_iter()
                .map(|(name, kind, doc)| column(name, kind, doc))
                .collect(),
        }
    }));
    views
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_view_and_column_is_told_of() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in crate::open::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        connection.execute_batch(&crate::views::all()).unwrap();
        let mut statement = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")
            .unwrap();
        let names: Vec<String> = statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut told: Vec<_> = views().iter().map(|view| view.name).collect();
        told.sort_unstable();
        assert_eq!(names, told);
        for view in views() {
            let statement = connection
                .prepare(&format!("SELECT * FROM {}", view.name))
                .unwrap();
            let mut columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
            let mut told: Vec<_> = view.columns.iter().map(|column| column.name.clone()).collect();
            // The order of fields is that of records, not that of the view.
            columns.sort_unstable();
            told.sort_unstable();
            assert_eq!(columns, told, "{}", view.name);
            assert!(
                view.columns.iter().all(|column| !column.doc.is_empty()),
                "{}",
                view.name
            );
        }
    }
}
