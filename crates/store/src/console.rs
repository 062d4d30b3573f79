//! Questions in SQL: one `SELECT` at a time over the documented views, on a connection of its own that can neither write
//! nor reach another file, with a limit on everything.
//!
//! What holds, each by itself: the file is open for reading only; SQLite is told to change nothing and to distrust the
//! schema; the [`guard`] lets nothing be compiled but reading what the views read; [`limits`] bound statement, depth,
//! texts and memory; the caller's clock stops what takes too long; rows and bytes of the answer are counted.

mod answer;
mod functions;
mod guard;
mod limits;
mod questions;
mod refusal;
mod words;

use std::path::Path;

use atalaya_model::Time;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Statement};

use crate::{StoreError, open};

pub use answer::{Answer, Cell, Cut, ResultColumn};
pub use functions::{FUNCTIONS, Function};
pub use questions::{Parameter, SavedQuestion};
pub use refusal::Refusal;

use guard::Guard;

/// What a console must be told, because the store knows neither clocks nor how things are shown.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleOptions {
    /// The time that `now()` and `ago()` count from.
    pub now: Time,
    /// What `human_bytes()` says of a number of bytes.
    pub human_bytes: fn(u64) -> String,
    /// Memory that SQLite may use, in bytes. It counts for the whole process: give it only where nothing else uses a
    /// database.
    pub memory: Option<u64>,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// One statement.
    pub sql: &'a str,
    /// Values of its parameters by name, without the `:`.
    pub values: &'a [(String, String)],
    /// Rows of the answer at most.
    pub rows: usize,
    /// Bytes of the answer at most.
    pub bytes: usize,
}

/// A read-only connection for questions.
#[derive(Debug)]
pub struct Console {
    connection: Connection,
    guard: Guard,
}

impl Console {
    /// Opens a database for questions.
    ///
    /// # Errors
    /// As [`crate::Reader::open`].
    pub fn open(path: &Path, options: ConsoleOptions) -> Result<Self, StoreError> {
        let mut connection = open::for_reading(path, 8 << 20)?;
        for (setting, value) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        ] {
            connection.set_db_config(setting, value)?;
        }
        functions::register(&connection, options)?;
        limits::set(&connection, options.memory)?;
        let guard = Guard::install(&mut connection)?;
        Ok(Self { connection, guard })
    }

    /// The names of a statement's parameters, without the `:`.
    ///
    /// # Errors
    /// Where it would not be answered: why, and where.
    pub fn parameters(&self, sql: &str) -> Result<Vec<String>, Refusal> {
        let statement = self.prepare(sql)?;
        names(&statement, sql)
    }

    /// Answers a question. `stop` is asked again and again while SQLite works; true ends the search.
    ///
    /// # Errors
    /// A statement that is wrong or not allowed, a database that cannot be read. An answer that was cut is none: see
    /// [`Answer::cut`].
    pub fn ask(
        &mut self,
        question: &Question<'_>,
        stop: impl FnMut() -> bool + Send + 'static,
    ) -> Result<Answer, Refusal> {
        self.connection
            .progress_handler(limits::STEPS, Some(stop))
            .map_err(|error| Refusal::of(error, question.sql))?;
        let answer = self.answer(question);
        // Nothing is left to be stopped.
        self.connection
            .progress_handler(0, None::<fn() -> bool>)
            .map_err(|error| Refusal::of(error, question.sql))?;
        answer
    }

    fn answer(&self, question: &Question<'_>) -> Result<Answer, Refusal> {
        let mut statement = match self.prepare(question.sql) {
            Err(Refusal::Stopped) => return Ok(Answer::none(Cut::Time)),
            prepared => prepared?,
        };
        bind(&mut statement, question)?;
        answer::read(&mut statement, question)
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, Refusal> {
        words::check(sql)?;
        self.guard.begin();
        let prepared = self.connection.prepare(sql);
        if let Some(denied) = self.guard.denied() {
            return Err(denied.refusal(sql));
        }
        let statement = prepared.map_err(|error| Refusal::of(error, sql))?;
        if !(statement.readonly() && statement.column_count() > 0 && self.guard.has_asked()) {
            return Err(Refusal::only_select(sql));
        }
        Ok(statement)
    }
}

/// The names of the parameters, each once; a parameter without a name is refused.
fn names(statement: &Statement<'_>, sql: &str) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for index in 1..=statement.parameter_count() {
        match statement.parameter_name(index) {
            Some(name) if !name.starts_with('?') => names.push(name[1..].to_owned()),
            _ => {
                return Err(Refusal::at_word(
                    sql,
                    Some("?"),
                    "a parameter has no name",
                    "write `:name`, and give it with `name=value`",
                ));
            }
        }
    }
    Ok(names)
}

fn bind(statement: &mut Statement<'_>, question: &Question<'_>) -> Result<(), Refusal> {
    let names = names(statement, question.sql)?;
    for (name, _) in question.values {
        if !names.contains(name) {
            return Err(Refusal::Value(match names.len() {
                0 => format!("there is no parameter `{name}`: the statement has none"),
                _ => format!("there is no parameter `{name}`; there are: {}", names.join(", ")),
            }));
        }
    }
    for (index, name) in names.iter().enumerate() {
        let value = question.values.iter().rev().find(|(given, _)| given == name);
        let Some((_, value)) = value else {
            return Err(Refusal::Value(format!(
                "the parameter `{name}` has no value; add `{name}=…`"
            )));
        };
        statement
            .raw_bind_parameter(index + 1, typed(value))
            .map_err(|error| Refusal::of(error, question.sql))?;
    }
    Ok(())
}

/// A value as it was typed: a number where it is written like one, else a text.
fn typed(value: &str) -> Sql {
    if let Ok(number) = value.parse::<i64>()
        && number.to_string() == value
    {
        return Sql::Integer(number);
    }
    let looks_real = value.contains('.')
        && value
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    match value.parse::<f64>() {
        Ok(number) if looks_real && number.is_finite() => Sql::Real(number),
        _ => Sql::Text(value.to_owned()),
    }
}
