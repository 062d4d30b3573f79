//! Where findings arrive, and where it is decided which are worth telling.

mod book;
#[cfg(test)]
pub(crate) mod samples;

use std::collections::{BTreeMap, HashMap};

use atalaya_model::alert::Technique;
use atalaya_model::{
    Alert, AlertRecord, Connection, Endpoint, Finding, Gap, Severity, Span, Stage, Text, Time,
};

use crate::silence::TooManySilences;
use crate::{AlertOptions, AllowList, Silence, Silences};
use book::{Book, Entry, Key};

/// The techniques that a rule may be a sign of.
pub type Techniques = Box<dyn Fn(&str) -> Vec<Technique> + Send>;

/// A rule, and the two ends of a connection that it found odd.
type Conversation = (Text, Endpoint, Endpoint);

fn conversation(finding: &Finding, connection: &Connection) -> Conversation {
    (finding.rule.clone(), connection.source, connection.destination)
}

/// How long counts of repeats are gathered before they are told.
const TELL_EVERY: Span = Span::from_seconds(60);

/// What became of the findings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Alerts raised, by severity, mildest first.
    pub raised: [u64; Severity::ALL.len()],
    /// Findings that repeated an alert.
    pub repeated: u64,
    /// Findings milder than the minimum severity.
    pub below_minimum: u64,
    /// Findings that the allow-list covers.
    pub allowed: u64,
    /// Findings that a silence holds back.
    pub silenced: u64,
}

/// Turns findings into alerts: each once, then counted, and told anew after a cooldown.
pub struct Desk {
    options: AlertOptions,
    techniques: Techniques,
    allow: AllowList,
    silences: Silences,
    book: Book,
    /// Connections of an earlier run's alerts, with the key of the newest: what the kernel keeps of one that has ended
    /// meanwhile names no process, so that its key is another.
    recalled: HashMap<Conversation, Key>,
    last_id: u64,
    /// Keys with repeats that were not told yet.
    pending: Vec<Key>,
    /// Records of entries that had to leave the table, told at the next tick.
    leaving: Vec<AlertRecord>,
    forgotten: u64,
    counts: Counts,
}

impl Desk {
    /// Most (rule, key) pairs that are remembered. At the limit the one that came longest ago is forgotten; if it was
    /// within its cooldown, that is counted as a gap, since it may be told twice.
    pub const MAX_KEYS: usize = 16_384;

    /// A desk whose ids continue above `last_id` (0 where there is none).
    pub fn new(options: AlertOptions, allow: AllowList, techniques: Techniques, last_id: u64) -> Self {
        Self::with_capacity(options, allow, techniques, last_id, Self::MAX_KEYS)
    }

    fn with_capacity(
        options: AlertOptions,
        allow: AllowList,
        techniques: Techniques,
        last_id: u64,
        capacity: usize,
    ) -> Self {
        Self {
            options,
            techniques,
            allow,
            silences: Silences::default(),
            book: Book::new(capacity),
            recalled: HashMap::new(),
            last_id,
            pending: Vec::new(),
            leaving: Vec::new(),
            forgotten: 0,
            counts: Counts::default(),
        }
    }

    /// Remembers alerts of an earlier run, in any order, so that a restart within a cooldown tells nothing twice. Ids
    /// continue above theirs.
    pub fn recall(&mut self, records: impl IntoIterator<Item = AlertRecord>) {
        let mut entries: BTreeMap<u64, (Key, Entry)> = BTreeMap::new();
        let mut counts: HashMap<u64, (Time, u64)> = HashMap::new();
        for record in records {
            match record {
                AlertRecord::Raised(alert) => {
                    let key = self.book.key(&alert.finding);
                    let finding = &alert.finding;
                    let conversations = finding.connections.iter();
                    self.recalled
                        .extend(conversations.map(|connection| (conversation(finding, connection), key)));
                    entries.insert(alert.id, (key, Entry::new(&alert, alert.finding.time)));
                }
                AlertRecord::Repeated { alert, time, count } => {
                    let last = counts.entry(alert).or_insert((time, count));
                    *last = (*last).max((time, count));
                }
                AlertRecord::Acknowledged { .. } | AlertRecord::Closed { .. } => {}
            }
        }
        // By id, which is by time: of several alerts of one key the newest stays.
        for (id, (key, mut entry)) in entries {
            self.last_id = self.last_id.max(id);
            if let Some((time, count)) = counts.get(&id) {
                entry.recall(*time, *count);
            }
            // What falls out here was told long ago.
            let _fell_out = self.book.insert(key, entry);
        }
    }

    /// Decides about one finding. `now` is the time of the event that led to it.
    pub fn consider(&mut self, finding: Finding, now: Time) -> Option<AlertRecord> {
        if finding.severity < self.options.minimum_severity {
            self.counts.below_minimum += 1;
            return None;
        }
        if self.allow.allows(&finding, now) {
            self.counts.allowed += 1;
            return None;
        }
        if self.silences.covers(&finding, now) {
            self.counts.silenced += 1;
            return None;
        }
        let key = self.recalled(&finding).unwrap_or_else(|| self.book.key(&finding));
        let cooldown = self.options.cooldown_of(finding.severity);
        let recurrence = match self.book.get(key) {
            // What became worse is told at once.
            Some(entry) if entry.is_within(cooldown, now) && finding.severity <= entry.severity => {
                self.counts.repeated += 1;
                return self.repeat(key, now);
            }
            Some(entry) => {
                let recurrence = entry.recurrence.saturating_add(1);
                let last_words = entry.tell(now);
                self.leaving.extend(last_words);
                recurrence
            }
            None => 0,
        };
        Some(self.raise(key, finding, now, recurrence))
    }

    /// The key of an earlier run's alert about the very connection of a finding that names no process.
    fn recalled(&self, finding: &Finding) -> Option<Key> {
        match &finding.connections[..] {
            [connection] if finding.process.is_none() => {
                self.recalled.get(&conversation(finding, connection)).copied()
            }
            _ => None,
        }
    }

    fn repeat(&mut self, key: Key, now: Time) -> Option<AlertRecord> {
        let entry = self.book.touch(key)?;
        let first_untold = entry.count == entry.told;
        entry.count += 1;
        entry.last = entry.last.max(now);
        if now.since(entry.told_at) >= TELL_EVERY {
            return entry.tell(now);
        }
        if first_untold {
            self.pending.push(key);
        }
        None
    }

    fn raise(&mut self, key: Key, finding: Finding, now: Time, recurrence: u32) -> AlertRecord {
        let milliseconds = u64::try_from(now.milliseconds()).unwrap_or(0);
        self.last_id = (milliseconds << 20).max(self.last_id.saturating_add(1));
        self.counts.raised[finding.severity as usize] += 1;
        let alert = Alert {
            id: self.last_id,
            techniques: (self.techniques)(&finding.rule),
            finding,
            recurrence,
        };
        if let Some(forgotten) = self.book.insert(key, Entry::new(&alert, now)) {
            self.leave(forgotten, now);
        }
        AlertRecord::Raised(Box::new(alert))
    }

    fn leave(&mut self, mut entry: Entry, now: Time) {
        if entry.is_within(self.options.cooldown_of(entry.severity), now) {
            self.forgotten += 1;
        }
        self.leaving.extend(entry.tell(now));
    }

    /// Time passes: gives the counts that are due. Call it once a second of event time.
    pub fn tick(&mut self, now: Time) -> Vec<AlertRecord> {
        self.silences.expire(now);
        self.tell(now, TELL_EVERY)
    }

    /// The watch ends: gives every count that was not told yet.
    pub fn finish(&mut self, now: Time) -> Vec<AlertRecord> {
        self.tell(now, Span(i64::MIN))
    }

    fn tell(&mut self, now: Time, at_least: Span) -> Vec<AlertRecord> {
        let mut records = std::mem::take(&mut self.leaving);
        self.pending.retain(|key| {
            let Some(entry) = self.book.get(*key) else {
                return false;
            };
            if now.since(entry.told_at) < at_least {
                return entry.count > entry.told;
            }
            records.extend(entry.tell(now));
            false
        });
        records
    }

    /// What was forgotten for lack of room since the last call, as a gap.
    pub fn gap(&mut self, now: Time) -> Option<Gap> {
        let count = std::mem::take(&mut self.forgotten);
        (count > 0).then(|| Gap {
            time: now,
            stage: Stage::Tables,
            count,
            reason: "more alerts at a time than are remembered; some may be told twice".into(),
        })
    }

    /// Takes another allow-list, after the configuration changed.
    pub fn set_allow_list(&mut self, allow: AllowList) {
        self.allow = allow;
    }

    /// Takes other options, after the configuration changed.
    pub fn set_options(&mut self, options: AlertOptions) {
        self.options = options;
    }

    /// Holds back findings for a while.
    ///
    /// # Errors
    /// When there are too many silences already.
    pub fn silence(&mut self, silence: Silence) -> Result<(), TooManySilences> {
        self.silences.add(silence)
    }

    /// The silences in force.
    pub fn silences(&self) -> &[Silence] {
        self.silences.list()
    }

    /// What became of the findings so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many (rule, key) pairs are remembered.
    pub fn remembered(&self) -> usize {
        self.book.len()
    }
}

/// A look-up that knows no technique.
pub fn no_techniques() -> Techniques {
    Box::new(|_| Vec::new())
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("remembered", &self.book.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
