//! Whose packets a capture holds: written beside them, and read again.
//!
//! In pcapng, each process is told once, before its first packet, by a *custom block* (0x00000BAD). Its enterprise number
//! is 32473, which RFC 5612 keeps for examples and documentation, as this project has none of its own; so the data begins
//! with the text `atalaya.process ` (with the space), and then one JSON object follows: `number` (counts from 0 within the
//! section), `pid`, `start` (clock ticks since boot), `started` (RFC 3339), `name`, and where they are known `executable`,
//! `sha256`, `script`, `user_id`, `user_name`, `unit`, `container` (`runtime`, `id`), `parent` (`pid`, `start`, `name`,
//! `executable`), and `flags` where there is something unusual. Command lines are not told: they may hold secrets. The same
//! number told again replaces what was told before. Each packet of it has the option *comment* for people
//! (`curl (pid 4711) /usr/bin/curl`), and the *custom option* 2988 of the same enterprise with the text
//! `atalaya.process=NUMBER` for programs; the option *flags* (2) says whether this host sent or received it.
//!
//! Anybody can write such blocks. What is read is checked and bounded, and whoever uses it says where it comes from.

use std::sync::Arc;

use atalaya_model::process::{Ancestor, Container};
use atalaya_model::{Process, ProcessKey, Text, Time};
use foldhash::HashMap;
use serde_json::{Map, Value, json};

/// The block and the option of packets that hold what other programs need not know.
pub(super) const BLOCK: u32 = 0x0bad;
pub(super) const OPTION: u16 = 2_988;
/// The number for examples and documentation (RFC 5612).
pub(super) const ENTERPRISE: u32 = 32_473;
/// Processes that are remembered as told: one more, and all are told again when they are needed.
const PROCESSES: usize = 16_384;

const BEGIN: &str = "atalaya.process ";
const MARK: &str = "atalaya.process=";

/// Longest block that is read, in bytes.
pub(super) const LONGEST_BLOCK: usize = 8 << 10;
/// Bytes of blocks from which processes are remembered; beyond, all are forgotten.
const BYTES: usize = 32 << 20;
/// Longest path, and longest other text, in bytes. A longer one is taken for none.
const PATH: usize = 1_024;
const WORD: usize = 256;
/// Largest process id that Linux gives.
const LARGEST_PID: u64 = 1 << 22;

/// Whose a frame is, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whose<'a> {
    /// This host sent it, or received it. What it sent to itself, it sent.
    pub sent: Option<bool>,
    /// The process that sent it where it was sent, else the one that received it.
    pub process: Option<&'a Arc<Process>>,
}

/// The option *flags* that says who sent it.
pub(super) const fn way(sent: Option<bool>) -> &'static [u8] {
    match sent {
        None => &[],
        Some(false) => &[2, 0, 4, 0, 1, 0, 0, 0],
        Some(true) => &[2, 0, 4, 0, 2, 0, 0, 0],
    }
}

/// Who sent it, by the value of that option.
pub(super) const fn sent(flags: u32) -> Option<bool> {
    match flags & 3 {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

/// The text of a process's custom option.
pub(super) fn mark(number: u32) -> String {
    format!("{MARK}{number}")
}

/// The number in it.
pub(super) fn marked(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text.strip_prefix(MARK.as_bytes())?)
        .ok()?
        .parse()
        .ok()
}

/// The text of a process's block.
pub(super) fn block(number: u32, process: &Process) -> String {
    let mut object = json!({
        "number": number,
        "pid": process.key.pid,
        "start": process.key.start,
        "started": process.started.rfc3339(),
        "name": &*process.name,
    });
    let texts = [
        ("executable", &process.executable),
        ("sha256", &process.sha256),
        ("script", &process.script),
        ("user_name", &process.user_name),
        ("unit", &process.unit),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            object[name] = (**value).into();
        }
    }
    if let Some(id) = process.user_id {
        object["user_id"] = id.into();
    }
    if let Some(Container { runtime, id }) = &process.container {
        object["container"] = json!({ "runtime": &**runtime, "id": &**id });
    }
    if let Some(parent) = process.ancestors.first() {
        let told = &mut object["parent"];
        *told = json!({ "pid": parent.key.pid, "start": parent.key.start, "name": &*parent.name });
        if let Some(executable) = &parent.executable {
            told["executable"] = (**executable).into();
        }
    }
    if process.flags != Default::default()
        && let Ok(flags) = serde_json::to_value(process.flags)
    {
        object["flags"] = flags;
    }
    format!("{BEGIN}{object}")
}

/// Before one more process is told, all are forgotten: by whoever writes and by whoever reads.
pub(super) const fn is_full(processes: usize, is_known: bool, bytes: usize) -> bool {
    (processes >= PROCESSES && !is_known) || bytes > BYTES
}

/// The processes that a section has told.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashMap<u32, Arc<Process>>,
    bytes: usize,
}

impl Processes {
    /// Takes the data of a custom block, without its enterprise number. What is no process, or not a sound one, is
    /// passed over: it may be anybody's.
    pub(super) fn learn(&mut self, data: &[u8]) {
        let told = data.strip_prefix(BEGIN.as_bytes()).unwrap_or_default();
        let Some((number, process)) = read(told) else {
            return;
        };
        // The writer forgets by the same rule, and tells again.
        if is_full(self.known.len(), self.known.contains_key(&number), self.bytes) {
            self.clear();
        }
        self.bytes += data.len();
        self.known.insert(number, Arc::new(process));
    }

    pub(super) fn get(&self, number: u32) -> Option<&Arc<Process>> {
        self.known.get(&number)
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.bytes = 0;
    }
}

fn read(data: &[u8]) -> Option<(u32, Process)> {
    let padding = data.iter().rev().take_while(|byte| **byte == 0).count();
    let data = data.get(..data.len() - padding)?;
    let object: Map<String, Value> = serde_json::from_slice(data).ok()?;
    let number = u32::try_from(object.get("number")?.as_u64()?).ok()?;
    let (key, name) = identity(&object)?;
    let started = Time::parse(&text(&object, "started", WORD)?)?;
    let word = |name: &str| text(&object, name, WORD);
    let mut process = Process::bare(key, name, started);
    process.executable = text(&object, "executable", PATH);
    process.script = text(&object, "script", PATH);
    process.sha256 = word("sha256").filter(|hash| is_digest(hash));
    process.user_id = object
        .get("user_id")
        .and_then(Value::as_u64)
        .and_then(|id| id.try_into().ok());
    process.user_name = word("user_name");
    process.unit = word("unit");
    if let Some(Value::Object(container)) = object.get("container") {
        let word = |name: &str| text(container, name, WORD);
        process.container = word("runtime")
            .zip(word("id"))
            .map(|(runtime, id)| Container { runtime, id });
    }
    if let Some(Value::Object(parent)) = object.get("parent")
        && let Some((key, name)) = identity(parent)
    {
        let executable = text(parent, "executable", PATH);
        process.parent = Some(key);
        process.ancestors = Arc::from([Ancestor {
            key,
            name,
            executable,
        }]);
    }
    if let Some(flags) = object.get("flags") {
        process.flags = serde_json::from_value(flags.clone()).unwrap_or_default();
    }
    Some((number, process))
}

fn identity(object: &Map<String, Value>) -> Option<(ProcessKey, Text)> {
    let pid = object.get("pid")?.as_u64()?;
    if !(1..=LARGEST_PID).contains(&pid) {
        return None;
    }
    let pid = u32::try_from(pid).ok()?;
    let start = object.get("start")?.as_u64()?;
    Some((ProcessKey { pid, start }, text(object, "name", WORD)?))
}

/// A text that may be kept.
fn text(object: &Map<String, Value>, name: &str, longest: usize) -> Option<Text> {
    let text = object.get(name)?.as_str()?;
    let is_sound = !text.is_empty() && text.len() <= longest && !text.contains('\0');
    is_sound.then(|| text.into())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
