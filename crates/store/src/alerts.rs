//! Rows about alerts: raised, repeated, acknowledged, closed. Only ever appended to; writing one twice changes nothing.

use std::sync::OnceLock;

use atalaya_model::fields::{self, Kind, Record, Type};
use atalaya_model::{Alert, AlertRecord, Text, Time, Value, Verdict};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::StoreError;
use crate::codes::{counter, uncounter};
use crate::dictionary::raw;

/// An alert with what was said of it since.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAlert {
    /// The alert as it was raised.
    pub alert: Alert,
    /// How often it came in all, the first time included.
    pub count: u64,
    /// When it last came.
    pub last_time: Time,
    /// Who has seen it, oldest first.
    pub acknowledgements: Vec<Said>,
    /// What people decided, oldest first; the last one counts.
    pub verdicts: Vec<(Verdict, Said)>,
}

impl StoredAlert {
    /// What it was, by the last decision.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdicts.last().map(|(verdict, _)| *verdict)
    }

    /// It again as the rows it was told by, repetitions folded into the last.
    pub fn records(&self) -> Vec<AlertRecord> {
        let id = self.alert.id;
        let mut records = vec![AlertRecord::Raised(Box::new(self.alert.clone()))];
        if self.count > 1 {
            records.push(AlertRecord::Repeated {
                alert: id,
                time: self.last_time,
                count: self.count,
            });
        }
        records.extend(
            self.acknowledgements
                .iter()
                .map(|said| AlertRecord::Acknowledged {
                    alert: id,
                    time: said.time,
                    by: said.by.clone(),
                    note: said.note.clone(),
                }),
        );
        records.extend(self.verdicts.iter().map(|(verdict, said)| AlertRecord::Closed {
            alert: id,
            time: said.time,
            by: said.by.clone(),
            verdict: *verdict,
            note: said.note.clone(),
        }));
        records
    }

    /// Has nobody acknowledged or closed it?
    pub fn is_open(&self) -> bool {
        self.acknowledgements.is_empty() && self.verdicts.is_empty()
    }
}

/// Who said something about an alert, when and what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Said {
    pub time: Time,
    pub by: Text,
    pub note: Option<Text>,
}

/// Appends a row about an alert.
pub(crate) fn write(connection: &Connection, record: &AlertRecord) -> Result<(), StoreError> {
    match record {
        AlertRecord::Raised(alert) => raise(connection, alert)?,
        AlertRecord::Repeated { alert, time, count } => {
            connection
                .prepare_cached(
                    "INSERT INTO alert_count (alert, time, count) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (alert, count) DO NOTHING",
                )?
                .execute([alert.cast_signed(), time.0, counter(*count)])?;
        }
        AlertRecord::Acknowledged {
            alert,
            time,
            by,
            note,
        } => {
            connection
                .prepare_cached(
                    "INSERT INTO acknowledgement (alert, time, by, note) SELECT ?1, ?2, ?3, ?4 \
                     WHERE NOT EXISTS (SELECT 1 FROM acknowledgement WHERE alert = ?1 AND time = ?2 AND by = ?3)",
                )?
                .execute(params![alert.cast_signed(), time.0, &**by, note.as_deref()])?;
        }
        AlertRecord::Closed {
            alert,
            time,
            by,
            verdict,
            note,
        } => {
            connection
                .prepare_cached(
                    "INSERT INTO verdict (alert, time, by, verdict, note) SELECT ?1, ?2, ?3, ?4, ?5 \
                     WHERE NOT EXISTS (SELECT 1 FROM verdict WHERE alert = ?1 AND time = ?2 AND by = ?3)",
                )?
                .execute(params![
                    alert.cast_signed(),
                    time.0,
                    &**by,
                    verdict.name(),
                    note.as_deref()
                ])?;
        }
    }
    Ok(())
}

/// The statement that inserts an alert: every field of alerts is a column.
fn insert_sql() -> &'static str {
    static SQL: OnceLock<String> = OnceLock::new();
    SQL.get_or_init(|| {
        let (mut columns, mut places) = (String::from("id, document"), String::from("?1, ?2"));
        let mut place = 2;
        for field in columns_of() {
            let raw = (field.kind == Type::Address).then(|| format!("{}_raw", field.column));
            for column in std::iter::once(field.column.to_owned()).chain(raw) {
                place += 1;
                columns.push_str(&format!(", {column}"));
                places.push_str(&format!(", ?{place}"));
            }
        }
        format!("INSERT INTO alert ({columns}) VALUES ({places}) ON CONFLICT (id) DO NOTHING")
    })
}

/// The fields of alerts but for the id.
fn columns_of() -> impl Iterator<Item = &'static fields::Field> {
    fields::of(Kind::Alert).filter(|field| field.column != "alert_id")
}

fn raise(connection: &Connection, alert: &Alert) -> Result<(), StoreError> {
    let document = match serde_json::to_string(alert) {
        // JSON has no such numbers; better a text than an alert that cannot be read again.
        Ok(_) if alert.finding.values.iter().any(|(_, value)| !is_finite(value)) => {
            let mut alert = alert.clone();
            alert.finding.values.iter_mut().for_each(|(_, value)| tame(value));
            serde_json::to_string(&alert)?
        }
        document => document?,
    };
    let record = Record::Alert(alert);
    let mut statement = connection.prepare_cached(insert_sql())?;
    statement.raw_bind_parameter(1, alert.id.cast_signed())?;
    statement.raw_bind_parameter(2, document)?;
    let mut place = 2;
    for field in columns_of() {
        let value = (field.get)(&record);
        place += 1;
        statement.raw_bind_parameter(place, value.as_ref().map_or(Sql::Null, to_sql))?;
        if field.kind == Type::Address {
            place += 1;
            let bytes = match value {
                Some(Value::Address(ip)) => Some(raw(ip)),
                _ => None,
            };
            statement.raw_bind_parameter(place, bytes)?;
        }
    }
    statement.raw_execute()?;
    Ok(())
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::List(values) => values.iter().all(is_finite),
        _ => true,
    }
}

fn tame(value: &mut Value) {
    match value {
        Value::Float(number) if !number.is_finite() => *value = number.to_string().into(),
        Value::List(values) => values.iter_mut().for_each(tame),
        _ => {}
    }
}

/// A field's value as the views show it: times and spans in microseconds, lists as JSON arrays of texts.
pub(crate) fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Bool(value) => Sql::Integer((*value).into()),
        Value::Integer(value) => Sql::Integer(*value),
        Value::Float(value) => Sql::Real(*value),
        Value::Bytes(value) => Sql::Integer(counter(*value)),
        Value::Text(text) => Sql::Text(text.to_string()),
        Value::Address(ip) => Sql::Text(ip.to_string()),
        Value::Network(network) => Sql::Text(network.to_string()),
        Value::Time(time) => Sql::Integer(time.0),
        Value::Span(span) => Sql::Integer(span.0),
        Value::List(values) => {
            let texts = values.iter().map(|value| match to_sql(value) {
                Sql::Text(text) => serde_json::Value::String(text),
                Sql::Integer(number) => number.into(),
                Sql::Real(number) => number.into(),
                Sql::Null | Sql::Blob(_) => serde_json::Value::Null,
            });
            Sql::Text(serde_json::Value::Array(texts.collect()).to_string())
        }
    }
}

/// The alert of this id with what was said of it; `None` where there is none.
pub(crate) fn load(connection: &Connection, id: i64) -> Result<Option<StoredAlert>, StoreError> {
    let document: Option<String> = connection
        .prepare_cached("SELECT document FROM alert WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(document) = document else { return Ok(None) };
    let alert: Alert = serde_json::from_str(&document)?;
    let repeated: Option<(i64, i64)> = connection
        .prepare_cached("SELECT count, time FROM alert_count WHERE alert = ?1 ORDER BY count DESC LIMIT 1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut acknowledgements = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT time, by, note FROM acknowledgement WHERE alert = ?1 ORDER BY id")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        acknowledgements.push(said(row)?);
    }
    let mut verdicts = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT time, by, note, verdict FROM verdict WHERE alert = ?1 ORDER BY id")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(3)?;
        let verdict = Verdict::from_name(&name)
            .ok_or_else(|| StoreError::Corrupt(format!("unknown verdict {name}")))?;
        verdicts.push((verdict, said(row)?));
    }
    Ok(Some(StoredAlert {
        count: repeated.map_or(1, |(count, _)| uncounter(count)),
        last_time: repeated.map_or(alert.finding.time, |(_, time)| Time(time)),
        alert,
        acknowledgements,
        verdicts,
    }))
}

fn said(row: &Row<'_>) -> rusqlite::Result<Said> {
    Ok(Said {
        time: Time(row.get(0)?),
        by: row.get::<_, String>(1)?.into(),
        note: row.get::<_, Option<String>>(2)?.map(Text::from),
    })
}
