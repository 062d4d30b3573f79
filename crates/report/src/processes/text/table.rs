//! The columns before the process: which there are, and how wide.

use atalaya_format::catalogue::Language;
use atalaya_format::{escape, numbers};
use atalaya_model::{ProcessUse, Time};

use crate::processes::Processes;
use crate::snapshot::labels::label;

/// Columns that the process has at least; where there is less room, other columns go.
const MIN_PROCESS: usize = 36;
const COLUMNS: usize = 10;

/// Title, set to the right, and how soon it goes where there is no room (0 never).
const HEADS: [(&str, bool, u8); COLUMNS] = [
    ("Pid", true, 0),
    ("User", false, 5),
    ("Open/all", true, 0),
    ("Sent", true, 0),
    ("Received", true, 0),
    ("Listens on", false, 4),
    ("Started", true, 2),
    ("Last seen", true, 6),
    ("SHA-256", false, 3),
    ("Runs in", false, 1),
];

/// One process's cells.
pub(super) struct Cells([String; COLUMNS]);

impl Cells {
    pub(super) fn of(row: &ProcessUse, processes: &Processes<'_>, language: Language) -> Self {
        let (process, usage) = (&row.process, &row.usage);
        let user = match (&process.user_name, process.user_id) {
            (Some(name), _) => escape::start(name, 12),
            (None, Some(id)) => id.to_string(),
            (None, None) => "-".to_owned(),
        };
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), numbers::bytes);
        let last = match (process.ended, usage.last) {
            (Some(ended), _) => moment(ended, processes.now),
            (None, _) if processes.source.is_live() => label("now", language).to_owned(),
            (None, Some(last)) => moment(last, processes.now),
            (None, None) => "-".to_owned(),
        };
        let home = match (&process.container, &process.unit) {
            (Some(container), _) => {
                let id = escape::start(&container.id, 12);
                format!(
                    "{} {}",
                    escape::start(&container.runtime, 12),
                    id.trim_end_matches('…')
                )
            }
            (None, Some(unit)) => escape::start(unit, 24),
            (None, None) => String::new(),
        };
        let hash = process.sha256.as_deref().unwrap_or_default();
        Self([
            process.key.pid.to_string(),
            user,
            format!("{}/{}", usage.open, usage.connections()),
            bytes(usage.bytes.map(|(sent, _)| sent)),
            bytes(usage.bytes.map(|(_, received)| received)),
            listens(row),
            moment(process.started, processes.now),
            last,
            escape::start(hash, 13).trim_end_matches('…').to_owned(),
            home,
        ])
    }
}

/// `tcp 22 +2`: the lowest port, and how many more there are.
fn listens(row: &ProcessUse) -> String {
    const NAMED: usize = 1;
    let mut ports: Vec<_> = row
        .usage
        .listeners
        .iter()
        .map(|(transport, local)| (*transport, local.port))
        .collect();
    ports.dedup();
    let mut named: Vec<_> = ports
        .iter()
        .take(NAMED)
        .map(|(transport, port)| format!("{} {port}", transport.name()))
        .collect();
    if ports.len() > NAMED
        && let Some(last) = named.last_mut()
    {
        last.push_str(&format!(" +{}", ports.len() - NAMED));
    }
    named.join(", ")
}

/// The clock of today, else the day.
fn moment(time: Time, now: Time) -> String {
    let (time, now) = (time.local(), now.local());
    match (time.split_once(' '), now.split_once(' ')) {
        (Some((day, clock)), Some((today, _))) if day == today => clock.to_owned(),
        (Some((day, _)), _) => day.to_owned(),
        _ => time,
    }
}

/// Which columns are shown, and how wide.
pub(super) struct Table {
    /// 0 where a column is left out.
    widths: [usize; COLUMNS],
    /// Columns left for the process.
    pub(super) process: usize,
}

impl Table {
    pub(super) fn fit(rows: &[Cells], width: usize, language: Language) -> Self {
        let mut widths = [0; COLUMNS];
        for (place, (title, ..)) in HEADS.into_iter().enumerate() {
            let widest = rows.iter().map(|row| row.0[place].chars().count()).max();
            let widest = widest.unwrap_or(0);
            // A column in which nobody has anything says nothing.
            if rows.iter().any(|row| !matches!(&*row.0[place], "" | "-")) {
                widths[place] = widest.max(label(title, language).chars().count());
            }
        }
        let used = |widths: &[usize; COLUMNS]| -> usize {
            widths
                .iter()
                .filter(|width| **width > 0)
                .map(|width| width + 2)
                .sum()
        };
        for turn in 1..=6 {
            for (place, (.., goes)) in HEADS.into_iter().enumerate() {
                if goes == turn && used(&widths) + MIN_PROCESS > width {
                    widths[place] = 0;
                }
            }
        }
        Self {
            widths,
            process: width.saturating_sub(used(&widths)).max(MIN_PROCESS),
        }
    }

    pub(super) fn header(&self, language: Language) -> String {
        let titles = HEADS.map(|(title, ..)| label(title, language).to_owned());
        format!("{}{}", self.row(&Cells(titles)), label("Process", language))
    }

    pub(super) fn row(&self, cells: &Cells) -> String {
        let mut line = String::new();
        for ((cell, width), (_, right, _)) in cells.0.iter().zip(self.widths).zip(HEADS) {
            if width == 0 {
                continue;
            }
            line.push_str(&match right {
                true => format!("{cell:>width$}  "),
                false => format!("{cell:<width$}  "),
            });
        }
        line
    }

    /// The columns of an ancestor that is shown for the tree alone: its pid, and nothing else.
    pub(super) fn ancestor(&self, pid: u32) -> String {
        let mut cells = Cells(Default::default());
        cells.0[0] = pid.to_string();
        self.row(&cells)
    }
}
