//! SMTP facts against what Suricata says of the same captures.
#![expect(clippy::unwrap_used, reason = "a test may stop, and says what it skipped")]

#[path = "streams/assemble.rs"]
mod assemble;

use assemble::talks;
use atalaya_model::Message;
use serde_json::{Value, json};

#[test]
fn suricatas_rows() {
    let Some(folder) = std::env::var_os("ATALAYA_CORPORA") else {
        println!("skipped: no corpora");
        return;
    };
    let folder = std::path::Path::new(&folder).join("app");
    let text = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut passed, mut all) = (0, 0);
    for row in rows.filter(|row| row["event_type"] == "smtp") {
        let expected = row["match"].as_object().unwrap();
        let bodies = [
            "email.url",
            "email.attachment",
            "email.received",
            "email.body",
            "email.subject",
        ];
        if expected
            .keys()
            .any(|name| bodies.iter().any(|body| name.starts_with(body)))
        {
            println!("skipped: {}: mails' bodies are not read", row["test"]);
            continue;
        }
        let talks = talks(
            &folder.join(row["capture"].as_str().unwrap()),
            row["checksums"] == "checked",
        );
        let mut records = Vec::new();
        for talk in &talks {
            for (_, message) in &talk.said {
                let Message::Mail(mail) = message else { continue };
                let mut record = json!({
                    "src_ip": talk.source.ip(), "src_port": talk.source.port(),
                    "dest_ip": talk.destination.ip(), "dest_port": talk.destination.port(), "proto": "TCP",
                    "smtp.helo": mail.helo, "smtp.mail_from": mail.from,
                    "email.from": mail.head_from, "email.status": mail.complete.then_some("PARSE_DONE"),
                });
                for (place, to) in mail.to.iter().enumerate() {
                    record[format!("smtp.rcpt_to[{place}]")] = (**to).into();
                }
                for (place, to) in mail.head_to.iter().enumerate() {
                    record[format!("email.to[{place}]")] = (**to).into();
                }
                records.push(record);
            }
        }
        let is_right = |record: &&Value| expected.iter().all(|(name, value)| record[name] == *value);
        let count = records.iter().filter(is_right).count() as u64;
        let wanted = row["count"].as_u64().unwrap();
        all += 1;
        if count == wanted || (row["compare"] == "at_least" && count > wanted) {
            passed += 1;
        } else {
            println!("{}: {count} instead of {wanted}: {records:?}", row["test"]);
        }
    }
    println!("{passed} of {all} rows of Suricata's smtp events");
    // One row wants a name of 4 KiB, of which 255 bytes are kept.
    assert!(passed + 1 >= all);
}
