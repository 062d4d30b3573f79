//! Rows of what was said inside conversations: one a fact. Names and fingerprints are texts of the dictionary.

use std::sync::{Arc, LazyLock};

use atalaya_model::fields::{self, Field, Record, Type};
use atalaya_model::protocol::dns::Data;
use atalaya_model::protocol::{Dns, Message, Protocol};
use atalaya_model::{Connection as Conversation, Text, Time, Value, Wire};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params_from_iter};

use crate::StoreError;
use crate::alerts::to_sql;
use crate::connections::{self, Moment, ROW};
use crate::dictionary::Dictionaries;
use crate::identity::Table;
use crate::load::Loader;
use crate::losses::told;

/// The columns that every table of facts begins with.
const COMMON: &str = "id, late, began, connection, process, transport, source_ip, source_port, destination_ip, \
    destination_port";

/// Fields that are kept as they are; other texts repeat, and go to the dictionary.
const WHOLE: [&str; 3] = ["http_referrer", "url_path", "url_query"];

/// The table of a message.
pub(crate) const fn table(message: &Message) -> Table {
    match message {
        Message::Dns(_) => Table::Dns,
        Message::Tls(_) => Table::Tls,
        Message::Http(_) => Table::Http,
        _ => Table::Protocol,
    }
}

/// The fields that are columns of a table of facts.
pub(crate) fn columns(table: Table) -> impl Iterator<Item = &'static Field> {
    let begins: &[&str] = match table {
        Table::Tls => &["tls."],
        Table::Http => &["http.", "url.", "user_agent."],
        _ => &[],
    };
    fields::of_wire().filter(|field| begins.iter().any(|begin| field.name.starts_with(begin)))
}

/// Is this field kept as the number of a text?
pub(crate) fn is_numbered(field: &Field) -> bool {
    field.kind == Type::Text && !WHOLE.contains(&field.column)
}

/// The statement that inserts into a table of facts; columns that are its own come after the common ones.
fn insert_sql(table: Table) -> String {
    let own: Vec<&str> = match table {
        Table::Dns => vec![
            "question_name",
            "question_type",
            "response_code",
            "answers",
            "took",
        ],
        Table::Protocol => vec!["protocol"],
        _ => columns(table).map(|field| field.column).collect(),
    };
    let own: String = own.iter().map(|column| format!(", {column}")).collect();
    let count = 12 + own.matches(',').count() - 1;
    let places: Vec<_> = (1..=count).map(|place| format!("?{place}")).collect();
    format!(
        "INSERT INTO {} ({COMMON}, document{own}) VALUES ({})",
        table.name(),
        places.join(", ")
    )
}

/// Keeps a fact that was told at `time`, with the row of its conversation.
pub(crate) fn write(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    (id, late): (i64, i64),
    time: Time,
    protocol: &Protocol,
    row: Option<i64>,
) -> Result<(), StoreError> {
    static SQL: LazyLock<[String; 4]> =
        LazyLock::new(|| [Table::Dns, Table::Tls, Table::Http, Table::Protocol].map(insert_sql));
    let it = &*protocol.connection;
    let mut values: Vec<Sql> = vec![
        id.into(),
        late.into(),
        protocol.time.0.saturating_sub(time.0).into(),
        row.into(),
        dictionaries
            .process_of(connection, it.process.as_ref(), time)?
            .into(),
        i64::from(it.transport.number()).into(),
        dictionaries.address(connection, it.source.ip, time)?.into(),
        i64::from(it.source.port).into(),
        dictionaries.address(connection, it.destination.ip, time)?.into(),
        i64::from(it.destination.port).into(),
        serde_json::to_string(&protocol.message)?.into(),
    ];
    let table = table(&protocol.message);
    let mut text = |value: &str| dictionaries.text(connection, &Text::from(value), time);
    let [dns_sql, tls_sql, http_sql, other_sql] = &*SQL;
    let sql = match &protocol.message {
        Message::Dns(dns) => {
            values.extend(of_dns(dns, &mut text)?);
            dns_sql
        }
        Message::Tls(_) | Message::Http(_) => {
            let mut wire = Wire::default();
            let sql = match &protocol.message {
                Message::Tls(tls) => {
                    wire.tls = Some(Arc::new(Clone::clone(tls)));
                    tls_sql
                }
                Message::Http(http) => {
                    wire.http = Some(Arc::new(Clone::clone(http)));
                    http_sql
                }
                _ => other_sql,
            };
            let whole = Conversation {
                wire: Some(Box::new(wire)),
                ..it.clone()
            };
            let record = Record::Connection(&whole);
            for field in columns(table) {
                values.push(match (field.get)(&record) {
                    Some(Value::Text(value)) if is_numbered(field) => text(&value)?.into(),
                    value => value.as_ref().map_or(Sql::Null, to_sql),
                });
            }
            sql
        }
        other => {
            values.push(text(other.kind())?.into());
            other_sql
        }
    };
    connection
        .prepare_cached(sql)?
        .execute(params_from_iter(values))?;
    Ok(())
}

/// What DNS said, for its own columns.
fn of_dns(dns: &Dns, text: &mut impl FnMut(&str) -> Result<i64, StoreError>) -> Result<[Sql; 5], StoreError> {
    let question = dns.questions.first();
    let response = dns.response.as_ref();
    let answers = response.map(|response| {
        let answers = response.answers.iter().filter_map(|answer| match &answer.data {
            Data::Address(ip) => Some(ip.to_string()),
            Data::Name(name) => Some(name.to_string()),
            Data::Text(texts) => Some(texts.concat()),
            Data::Mx { name, .. } | Data::Srv { name, .. } => Some(name.to_string()),
            Data::Other(other) => Some(other.to_string()),
            _ => None,
        });
        serde_json::Value::from(answers.collect::<Vec<_>>()).to_string()
    });
    let took = dns
        .asked
        .zip(response)
        .map(|(asked, response)| response.time.since(asked).0);
    Ok([
        question.map(|question| text(&question.name)).transpose()?.into(),
        question.map(|question| i64::from(question.kind)).into(),
        response.map(|response| i64::from(response.code)).into(),
        answers.into(),
        took.into(),
    ])
}

/// The columns that [`read`] wants.
pub(crate) const FACT: &str = "id, late, began, connection, document";

/// A fact and its time, from its row ([`FACT`]); `None` where its conversation is gone.
pub(crate) fn read(
    connection: &Connection,
    loader: &mut Loader,
    row: &Row<'_>,
) -> Result<Option<(Time, Protocol)>, StoreError> {
    let time = told(row)?;
    let Some(id) = row.get::<_, Option<i64>>("connection")? else {
        return Ok(None);
    };
    let sql = format!("SELECT {ROW} FROM connection WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    let Some(of) = rows.next()? else { return Ok(None) };
    let (_, _, conversation) = connections::read(connection, loader, of, Moment::Last)?;
    let document: String = row.get("document")?;
    let protocol = Protocol {
        time: Time(time.0.saturating_add(row.get("began")?)),
        connection: Arc::new(conversation),
        message: serde_json::from_str(&document)?,
    };
    Ok(Some((time, protocol)))
}

/// SQL of the columns that the view of a table of facts shows of it.
pub(crate) fn shown(table: Table) -> String {
    let text = |column: &str| format!("(SELECT value FROM text WHERE id = f.{column})");
    match table {
        Table::Dns => format!(
            "{} AS dns_question_name, {} AS dns_question_type, {} AS dns_response_code, f.answers AS dns_answers, \
             f.took AS dns_response_time",
            text("question_name"),
            numbered(
                "f.question_type",
                1..=257,
                "TYPE",
                atalaya_model::protocol::dns::type_name
            ),
            numbered(
                "f.response_code",
                0..=23,
                "RCODE",
                atalaya_model::protocol::dns::code_name
            ),
        ),
        Table::Protocol => format!("{} AS protocol", text("protocol")),
        table => {
            let columns = columns(table).map(|field| {
                let column = field.column;
                match is_numbered(field) {
                    true => format!("{} AS {column}", text(column)),
                    false => format!("f.{column} AS {column}"),
                }
            });
            columns.collect::<Vec<_>>().join(", ")
        }
    }
}

/// SQL for the names of numbers, and for those without.
fn numbered(
    column: &str,
    range: std::ops::RangeInclusive<u16>,
    unknown: &str,
    name: fn(u16) -> Option<&'static str>,
) -> String {
    let mut sql = format!("CASE {column}");
    for number in range {
        if let Some(name) = name(number) {
            sql.push_str(&format!(" WHEN {number} THEN '{name}'"));
        }
    }
    sql.push_str(&format!(" ELSE '{unknown}' || {column} END"));
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_tls_and_http_has_its_column() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in crate::open::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        for table in [Table::Tls, Table::Http] {
            let sql = format!("SELECT * FROM {}", table.name());
            let statement = connection.prepare(&sql).unwrap();
            let own: Vec<_> = statement.column_names().skip(10).collect();
            let wanted: Vec<_> = columns(table)
                .map(|field| field.column)
                .chain(["document"])
                .collect();
            assert_eq!(own, wanted);
        }
        for table in [Table::Dns, Table::Tls, Table::Http, Table::Protocol] {
            connection.prepare(&insert_sql(table)).unwrap();
        }
    }
}
