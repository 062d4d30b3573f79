//! Reports that a watch writes by itself.

use super::{HOSTILE, world};
use crate::home::{Home, Ran, calm, finish};

/// A short watch with this in its table `[report]`, over the world's history.
fn watch(home: &Home, report: &str) -> Ran {
    world::make(&home.path("a.db"), HOSTILE, world::MASTER);
    let config = calm(&format!("[report]\n{report}")).replace("[store]\nenabled = false\n", "");
    let config = home.write("watch.toml", &config);
    let mut command = home.command(crate::home::ATALAYA);
    command
        .env("TZ", "UTC")
        .args([
            "watch", "--config", &config, "--store", "a.db", "--tier", "poll", "--lang", "en",
        ])
        .args(["--interval", "200ms", "--duration", "1s"]);
    finish(command)
}

#[test]
fn a_report_that_was_missed_is_written_at_once() {
    let home = Home::new();
    let ran = watch(&home, "daily = \"00:00\"\nformat = \"json\"\nkeep = 3\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let files: Vec<_> = std::fs::read_dir(home.path("reports"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let [file] = &files[..] else {
        panic!("{files:?}: {}", ran.err)
    };
    assert!(
        file.starts_with("report-daily-20") && file.ends_with(".json"),
        "{file}"
    );
    assert!(ran.err.contains("the daily report is in "), "{}", ran.err);
    let text = std::fs::read_to_string(home.path("reports").join(file)).unwrap();
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(
        whole["until"].as_str().unwrap().ends_with("T00:00:00.000000Z"),
        "{whole}"
    );
    // It is written once: the next watch finds it there.
    let again = watch(&home, "daily = \"00:00\"\nformat = \"json\"\n");
    assert!(!again.err.contains("the daily report"), "{}", again.err);
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_the_watch_goes_on() {
    let home = Home::new();
    home.write("file", "not a folder");
    let ran = watch(&home, "weekly = \"wed 12:00\"\nfolder = \"file/reports\"\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err
            .contains("the weekly report was not written: failed to make file/reports"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("watched for"), "{}", ran.err);
}
