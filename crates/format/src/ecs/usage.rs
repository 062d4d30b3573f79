//! A process's record with what it does on the network, under `atalaya.usage`.

use std::fmt::Write as _;

use atalaya_model::fields::Record;
use atalaya_model::{ProcessUse, Time, Usage};

use super::{Context, record};
use crate::json;

/// Appends a process and its use of the network. `source` says who saw it.
pub fn process_use(out: &mut String, row: &ProcessUse, source: &str, context: &Context) {
    record(out, Record::Process(&row.process), context);
    // A process's record has no member `atalaya`: the object is opened again for it.
    out.pop();
    for name in ["atalaya", "usage"] {
        json::key(out, name);
        out.push('{');
    }
    json::key(out, "source");
    json::text(out, source);
    if let Some(boot) = &row.boot {
        json::key(out, "boot_id");
        json::text(out, boot);
    }
    numbers(out, &row.usage);
    listeners(out, &row.usage);
    for (name, time) in [("first_seen", row.usage.first), ("last_seen", row.usage.last)] {
        if let Some(time) = time {
            json::key(out, name);
            json::text(out, &Time::rfc3339(time));
        }
    }
    out.push_str("}}}");
}

fn numbers(out: &mut String, usage: &Usage) {
    let mut object = |name: &str, members: &[(&str, u64)]| {
        json::key(out, name);
        out.push('{');
        for (name, number) in members {
            json::key(out, name);
            json::number(out, *number);
        }
        out.push('}');
    };
    object(
        "connections",
        &[
            ("open", usage.open),
            ("closed", usage.closed),
            ("failed", usage.failed),
        ],
    );
    if let Some((sent, received)) = usage.bytes {
        object("bytes", &[("sent", sent), ("received", received)]);
    }
    json::key(out, "listening");
    json::number(out, usage.listening);
}

fn listeners(out: &mut String, usage: &Usage) {
    json::key(out, "listeners");
    out.push('[');
    for (index, (transport, local)) in usage.listeners.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        // Neither needs escapes, and writing to a String cannot fail.
        write!(
            out,
            "{{\"transport\":\"{}\",\"ip\":\"{}\",\"port\":{}}}",
            transport.name(),
            local.ip,
            local.port
        )
        .unwrap_or_default();
    }
    out.push(']');
}
