//! Incidents: alerts that belong together, and why.

use std::ops::Range;

use atalaya_model::{Severity, Text, Time};
use rusqlite::params;

use crate::codes::uncounter;
use crate::{Reader, StoreError};

/// Alerts that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// When its first alert came.
    pub opened: Time,
    /// When it last changed.
    pub changed: Time,
    /// The worst severity in it.
    pub severity: Severity,
    /// Its state, in the words of whoever keeps it.
    pub state: Text,
    /// What kind of incident it is: `kind` of its document.
    pub kind: Option<Text>,
    /// What it is in a few words: `title` of its document.
    pub title: Option<Text>,
    /// Why these alerts belong together: `explanation` of its document.
    pub explanation: Option<Text>,
    /// How many alerts are in it.
    pub alert_count: u64,
    /// The first of them, at most [`Incident::ALERTS`].
    pub alerts: Vec<u64>,
}

impl Incident {
    /// Alerts that are named.
    pub const ALERTS: usize = 100;
}

impl Reader {
    /// Incidents that began before the range's end and changed at its start or later, the gravest first, then the newest,
    /// at most `limit`; how many there are in all. Documents without a title, kind or explanation have none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn incidents_within(
        &self,
        range: &Range<Time>,
        limit: usize,
    ) -> Result<(Vec<Incident>, u64), StoreError> {
        const PLACE: &str = "FROM incident WHERE opened < ?2 AND changed >= ?1";
        let times = (range.start.0, range.end.0);
        let total: i64 = self
            .connection()
            .query_row(&format!("SELECT count(*) {PLACE}"), times, |row| row.get(0))?;
        let mut statement = self.connection().prepare(&format!(
            "SELECT id, opened, changed, severity_number, state, document, \
             (SELECT count(*) FROM incident_alert WHERE incident = incident.id) {PLACE} \
             ORDER BY severity_number DESC, changed DESC, id DESC LIMIT ?3"
        ))?;
        let mut of_incident = self
            .connection()
            .prepare("SELECT alert FROM incident_alert WHERE incident = ?1 ORDER BY alert LIMIT ?2")?;
        let mut rows = statement.query(params![
            times.0,
            times.1,
            i64::try_from(limit).unwrap_or(i64::MAX)
        ])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let number: i64 = row.get(3)?;
            let document: String = row.get(5)?;
            let document: serde_json::Value = serde_json::from_str(&document).unwrap_or_default();
            let text = |member: &str| document[member].as_str().map(Text::from);
            let alerts = of_incident.query_map([id, Incident::ALERTS as i64], |row| row.get::<_, i64>(0))?;
            found.push(Incident {
                id: id.cast_unsigned(),
                opened: Time(row.get(1)?),
                changed: Time(row.get(2)?),
                severity: Severity::ALL
                    .into_iter()
                    .find(|severity| severity.number() >= number)
                    .unwrap_or(Severity::Critical),
                state: row.get::<_, String>(4)?.into(),
                kind: text("kind"),
                title: text("title"),
                explanation: text("explanation"),
                alert_count: uncounter(row.get(6)?),
                alerts: alerts
                    .map(|alert| alert.map(i64::cast_unsigned))
                    .collect::<Result<_, _>>()?,
            });
        }
        Ok((found, total.cast_unsigned()))
    }
}
