//! From when to when a database tells, and in how many bytes.

use atalaya_model::Time;

use crate::identity::{self, Table};
use crate::{Reader, StoreError};

/// How far a database reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of the file, without its write-ahead log.
    pub bytes: u64,
    /// Bytes within the file that are free for new rows.
    pub free_bytes: u64,
    /// The time of the oldest event.
    pub first: Option<Time>,
    /// The time of the newest event.
    pub last: Option<Time>,
}

impl Reader {
    /// How far the database reaches.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn extent(&self) -> Result<Extent, StoreError> {
        let connection = self.connection();
        let ask = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let page = ask("page_size")?;
        let mut extent = Extent {
            bytes: ask("page_count")?.saturating_mul(page).cast_unsigned(),
            free_bytes: ask("freelist_count")?.saturating_mul(page).cast_unsigned(),
            ..Extent::default()
        };
        for table in Table::ALL {
            // Each alone: together they would be a search.
            let end = |which: &str| {
                let sql = format!("SELECT {which}(id) FROM {}", table.name());
                connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
            };
            if let (Some(first), Some(last)) = (end("min")?, end("max")?) {
                let (first, last) = (identity::time(first), identity::time(last));
                extent.first = Some(extent.first.map_or(first, |known| known.min(first)));
                extent.last = Some(extent.last.map_or(last, |known| known.max(last)));
            }
        }
        Ok(extent)
    }
}
