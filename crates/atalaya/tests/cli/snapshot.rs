//! `atalaya snapshot`: what it writes, and what its exit says.

use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::home::{ATALAYA, Home, calm, finish, installed, skip};

/// A connection of this test with itself. The port that answers, and both ends.
fn connection() -> (u16, (TcpListener, TcpStream), TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    // Until it is accepted, no process holds that end.
    let accepted = listener.accept().unwrap().0;
    (address.port(), (listener, accepted), stream)
}

fn suspicious(port: u16) -> String {
    calm(&format!("[detect.suspicious_port]\nports = [{port}]\n"))
}

#[test]
fn only_high_severity_is_1() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let calm = home.write("calm.toml", &calm(""));
    let ran = home.run(&["snapshot", "--config", &calm]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("No anomalies detected."), "{}", ran.out);
    let high = home.write("high.toml", &suspicious(port));
    let ran = home.run(&["snapshot", "--config", &high]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("[HIGH]") && ran.out.contains("suspicious_port"),
        "{}",
        ran.out
    );
    let low = crate::home::calm("[detect.uncommon_port]\nsafe_ports = []\n");
    let low = home.write("low.toml", &low);
    let ran = home.run(&["--config", &low]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn port_4444_is_high_as_shipped() {
    let Ok(listener) = TcpListener::bind("127.0.0.1:4444") else {
        return skip("port 4444 is taken");
    };
    let _stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ran = Home::new().run(&["snapshot", "--output", "json", "--lang", "en"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let document = &ran.json()[0];
    let of_this_test = |alert: &&Value| {
        alert["rule_name"] == "SUSPICIOUS_PORT" && alert["ecs"]["process"]["pid"] == std::process::id()
    };
    let alerts = document["alerts"].as_array().unwrap();
    let alert = alerts
        .iter()
        .find(of_this_test)
        .unwrap_or_else(|| panic!("{alerts:#?}"));
    assert_eq!(alert["severity"], "HIGH");
    assert!(alert["description"].as_str().unwrap().contains("Metasploit"));
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Has the document these keys?
#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    for key in wanted {
        assert!(value.get(key).is_some(), "no {key} in {:?}", keys(value));
    }
}

#[test]
fn json_is_one_line_with_the_keys_of_s3() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let config = home.write("high.toml", &suspicious(port));
    let filter = format!("destination.port:{port}");
    let ran = home.run(&[
        "snapshot", "--config", &config, "--output", "json", "--filter", &filter,
    ]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert_eq!(ran.out.matches('\n').count(), 1, "{}", ran.out);
    let document = &ran.json()[0];
    let statistics = &document["statistics"];
    has(
        document,
        &[
            "timestamp",
            "duration",
            "total_connections",
            "alert_count",
            "alerts",
            "statistics",
            "connections",
        ],
    );
    has(
        statistics,
        &[
            "established_count",
            "by_protocol",
            "by_state",
            "by_process",
            "listening_ports",
            "external_ips",
        ],
    );
    assert_eq!(document["alert_count"], 1);
    let alert = &document["alerts"][0];
    has(alert, &["rule_name", "severity", "description", "recommendation"]);
    assert_eq!(alert["rule_name"], "SUSPICIOUS_PORT");
    // Both ends of the one connection, and nothing else.
    let rows = document["connections"].as_array().unwrap();
    assert_eq!(document["total_connections"], rows.len());
    assert_eq!(statistics["established_count"], 2);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    for row in rows {
        has(
            row,
            &[
                "protocol",
                "local_address",
                "local_port",
                "remote_address",
                "remote_port",
                "state",
                "pid",
                "process",
            ],
        );
        assert!(row["local_port"] == port || row["remote_port"] == port, "{row}");
        assert_eq!(row["state"], "ESTABLISHED");
        assert_eq!(row["pid"], std::process::id());
        assert_eq!(row["ecs"]["destination"]["port"], port);
    }
}

#[test]
fn csv_is_a_table() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let config = home.write("calm.toml", &calm(""));
    let filter = format!("destination.port:{port} or listen.port:{port}");
    let ran = home.run(&[
        "snapshot", "--config", &config, "--output", "csv", "--filter", &filter,
    ]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let mut reader = csv::Reader::from_reader(ran.out.as_bytes());
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3, "both ends and the listener: {}", ran.out);
    for row in &rows {
        assert_eq!(row[column("pid")], std::process::id().to_string());
    }
    assert_eq!(rows[0][column("destination_port")], port.to_string());
}

#[test]
fn all_lists_every_connection() {
    let home = Home::new();
    let (port, _listener, stream) = connection();
    let config = home.write("calm.toml", &calm(""));
    let filter = format!("destination.port:{port}");
    let local = format!("127.0.0.1:{}", stream.local_addr().unwrap().port());
    let some = home.run(&["snapshot", "--config", &config, "--filter", &filter]);
    assert!(!some.out.contains(&local), "{}", some.out);
    let all = home.run(&["snapshot", "--config", &config, "--filter", &filter, "--all"]);
    assert!(all.out.contains(&local), "{}", all.out);
}

#[test]
fn quiet_tells_of_alerts_only() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let calm = home.write("calm.toml", &calm(""));
    let ran = home.run(&["snapshot", "--config", &calm, "--quiet"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let high = home.write("high.toml", &suspicious(port));
    let ran = home.run(&["snapshot", "--config", &high, "--quiet"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    assert!(
        ran.out.contains("HIGH") && ran.out.contains(&port.to_string()),
        "{}",
        ran.out
    );
}

#[test]
fn spanish_by_flag_and_by_environment() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let config = home.write("high.toml", &suspicious(port));
    let flag = home.run(&["snapshot", "--config", &config, "--lang", "es"]);
    let mut command = home.command(ATALAYA);
    command
        .args(["snapshot", "--config", &config])
        .env("LANG", "es_MX.UTF-8");
    let environment = finish(command);
    for ran in [flag, environment] {
        assert!(
            ran.out.contains("Informe de red") && ran.out.contains("Recomendación"),
            "{}",
            ran.out
        );
        assert!(!ran.out.contains("Recommendation"), "{}", ran.out);
    }
    let mut command = home.command(ATALAYA);
    command
        .args(["snapshot", "--config", &config, "--lang", "en"])
        .env("LANG", "es_MX.UTF-8");
    assert!(finish(command).out.contains("Recommendation"));
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let home = Home::new();
    let (port, _listener, _stream) = connection();
    let config = home.write("high.toml", &suspicious(port));
    let piped = home.run(&["snapshot", "--config", &config]);
    assert!(!piped.out.contains('\x1b'), "{}", piped.out);
    if !installed("script") {
        return skip("script is not installed");
    }
    let on_terminal = |name: &str, value: &str| {
        let line = format!("'{ATALAYA}' snapshot --config '{config}' --quiet");
        let mut command = home.command("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("TERM", "xterm").env(name, value);
        let ran = finish(command);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.out
    };
    assert!(on_terminal("ANYTHING", "1").contains("\x1b["));
    assert!(!on_terminal("NO_COLOR", "1").contains('\x1b'));
    assert!(!on_terminal("TERM", "dumb").contains('\x1b'));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let home = Home::new();
    let config = home.write("calm.toml", &calm(""));
    let mut command = home.command("sh");
    let line = format!("'{ATALAYA}' snapshot --config '{config}' --all --output csv; echo status $? >&2");
    command.args(["-c", &format!("({line}) | true")]);
    let ran = finish(command);
    assert_eq!(ran.err.trim(), "status 0");
}

#[test]
fn s3_is_told_of_listeners_at_the_first_look() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = home.run(&["config", "init", "--like", "s3"]).out;
    let config = home.write("s3.toml", &text.replace("[store]", "[store]\n# for the test"));
    let ran = home.run(&["snapshot", "--config", &config, "--output", "json"]);
    let document = &ran.json()[0];
    let alerts = document["alerts"].as_array().unwrap();
    let told = alerts.iter().any(|alert| {
        alert["rule_name"] == "UNUSUAL_LISTENERS" && alert["ecs"]["process"]["pid"] == std::process::id()
    });
    assert!(told, "nothing of port {port}: {alerts:#?}");
}
