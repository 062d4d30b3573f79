//! What one object is about: a record, an event, or a row about an alert; and what that says of itself.

use atalaya_model::fields::{Kind, Record};
use atalaya_model::{Alert, AlertRecord, Event, Fact, Outcome, TierReport, Time};

use super::record_of;

/// What one object is about.
pub(super) enum Subject<'a> {
    Record(Record<'a>),
    Event(&'a Event),
    Row(&'a AlertRecord),
}

impl<'a> Subject<'a> {
    pub(super) fn record(&self) -> Option<Record<'a>> {
        match self {
            Self::Record(record) => Some(*record),
            Self::Event(event) => record_of(event),
            Self::Row(row) => row.raised(),
        }
    }

    pub(super) fn alert(&self) -> Option<&'a Alert> {
        match self.record() {
            Some(Record::Alert(alert)) => Some(alert),
            _ => None,
        }
    }

    pub(super) fn row(&self) -> Option<&'a AlertRecord> {
        match self {
            Self::Row(row) => Some(row),
            _ => None,
        }
    }

    pub(super) fn tier(&self) -> Option<&'a TierReport> {
        match self {
            Self::Event(Event {
                fact: Fact::TierChanged(report),
                ..
            }) => Some(report),
            _ => None,
        }
    }

    /// `None` for events about the watch itself.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Row(_) => Some(Kind::Alert),
            _ => self.record().map(|record| record.kind()),
        }
    }

    pub(super) fn time(&self) -> Time {
        match self {
            Self::Event(event) => event.time,
            Self::Record(record) => record_time(record),
            Self::Row(row) => match row {
                AlertRecord::Raised(alert) => alert.finding.time,
                AlertRecord::Repeated { time, .. }
                | AlertRecord::Acknowledged { time, .. }
                | AlertRecord::Closed { time, .. } => *time,
            },
        }
    }

    pub(super) fn alert_id(&self) -> Option<u64> {
        match (self.row(), self.alert()) {
            (_, Some(alert)) => Some(alert.id),
            (
                Some(
                    AlertRecord::Repeated { alert, .. }
                    | AlertRecord::Acknowledged { alert, .. }
                    | AlertRecord::Closed { alert, .. },
                ),
                _,
            ) => Some(*alert),
            _ => None,
        }
    }

    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Event(event) => event.fact.action(),
            Self::Record(Record::Alert(_)) => "alert_raised",
            Self::Record(Record::Gap(_)) => "gap",
            Self::Record(_) => "observed",
            Self::Row(row) => match row {
                AlertRecord::Raised(_) => "alert_raised",
                AlertRecord::Repeated { .. } => "alert_repeated",
                AlertRecord::Acknowledged { .. } => "alert_acknowledged",
                AlertRecord::Closed { .. } => "alert_closed",
            },
        }
    }

    /// `event.outcome`, where it is known: an attempt that never led to a conversation is a failure.
    pub(super) fn outcome(&self) -> Option<&'static str> {
        match self.record() {
            Some(Record::Connection(connection)) => match connection.outcome {
                Outcome::Unknown => None,
                outcome if outcome.is_failure() => Some("failure"),
                _ => Some("success"),
            },
            _ => None,
        }
    }

    /// `event.type`, of the values that ECS allows.
    pub(super) fn types(&self) -> &'static str {
        let began = |network| {
            if network {
                r#"["connection","start"]"#
            } else {
                r#"["start"]"#
            }
        };
        let ended = |network| {
            if network {
                r#"["connection","end"]"#
            } else {
                r#"["end"]"#
            }
        };
        match self {
            Self::Event(event) => match &event.fact {
                Fact::ConnectionOpened(_) => began(true),
                Fact::ConnectionClosed(_) => ended(true),
                Fact::ConnectionUpdated(_) => r#"["connection","info"]"#,
                Fact::ProcessStarted(_) | Fact::ListenerAppeared(_) => began(false),
                Fact::ProcessEnded(_) | Fact::ListenerGone(_) => ended(false),
                Fact::ProcessUpdated(_) | Fact::TierChanged(_) => r#"["change"]"#,
                Fact::Protocol(_) => r#"["protocol","info"]"#,
                Fact::ListenerUpdated(_) | Fact::Gap(_) | Fact::Tick { .. } => r#"["info"]"#,
            },
            Self::Record(Record::Connection(_)) => r#"["connection","info"]"#,
            Self::Row(AlertRecord::Acknowledged { .. } | AlertRecord::Closed { .. }) => r#"["change"]"#,
            Self::Record(_) | Self::Row(_) => r#"["info"]"#,
        }
    }

    pub(super) fn dataset(&self) -> &'static str {
        match (self.kind(), self) {
            (Some(Kind::Connection), _) => "atalaya.connection",
            (Some(Kind::Process), _) => "atalaya.process",
            (Some(Kind::Listener), _) => "atalaya.listener",
            (Some(Kind::Alert), _) => "atalaya.alert",
            (Some(Kind::Gap), _) => "atalaya.gap",
            (Some(Kind::Protocol), _) => "atalaya.protocol",
            (None, _) if self.tier().is_some() => "atalaya.tier",
            (None, _) => "atalaya.tick",
        }
    }
}

fn record_time(record: &Record<'_>) -> Time {
    match record {
        Record::Connection(connection) => connection.ended.unwrap_or(connection.seen),
        Record::Process(process) => process.ended.unwrap_or(process.started),
        Record::Listener(listener) => listener.ended.unwrap_or(listener.started),
        Record::Alert(alert) => alert.finding.time,
        Record::Gap(gap) => gap.time,
        Record::Protocol(protocol) => protocol.time,
    }
}
