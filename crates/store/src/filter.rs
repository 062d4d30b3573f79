//! The filter grammar in SQL, over the views: what it selects is what `Expression::matches` accepts.
//!
//! Texts of the filter travel as bound parameters. Globs and regular expressions are tested by the model's own code,
//! through a function `passes(n, value)` that lives as long as the query.

use atalaya_model::Value;
use atalaya_model::fields::{Field, Kind, Type};
use atalaya_model::filter::{Expression, Test};
use ipnet::IpNet;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value as Sql, ValueRef};

use crate::StoreError;
use crate::dictionary::raw;

/// A condition over one view.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// The condition; `?` stands for the parameters in their order.
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Sql>,
    /// What `passes` tests.
    tests: Vec<Test>,
}

impl Condition {
    /// The condition that selects what `expression` accepts among records of this kind.
    pub(crate) fn new(kind: Kind, expression: &Expression) -> Self {
        let mut condition = Self::default();
        condition.sql = condition.expression(kind, expression);
        condition
    }

    /// Gives the connection the function that the condition calls.
    pub(crate) fn register(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.tests.is_empty() {
            return Ok(());
        }
        let tests = std::mem::take(&mut self.tests);
        connection.create_scalar_function(
            "passes",
            2,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            move |context| {
                let test = usize::try_from(context.get::<i64>(0)?)
                    .ok()
                    .and_then(|index| tests.get(index));
                Ok(match (test, context.get_raw(1)) {
                    (Some(test), ValueRef::Text(text)) => {
                        std::str::from_utf8(text).is_ok_and(|text| test.matches(&Value::from(text)))
                    }
                    _ => false,
                })
            },
        )?;
        Ok(())
    }

    fn expression(&mut self, kind: Kind, expression: &Expression) -> String {
        match expression {
            Expression::All => "1".into(),
            Expression::And(items) => {
                let items = items.iter().map(|item| self.expression(kind, item)).collect();
                join(items, "AND", "1")
            }
            Expression::Or(items) => {
                let items = items.iter().map(|item| self.expression(kind, item)).collect();
                join(items, "OR", "0")
            }
            Expression::Not(item) => format!("(NOT {})", self.expression(kind, item)),
            Expression::Compare { fields, test } => {
                let items = fields
                    .iter()
                    .filter(|field| field.of.contains(&kind))
                    .map(|field| self.compare(field, test))
                    .collect();
                join(items, "OR", "0")
            }
        }
    }

    /// True or false, never NULL: an unset value fails every test.
    fn compare(&mut self, field: &Field, test: &Test) -> String {
        let column = field.column;
        match (test, field.kind) {
            (Test::Exists, _) => format!("({column} IS NOT NULL)"),
            (test, Type::Texts) => {
                let value = self.test(Type::Text, "value", test);
                format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE {value})")
            }
            (test, kind) => {
                let test = self.test(kind, column, test);
                format!("coalesce({test}, 0)")
            }
        }
    }

    /// A test of one value; NULL where the value is.
    fn test(&mut self, kind: Type, value: &str, test: &Test) -> String {
        let is_text = matches!(kind, Type::Text | Type::Address);
        match test {
            Test::Exists => format!("({value} IS NOT NULL)"),
            Test::Equals(wanted) if is_text => {
                self.parameters.push(Sql::Text(wanted.to_string()));
                format!("({value} = ? COLLATE NOCASE)")
            }
            Test::Contains(wanted) if is_text => {
                self.parameters.push(Sql::Text(wanted.to_ascii_lowercase()));
                format!("(instr(lower({value}), ?) > 0)")
            }
            Test::Within(network) if kind == Type::Address => {
                let (low, high) = bounds(*network);
                let sql = format!(
                    "(length({value}_raw) = {} AND {value}_raw BETWEEN ? AND ?)",
                    low.len()
                );
                self.parameters.extend([Sql::Blob(low), Sql::Blob(high)]);
                sql
            }
            Test::Glob(_) | Test::Regex(_) | Test::Within(_) if is_text => {
                self.tests.push(test.clone());
                format!("passes({}, {value})", self.tests.len() - 1)
            }
            Test::Range { low, high }
                if matches!(kind, Type::Integer | Type::Bytes | Type::Time | Type::Span) =>
            {
                self.parameters.extend([Sql::Integer(*low), Sql::Integer(*high)]);
                format!("({value} BETWEEN ? AND ?)")
            }
            Test::Is(wanted) if kind == Type::Bool => {
                format!("({value} = {})", i32::from(*wanted))
            }
            Test::Any(tests) => {
                let tests = tests.iter().map(|test| self.test(kind, value, test)).collect();
                join(tests, "OR", "0")
            }
            // A test that makes no sense for this type is false, as in the model.
            _ => "0".into(),
        }
    }
}

/// Joins conditions as a balanced tree: SQLite limits the depth of an expression, not its width.
fn join(mut items: Vec<String>, operator: &str, empty: &str) -> String {
    match items.len() {
        0 => empty.into(),
        1 => items.remove(0),
        count => {
            let right = items.split_off(count / 2);
            format!(
                "({} {operator} {})",
                join(items, operator, empty),
                join(right, operator, empty)
            )
        }
    }
}

/// First and last address of a network, as bytes.
fn bounds(network: IpNet) -> (Vec<u8>, Vec<u8>) {
    (raw(network.network()), raw(network.broadcast()))
}
