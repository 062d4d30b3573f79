//! Records as JSON with the names of the Elastic Common Schema, one object, nested, on one line.
//!
//! The members come from the list of fields, in its order, and from a few that say what kind of record it is
//! (`members`). A member that is unset is not written. Numbers: a span is nanoseconds; `event.id` is a text, because
//! 64 bits are more than many readers of JSON can hold.
//!
//! Connections and what is said in them are most of all records, so they are written straight down (`connection`,
//! `protocol`); a test holds that the one is, byte for byte, what the list of fields gives.

mod connection;
mod members;
mod protocol;
mod said;
mod subject;
mod tree;
mod usage;
mod wire;

use atalaya_model::fields::Record;
use atalaya_model::{AlertRecord, Event, Fact, Text};

use crate::catalogue::Language;
use subject::Subject;

pub use usage::process_use;

/// Whose records they are.
#[derive(Clone, Debug)]
pub struct Context {
    /// `host.name`.
    pub host_name: Text,
    /// `host.id`, where there is one.
    pub host_id: Option<Text>,
    /// `observer.version`: of this program.
    pub version: Text,
    /// The language of `message` and of the other sentences.
    pub language: Language,
    /// The records are of captures, which are read on any host at any time: what such a record cannot know, or says
    /// elsewhere, is not repeated in millions of lines (the list is in the documentation of the format).
    pub of_captures: bool,
}

/// Appends one record, as seen in one look (`event.action` is `observed`, of an alert `alert_raised`).
pub fn record(out: &mut String, record: Record<'_>, context: &Context) {
    let subject = Subject::Record(record);
    match record {
        Record::Connection(it) => connection::write(out, &subject, it, context),
        Record::Protocol(it) => protocol::write(out, &subject, it, context),
        _ => members::write(out, &subject, context),
    }
}

/// Appends one event.
pub fn event(out: &mut String, event: &Event, context: &Context) {
    let subject = Subject::Event(event);
    match &event.fact {
        Fact::ConnectionOpened(it) | Fact::ConnectionUpdated(it) | Fact::ConnectionClosed(it) => {
            connection::write(out, &subject, it, context);
        }
        Fact::Protocol(it) => protocol::write(out, &subject, it, context),
        _ => members::write(out, &subject, context),
    }
}

/// Appends one row about an alert: the whole alert where it is raised, else the alert's id and what is new.
pub fn alert_record(out: &mut String, row: &AlertRecord, context: &Context) {
    members::write(out, &Subject::Row(row), context);
}

/// The record by which a filter judges an event.
pub fn judged(event: &Event) -> Option<Record<'_>> {
    match &event.fact {
        Fact::Protocol(protocol) => Some(Record::Protocol(protocol)),
        _ => record_of(event),
    }
}

/// The record with fields inside an event.
pub fn record_of(event: &Event) -> Option<Record<'_>> {
    Some(match &event.fact {
        Fact::ConnectionOpened(c) | Fact::ConnectionUpdated(c) | Fact::ConnectionClosed(c) => {
            Record::Connection(c)
        }
        Fact::ProcessStarted(p) | Fact::ProcessUpdated(p) | Fact::ProcessEnded(p) => Record::Process(p),
        Fact::ListenerAppeared(l) | Fact::ListenerUpdated(l) | Fact::ListenerGone(l) => Record::Listener(l),
        Fact::Gap(gap) => Record::Gap(gap),
        Fact::Protocol(_) | Fact::TierChanged(_) | Fact::Tick { .. } => return None,
    })
}
