//! The page in a real browser: no complaint, no request, a picture for the documentation.

use std::fs;
use std::process::Stdio;

use super::{SECOND_DAY, home, run, world};
use crate::home::{Home, finish, installed, skip};

#[test]
fn a_browser_shows_the_report_without_a_complaint_or_a_request() {
    if !installed("chromium") {
        return skip("no chromium");
    }
    // Once with everything that could act, once as in the documentation.
    look(&home(), "web1.db");
    let calm = Home::new();
    world::make(&calm.path("web1"), "/dev/shm/.cache/kworkerd", "updates.example");
    let picture = look(&calm, "web1");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images");
        fs::create_dir_all(folder).unwrap();
        fs::write(format!("{folder}/report.png"), picture).unwrap();
    }
}

/// Opens the report of a database, and gives a picture of it.
fn look(home: &Home, store: &str) -> Vec<u8> {
    let words = ["report", "--store", store, "--to", "report.html", "--lang", "en"];
    let ran = run(home, &[&words[..], &SECOND_DAY].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    // A browser that hangs shall not keep the tests.
    let mut command = home.command("timeout");
    command
        .args(["120", "chromium"])
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
        ])
        // Whatever it asks for, nobody answers; that it asks stands in its log.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--virtual-time-budget=3000",
            "--window-size=1200,1900",
        ])
        .arg(format!("--user-data-dir={}", home.path("profile").display()))
        .arg(format!("--log-net-log={}", home.path("net.json").display()))
        .arg(format!("--screenshot={}", home.path("report.png").display()))
        .arg(format!("file://{}", home.path("report.html").display()))
        .stdin(Stdio::null());
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let complaints: Vec<_> = ran.err.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // The browser's own log of the network: it was written, and no place that the page names is in it.
    let log = fs::read_to_string(home.path("net.json")).unwrap();
    assert!(log.contains("\"constants\""));
    for place in ["example", "203.0.113.", "198.51.100.", "2001:db8", "onerror"] {
        assert!(!log.contains(place), "{place}");
    }
    let picture = fs::read(home.path("report.png")).unwrap();
    assert!(
        picture.starts_with(b"\x89PNG") && picture.len() > 20_000,
        "{}",
        picture.len()
    );
    picture
}
