//! What a statement may do: read what the documented views read, and call the functions on a list. SQLite asks for each
//! thing when it compiles the statement; what is not known here is refused.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::{FUNCTIONS, Refusal};
use crate::{StoreError, schema};

/// SQLite's own functions that may be called. Not among them: what makes large values from small ones (`randomblob`,
/// `zeroblob`, `json_pretty`), what asks or changes the library (`load_extension`, `fts3_tokenizer`,
/// `sqlite_compileoption_get` …), and what belongs to tables that are not here.
pub(super) const BUILT_IN: &[&str] = &[
    "->",
    "->>",
    "abs",
    "avg",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_object",
    "json_quote",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "printf",
    "quote",
    "random",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "typeof",
    "unhex",
    "unicode",
    "unixepoch",
    "upper",
];

/// Functions of SQLite's that make rows.
const TABLE_FUNCTIONS: &[&str] = &["json_each", "json_tree"];

/// The guard of a connection.
#[derive(Clone, Debug)]
pub(super) struct Guard(Arc<Mutex<Seen>>);

/// What SQLite asked while it compiled the statement at hand.
#[derive(Debug, Default)]
struct Seen {
    denied: Option<Denied>,
    asked: bool,
}

/// The first thing of a statement that was refused.
#[derive(Clone, Debug)]
pub(super) enum Denied {
    /// Reading this table, or that column of it.
    Read(String),
    /// Calling this function.
    Function(String),
    /// Anything but reading.
    Other,
}

/// What may be read and called.
#[derive(Debug, Default)]
struct Allowed {
    views: HashSet<String>,
    /// Tables and columns that the views read. No column is that of a question which only counts rows.
    columns: HashSet<(String, String)>,
    functions: HashSet<String>,
    /// Every table there is, SQLite's own included.
    tables: HashSet<String>,
}

impl Guard {
    /// Puts the guard in place.
    pub(super) fn install(connection: &mut Connection) -> Result<Self, StoreError> {
        let allowed = Allowed::by_views(connection)?;
        let guard = Self(Arc::default());
        let seen = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let mut seen = seen.seen();
            match allowed.judge(context.action) {
                Ok(()) => {
                    seen.asked |= matches!(context.action, AuthAction::Select);
                    Authorization::Allow
                }
                Err(denied) => {
                    seen.denied.get_or_insert(denied);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(guard)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the statement before.
    pub(super) fn begin(&self) {
        *self.seen() = Seen::default();
    }

    pub(super) fn denied(&self) -> Option<Denied> {
        self.seen().denied.clone()
    }

    /// Was there a `SELECT`?
    pub(super) fn has_asked(&self) -> bool {
        self.seen().asked
    }
}

impl Denied {
    pub(super) fn refusal(&self, sql: &str) -> Refusal {
        match self {
            Self::Read(table) => Refusal::at_word(
                sql,
                Some(table),
                &format!("`{table}` may not be read"),
                "`atalaya query --schema` lists the views that may",
            ),
            Self::Function(name) => Refusal::at_word(
                sql,
                Some(name),
                &format!("the function `{name}` is not allowed"),
                "`atalaya query --schema` lists the functions that are",
            ),
            Self::Other => Refusal::only_select(sql),
        }
    }
}

impl Allowed {
    /// Compiles every documented view and notes what SQLite asks for.
    ///
    /// The accessor that SQLite names is no proof that a view reads a column: the name of a `WITH` table counts as one,
    /// too. So it is not asked who reads, only whether a view shows it anyway.
    fn by_views(connection: &mut Connection) -> Result<Self, StoreError> {
        let tables = connection
            .prepare("SELECT name FROM sqlite_schema UNION ALL SELECT name FROM pragma_module_list")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let noted = Arc::new(Mutex::new(Self {
            tables,
            ..Self::default()
        }));
        let seen = Arc::clone(&noted);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .note(context.action);
            Authorization::Allow
        }))?;
        for view in schema::views() {
            // A view that this database has not got cannot be asked.
            if connection
                .prepare(&format!("SELECT * FROM {}", view.name))
                .is_ok()
            {
                let mut allowed = noted.lock().unwrap_or_else(PoisonError::into_inner);
                allowed.views.insert(view.name.to_owned());
            }
        }
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        let mut allowed = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        let ours = FUNCTIONS.iter().map(|function| function.name);
        allowed
            .functions
            .extend(BUILT_IN.iter().copied().chain(ours).map(str::to_owned));
        Ok(allowed)
    }

    fn note(&mut self, action: AuthAction<'_>) {
        match action {
            AuthAction::Read {
                table_name,
                column_name,
            } => {
                for column in ["", column_name] {
                    self.columns.insert((table_name.to_owned(), column.to_owned()));
                }
            }
            AuthAction::Function { function_name } => {
                self.functions.insert(function_name.to_ascii_lowercase());
            }
            _ => {}
        }
    }

    fn judge(&self, action: AuthAction<'_>) -> Result<(), Denied> {
        match action {
            AuthAction::Select | AuthAction::Recursive => Ok(()),
            AuthAction::Read {
                table_name,
                column_name,
            } if self.reads(table_name, column_name) => Ok(()),
            AuthAction::Read { table_name, .. } => Err(Denied::Read(table_name.to_owned())),
            AuthAction::Function { function_name } if self.calls(function_name) => Ok(()),
            AuthAction::Function { function_name } => Err(Denied::Function(function_name.to_owned())),
            _ => Err(Denied::Other),
        }
    }

    fn reads(&self, table: &str, column: &str) -> bool {
        self.views.contains(table)
            || TABLE_FUNCTIONS.contains(&table)
            || self.columns.contains(&(table.to_owned(), column.to_owned()))
            // SQLite names no column of what a `WITH` makes.
            || column.is_empty() && !self.exists(table)
    }

    fn exists(&self, table: &str) -> bool {
        let name = table.to_ascii_lowercase();
        name.starts_with("sqlite_") || name.starts_with("pragma_") || self.tables.contains(&name)
    }

    fn calls(&self, function: &str) -> bool {
        self.functions.contains(&function.to_ascii_lowercase())
    }
}
