//! The views that people ask: one for each kind of record, with exactly the fields of `model::fields` as columns.
//!
//! They are made from the list of codes, so a writer makes them anew whenever this program's text of them differs from
//! the database's. Other programs see no Community ID; our own connections lay a view of the same name over the kept one,
//! which computes it. Helper columns: `id`, `<address>_raw` (4 or 16 bytes, comparable with BETWEEN), `live`; for alerts
//! `count`, `last_time`, `acknowledged`, `verdict`.

use std::sync::LazyLock;

use atalaya_model::community_id::community_id;
use atalaya_model::fields::Kind;
use atalaya_model::process::{Digest, Unread};
use atalaya_model::{
    Certainty, Direction, Endpoint, Evidence, NameSource, Outcome, Scope, SocketState, Transport,
};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension};

use crate::dictionary::from_raw;
use crate::identity::Table;
use crate::{StoreError, codes, identity, protocols};

/// The statements that make every view.
pub(crate) fn all() -> String {
    let connections = format!("CREATE VIEW connections AS {}", connections("NULL"));
    let mut views = vec![connections, listeners(), processes(), alerts(), gaps()];
    views.extend([Table::Dns, Table::Tls, Table::Http, Table::Protocol].map(said));
    let transport = transport("transport");
    views.extend(
        PLAIN.map(|(name, sql)| format!("CREATE VIEW {name} AS {sql}").replace("{transport}", &transport)),
    );
    views.join(";\n")
}

/// Views that need no codes. Times are microseconds since the epoch, as everywhere.
const PLAIN: [(&str, &str); 12] = [
    (
        "executables",
        "SELECT id, path, sha256, first_seen, last_seen FROM executable",
    ),
    (
        "programs",
        "SELECT id, name, path, script, first_seen * 1000000 AS first_seen, last_seen * 1000000 AS last_seen, \
         connections, failed, sent_bytes, received_bytes, addresses FROM program WHERE id > 0",
    ),
    (
        "addresses",
        "SELECT i.id AS id, i.address AS address, i.raw AS address_raw, i.first_seen * 1000000 AS first_seen, \
         i.last_seen * 1000000 AS last_seen, i.connections AS connections, i.begun AS begun, \
         i.sent_bytes AS sent_bytes, i.received_bytes AS received_bytes, i.country AS country, i.asn AS asn, \
         (SELECT value FROM text WHERE id = i.organization) AS organization FROM ip i WHERE i.connections > 0",
    ),
    (
        "traffic_by_minute",
        "SELECT minute * 60000000 AS time, connections, failed, sent_bytes, received_bytes FROM rollup_minute",
    ),
    (
        "traffic_by_hour_and_program",
        "SELECT r.hour * 3600000000 AS time, g.name AS program, g.path AS path, r.connections AS connections, \
         r.failed AS failed, r.sent_bytes AS sent_bytes, r.received_bytes AS received_bytes \
         FROM rollup_hour_program r LEFT JOIN program g ON g.id = r.program",
    ),
    (
        "traffic_by_hour_and_port",
        "SELECT hour * 3600000000 AS time, {transport} AS transport, nullif(port, -1) AS port, connections, failed, sent_bytes, \
         received_bytes FROM rollup_hour_port",
    ),
    (
        "top_addresses_by_hour",
        "SELECT r.hour * 3600000000 AS time, i.address AS address, r.connections AS connections, \
         r.sent_bytes AS sent_bytes, r.received_bytes AS received_bytes \
         FROM rollup_hour_top r JOIN ip i ON i.id = r.ip",
    ),
    (
        "traffic_by_day_and_address",
        "SELECT r.day * 86400000000 AS time, i.address AS address, r.connections AS connections, \
         r.sent_bytes AS sent_bytes, r.received_bytes AS received_bytes \
         FROM rollup_day_ip r JOIN ip i ON i.id = r.ip",
    ),
    (
        "traffic_by_program_and_address",
        "SELECT g.name AS program, g.path AS path, i.address AS address, r.first_seen * 1000000 AS first_seen, \
         r.last_seen * 1000000 AS last_seen, r.connections AS connections, r.sent_bytes AS sent_bytes, \
         r.received_bytes AS received_bytes FROM rollup_program_ip r JOIN ip i ON i.id = r.ip \
         LEFT JOIN program g ON g.id = r.program",
    ),
    (
        "runs",
        "SELECT r.id AS id, b.boot_id AS boot_id, r.version AS version, r.started AS started, r.seen AS seen, \
         r.ended AS ended FROM run r JOIN boot b ON b.id = r.boot",
    ),
    (
        "incidents",
        "SELECT id, opened, changed, severity_number, state, document FROM incident",
    ),
    ("scans", "SELECT id, time, kind, target, document FROM scan"),
];

/// The view of what was said in one table.
fn said(table: Table) -> String {
    let name = match table {
        Table::Dns => "dns",
        Table::Tls => "tls",
        Table::Http => "http",
        _ => "protocols",
    };
    format!(
        "CREATE VIEW {name} AS SELECT f.id AS id, {time} + f.began AS time, f.connection AS connection, \
         {transport} AS transport, s.address AS source_ip, s.raw AS source_ip_raw, f.source_port AS source_port, \
         d.address AS destination_ip, d.raw AS destination_ip_raw, f.destination_port AS destination_port, \
         p.pid AS pid, p.name AS process_name, x.path AS executable, {shown}, f.document AS document \
         FROM {table} f JOIN ip s ON s.id = f.source_ip JOIN ip d ON d.id = f.destination_ip \
         LEFT JOIN process p ON p.id = f.process LEFT JOIN executable x ON x.id = p.executable",
        time = identity::time_sql("f"),
        transport = transport("f.transport"),
        shown = protocols::shown(table),
        table = table.name(),
    )
}

/// Lays the view with what only this program computes over the kept one, for this connection.
pub(crate) fn lay_over(connection: &Connection) -> Result<(), StoreError> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        let community_id = "community_id_of(h.transport, s.raw, iif(h.side, c.remote_port, c.local_port) & 65535, \
            d.raw, iif(h.side, c.local_port, c.remote_port) & 65535)";
        format!(
            "DROP VIEW IF EXISTS temp.connections; CREATE TEMP VIEW connections AS {}",
            connections(community_id)
        )
    });
    connection.create_scalar_function(
        "community_id_of",
        5,
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS,
        |context| {
            let end = |ip: usize, port: usize| {
                let ip = context
                    .get_raw(ip)
                    .as_blob()
                    .ok()
                    .and_then(|raw| from_raw(raw).ok())?;
                let port = context.get::<u16>(port).ok()?;
                Some(Endpoint { ip, port })
            };
            let transport = Transport::from_number(context.get(0)?);
            let ends = end(1, 2).zip(end(3, 4));
            Ok(ends.map(|(source, destination)| community_id(transport, source, destination)))
        },
    )?;
    connection.execute_batch(&SQL)?;
    Ok(())
}

/// The statements that made the views of this database; empty where there are none.
pub(crate) fn kept(connection: &Connection) -> Result<String, StoreError> {
    let kept = connection
        .query_row("SELECT value FROM meta WHERE name = 'views'", [], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(kept.unwrap_or_default())
}

pub(crate) fn keep(connection: &Connection, text: &str) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('views', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
        [text],
    )?;
    Ok(())
}

/// Drops the views that this program made, now or earlier; those that somebody else added stay.
pub(crate) fn drop_all(connection: &Connection, wanted: &str) -> Result<(), StoreError> {
    let kept = match connection.table_exists(None, "meta")? {
        true => kept(connection)?,
        false => String::new(),
    };
    let mut statement = connection.prepare("SELECT name FROM main.sqlite_schema WHERE type = 'view'")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    for name in names.collect::<Result<Vec<_>, _>>()? {
        let made = format!("CREATE VIEW {name} AS ");
        if wanted.contains(&made) || kept.contains(&made) {
            connection.execute_batch(&format!("DROP VIEW {name}"))?;
        }
    }
    Ok(())
}

fn text(id: &str) -> String {
    format!("(SELECT value FROM text WHERE id = {id})")
}

fn transport(column: &str) -> String {
    format!(
        "CASE {column} WHEN 1 THEN 'icmp' WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 33 THEN 'dccp' \
         WHEN 58 THEN 'ipv6-icmp' WHEN 132 THEN 'sctp' WHEN 136 THEN 'udplite' ELSE 'raw' END"
    )
}

fn attribution(code: &str) -> String {
    format!(
        "{} AS certainty, {} AS evidence",
        codes::names(&format!("({code} >> 5)"), codes::CERTAINTY, Certainty::name),
        codes::names(&format!("({code} & 31)"), codes::EVIDENCE, Evidence::name),
    )
}

/// The columns of the process `p` with its executable `x` and first ancestor `l`.
fn process() -> String {
    let text = |column: &str| text(&format!("p.{column}"));
    format!(
        "p.pid AS pid, p.started AS process_start, p.ended AS process_end, p.name AS process_name, \
         x.path AS executable, p.command_line AS command_line, p.command_line_hash AS command_line_hash, \
         p.working_directory AS working_directory, x.sha256 AS sha256, p.script AS script, \
         p.script_sha256 AS script_sha256, p.preload AS preload, p.exit_code AS exit_code, \
         p.parent_pid AS parent_pid, l.name AS parent_name, l.executable AS parent_executable, \
         CASE WHEN p.lineage IS NOT NULL THEN (\
           WITH RECURSIVE chain (place, name, pid, next) AS (\
             SELECT 0, name, pid, next FROM lineage WHERE id = p.lineage \
             UNION ALL SELECT place + 1, n.name, n.pid, n.next FROM chain JOIN lineage n ON n.id = chain.next \
             WHERE place < 64) \
           SELECT json_group_array(ancestor) FROM (\
             SELECT name || '(' || pid || ')' AS ancestor FROM chain ORDER BY place)) END AS ancestors, \
         p.user_id AS user_id, {} AS user_name, {} AS container_id, {} AS container_runtime, {} AS cgroup, \
         {} AS unit, {} AS package_name, {} AS package_version, {} AS package_digest, \
         (p.flags & {}) <> 0 AS deleted, (p.flags & {}) <> 0 AS memfd, (p.flags & {}) <> 0 AS is_script, \
         (p.flags & {}) <> 0 AS is_preloaded, (p.flags & {}) <> 0 AS standard_socket, {} AS unread",
        text("user_name"),
        text("container_id"),
        text("container_runtime"),
        text("cgroup"),
        text("unit"),
        text("package_name"),
        text("package_version"),
        codes::names("p.package_digest", codes::DIGEST, Digest::name),
        codes::DELETED,
        codes::MEMFD,
        codes::SCRIPT,
        codes::PRELOAD,
        codes::STANDARD_SOCKET,
        codes::names("p.unread", codes::UNREAD, Unread::name),
    )
}

const PROCESS_JOINS: &str =
    "LEFT JOIN executable x ON x.id = p.executable LEFT JOIN lineage l ON l.id = p.lineage";

/// What packets told: `w`.
fn wire() -> String {
    let columns: Vec<_> = atalaya_model::fields::of_wire()
        .map(|field| format!("w.{column} AS {column}", column = field.column))
        .collect();
    columns.join(", ")
}

/// The view of conversations. SQL alone cannot make a Community ID: `community_id` is how to.
fn connections(community_id: &str) -> String {
    let base = identity::base_sql("c");
    // A blob says only what was counted when it opened.
    let extra = |name: &str| format!("iif(typeof(c.extra) = 'text', c.extra ->> '{name}', NULL)");
    let changed = format!("({base} + coalesce(c.span, {}, 0))", extra("late"));
    let ended = extra("ended");
    let end = format!(
        "CASE WHEN {ended} IS NOT NULL THEN {changed} + {ended} WHEN h.phase = 2 AND {} IS NULL THEN {changed} END",
        extra("endless")
    );
    let port = |column: &str| format!("c.{column} & 65535");
    format!(
        "SELECT c.id AS id, h.phase < 2 AND h.run = (SELECT max(id) FROM run) \
         AND (SELECT ended FROM run WHERE id = h.run) IS NULL AS live, \
         {base} + c.started AS start_time, {end} AS end_time, \
         coalesce({end}, {changed} + coalesce({seen}, 0)) - ({base} + c.started) AS duration, \
         {transport} AS transport, iif(length(s.raw) = 4, 'ipv4', 'ipv6') AS network_type, \
         {direction} AS direction, {scope} AS scope, {state} AS state, {service} AS service, \
         {community_id} AS community_id, h.network_namespace AS network_namespace, \
         c.sent_bytes + c.received_bytes AS bytes, \
         s.address AS source_ip, s.raw AS source_ip_raw, iif(h.side, {remote_port}, {local_port}) AS source_port, \
         iif(h.side, c.received_bytes, c.sent_bytes) AS source_bytes, \
         iif(h.side, c.received_packets, c.sent_packets) AS source_packets, \
         d.address AS destination_ip, d.raw AS destination_ip_raw, \
         iif(h.side, {local_port}, {remote_port}) AS destination_port, {name} AS destination_domain, \
         iif(h.side, c.sent_bytes, c.received_bytes) AS destination_bytes, \
         iif(h.side, c.sent_packets, c.received_packets) AS destination_packets, \
         nullif(c.round_trip, 0) AS round_trip, c.retransmits AS retransmits, \
         s.country AS source_country, s.asn AS source_asn, {source_organization} AS source_organization, \
         d.country AS destination_country, d.asn AS destination_asn, \
         {destination_organization} AS destination_organization, \
         iif(h.side, s.country, d.country) AS country, iif(h.side, s.asn, d.asn) AS asn, \
         iif(h.side, 'destination', 'source') AS side, \
         iif(h.outcome, {outcome}, NULL) AS outcome, {name_source} AS name_source, nullif(c.cookie, 0) AS cookie, \
         h.started_before AS started_before, nullif(h.user_id, -1) AS socket_user_id, {attribution}, {wire}, {process} \
         FROM connection c JOIN shape h ON h.id = c.shape \
         JOIN ip s ON s.id = iif(h.side, c.remote_ip, c.local_ip) \
         JOIN ip d ON d.id = iif(h.side, c.local_ip, c.remote_ip) \
         LEFT JOIN process p ON p.id = c.process {PROCESS_JOINS} LEFT JOIN wire w ON w.connection = c.id",
        seen = extra("seen"),
        local_port = port("local_port"),
        remote_port = port("remote_port"),
        wire = wire(),
        transport = transport("h.transport"),
        direction = codes::names("h.direction", codes::DIRECTION, Direction::name),
        scope = codes::names("h.scope", codes::SCOPE, Scope::name),
        state = codes::names("h.state", codes::STATE, SocketState::name),
        service = text("h.service"),
        name = text("c.name"),
        source_organization = text("s.organization"),
        destination_organization = text("d.organization"),
        outcome = codes::names("h.outcome", codes::OUTCOME, Outcome::name),
        name_source = codes::names("h.name_source", codes::NAME_SOURCE, NameSource::name),
        attribution = attribution("h.attribution"),
        process = process(),
    )
}

fn listeners() -> String {
    let appeared = identity::time_sql("c");
    let now = |column: &str| format!("iif(c.phase, c.last_{column}, c.{column})");
    format!(
        "CREATE VIEW listeners AS SELECT c.id AS id, \
         c.phase < 2 AND c.run = (SELECT max(id) FROM run) \
         AND (SELECT ended FROM run WHERE id = c.run) IS NULL AS live, \
         {appeared} + c.started AS start_time, c.changed + c.ended AS end_time, {transport} AS transport, \
         iif(length(s.raw) = 4, 'ipv4', 'ipv6') AS network_type, {service} AS service, \
         c.network_namespace AS network_namespace, s.address AS listen_ip, s.raw AS listen_ip_raw, \
         c.port AS listen_port, nullif(c.cookie, 0) AS cookie, c.started_before AS started_before, \
         c.user_id AS socket_user_id, {attribution}, {process} \
         FROM listener c JOIN ip s ON s.id = c.ip LEFT JOIN process p ON p.id = {process_id} {PROCESS_JOINS}",
        transport = transport("c.transport"),
        service = text("c.service"),
        attribution = attribution(&now("attribution")),
        process = process(),
        process_id = now("process"),
    )
}

fn processes() -> String {
    format!(
        "CREATE VIEW processes AS SELECT p.id AS id, {} FROM process p {PROCESS_JOINS} WHERE p.latest = 1",
        process()
    )
}

fn alerts() -> String {
    let columns = atalaya_model::fields::of(Kind::Alert)
        .map(|field| field.column)
        .filter(|column| *column != "alert_id")
        .map(|column| format!("a.{column} AS {column}"))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "CREATE VIEW alerts AS SELECT a.id AS id, a.id AS alert_id, {columns}, \
         a.source_ip_raw AS source_ip_raw, a.destination_ip_raw AS destination_ip_raw, \
         a.listen_ip_raw AS listen_ip_raw, \
         coalesce((SELECT max(count) FROM alert_count n WHERE n.alert = a.id), 1) AS count, \
         max(a.time, coalesce((SELECT max(time) FROM alert_count n WHERE n.alert = a.id), a.time)) AS last_time, \
         EXISTS (SELECT 1 FROM acknowledgement k WHERE k.alert = a.id) AS acknowledged, \
         (SELECT v.verdict FROM verdict v WHERE v.alert = a.id ORDER BY v.id DESC LIMIT 1) AS verdict \
         FROM alert a"
    )
}

fn gaps() -> String {
    let stage = codes::names("g.stage", codes::STAGE, atalaya_model::Stage::name);
    format!(
        "CREATE VIEW gaps AS SELECT g.id AS id, {} + g.noticed AS time, {stage} AS stage, g.count AS lost, \
         g.reason AS reason FROM gap g",
        identity::time_sql("g")
    )
}
