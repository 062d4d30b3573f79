//! Valid, streamed, safe, and with the keys that scripts expect.

use atalaya_format::catalogue::Language;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::snapshot::samples;

fn options(pretty: bool) -> JsonOptions {
    JsonOptions {
        context: Context {
            host_name: "watchtower".into(),
            host_id: None,
            version: "0.1.0".into(),
            language: Language::English,
            of_captures: false,
        },
        pretty,
    }
}

fn written(host: &samples::Host, pretty: bool) -> String {
    let mut out = Vec::new();
    write_json(&host.snapshot(), &options(pretty), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_document() {
    let text = written(&samples::host(), true);
    let document: Value = serde_json::from_str(&text).unwrap();
    // The records have tests of their own, in `format`.
    for list in ["alerts", "connections"] {
        for item in document[list].as_array().unwrap() {
            let ecs = &item["ecs"];
            assert!(
                ecs["@timestamp"].is_string() && ecs["event"]["kind"].is_string(),
                "{ecs}"
            );
        }
    }
    let lines = text.lines().map(|line| match line.split_once("\"ecs\": ") {
        Some((before, _)) => format!("{before}\"ecs\": (a record)"),
        None => line.to_owned(),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn compact_is_one_line_and_both_are_the_same_document() {
    for host in [samples::host(), samples::empty()] {
        let (compact, pretty) = (written(&host, false), written(&host, true));
        assert_eq!(compact.matches('\n').count(), 1);
        assert!(pretty.lines().count() > 20);
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&compact), read(&pretty));
        assert!(!compact.contains(['\u{1b}', '\u{202e}', '\u{9b}']));
    }
}

#[test]
fn every_socket_is_there_with_its_flat_keys() {
    let document: Value = serde_json::from_str(&written(&samples::host(), false)).unwrap();
    let sockets = document["connections"].as_array().unwrap();
    assert_eq!(
        sockets.len() as u64,
        document["total_connections"].as_u64().unwrap()
    );
    for socket in sockets {
        for key in [
            "protocol",
            "local_address",
            "local_port",
            "remote_address",
            "remote_port",
            "state",
            "pid",
            "process",
        ] {
            assert!(socket.get(key).is_some(), "{key} is missing: {socket}");
        }
    }
    assert_eq!(document["alerts"][1]["rule_name"], "UNUSUAL_LISTENERS");
    assert_eq!(document["alerts"][0]["severity"], "HIGH");
    assert_eq!(document["alerts"][0]["ecs"]["rule"]["name"], "suspicious_port");
}

#[test]
fn a_writer_that_fails_is_reported() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let host = samples::host();
    let error = write_json(&host.snapshot(), &options(false), &mut Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

proptest! {
    #[test]
    fn any_text_is_valid_and_comes_back(text in any::<String>()) {
        let mut json = Json::new(false);
        json.text(&text);
        prop_assert!(!json.bytes.chars().any(char::is_control));
        prop_assert_eq!(serde_json::from_str::<String>(&json.bytes).unwrap(), text);
    }
}
