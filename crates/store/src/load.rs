//! Reading dictionaries back, each row once: the same text or process is shared by all records that name it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::process::Ancestor;
use atalaya_model::{Place, Process, Text, Time};
use rusqlite::{Connection, OptionalExtension};

use crate::dictionary::from_raw;
use crate::shape::{COLUMNS, Shape};
use crate::{StoreError, processes};

/// Entries of one cache; at the limit it is emptied.
const LIMIT: usize = 4_096;

/// Nodes of one parent chain; the model allows 32.
const CHAIN: usize = 64;

/// Dictionary rows that were read before.
#[derive(Debug, Default)]
pub(crate) struct Loader {
    texts: HashMap<i64, Text>,
    addresses: HashMap<i64, (IpAddr, Option<Arc<Place>>)>,
    processes: HashMap<i64, Arc<Process>>,
    shapes: HashMap<i64, Shape>,
}

impl Loader {
    /// The text of this number.
    pub(crate) fn text(
        &mut self,
        connection: &Connection,
        id: Option<i64>,
    ) -> Result<Option<Text>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(text) = self.texts.get(&id) {
            return Ok(Some(text.clone()));
        }
        let text: Option<String> = connection
            .prepare_cached("SELECT value FROM text WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        let Some(text) = text.map(Text::from) else {
            return Ok(None);
        };
        if self.texts.len() >= LIMIT {
            self.texts.clear();
        }
        self.texts.insert(id, text.clone());
        Ok(Some(text))
    }

    /// The address of this number.
    pub(crate) fn address(&mut self, connection: &Connection, id: i64) -> Result<IpAddr, StoreError> {
        Ok(self.placed(connection, id)?.0)
    }

    /// The address of this number, and where it is.
    pub(crate) fn placed(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> Result<(IpAddr, Option<Arc<Place>>), StoreError> {
        if let Some(known) = self.addresses.get(&id) {
            return Ok(known.clone());
        }
        type Columns = (Vec<u8>, Option<String>, Option<u32>, Option<i64>);
        let found: Option<Columns> = connection
            .prepare_cached("SELECT raw, country, asn, organization FROM ip WHERE id = ?1")?
            .query_row([id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let (raw, country, asn, organization) =
            found.ok_or_else(|| StoreError::Corrupt(format!("no address {id}")))?;
        let place = Place {
            country: country.map(Text::from),
            asn,
            organization: self.text(connection, organization)?,
        };
        let known = (from_raw(&raw)?, (!place.is_empty()).then(|| Arc::new(place)));
        if self.addresses.len() >= LIMIT {
            self.addresses.clear();
        }
        self.addresses.insert(id, known.clone());
        Ok(known)
    }

    /// The shape of this number.
    pub(crate) fn shape(&mut self, connection: &Connection, id: i64) -> Result<Shape, StoreError> {
        if let Some(shape) = self.shapes.get(&id) {
            return Ok(*shape);
        }
        let sql = format!("SELECT {} FROM shape WHERE id = ?1", COLUMNS.join(", "));
        let numbers = connection
            .prepare_cached(&sql)?
            .query_row([id], |row| {
                let mut numbers = [0; COLUMNS.len()];
                for (place, number) in numbers.iter_mut().enumerate() {
                    *number = row.get(place)?;
                }
                Ok(numbers)
            })
            .optional()?;
        let numbers = numbers.ok_or_else(|| StoreError::Corrupt(format!("no shape {id}")))?;
        let shape = Shape::from_numbers(&numbers)?;
        if self.shapes.len() >= LIMIT {
            self.shapes.clear();
        }
        self.shapes.insert(id, shape);
        Ok(shape)
    }

    /// The process of this number; `None` where retention took it.
    pub(crate) fn process(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> Result<Option<Arc<Process>>, StoreError> {
        if let Some(process) = self.processes.get(&id) {
            return Ok(Some(process.clone()));
        }
        let sql = format!(
            "SELECT {} FROM process p LEFT JOIN executable x ON x.id = p.executable WHERE p.id = ?1",
            processes::COLUMNS
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let process = Arc::new(processes::read(connection, self, row)?);
        if self.processes.len() >= LIMIT {
            self.processes.clear();
        }
        self.processes.insert(id, process.clone());
        Ok(Some(process))
    }

    /// The process of this number as it was known at a time: its end is not told before it happened.
    pub(crate) fn process_at(
        &mut self,
        connection: &Connection,
        id: Option<i64>,
        time: Time,
    ) -> Result<Option<Arc<Process>>, StoreError> {
        let Some(process) = id.map(|id| self.process(connection, id)).transpose()?.flatten() else {
            return Ok(None);
        };
        Ok(Some(if process.ended.is_some_and(|ended| ended > time) {
            Arc::new(Process {
                ended: None,
                exit_code: None,
                ..Process::clone(&process)
            })
        } else {
            process
        }))
    }

    /// The parent chain that begins with this node.
    pub(crate) fn lineage(
        &mut self,
        connection: &Connection,
        first: Option<i64>,
    ) -> Result<Arc<[Ancestor]>, StoreError> {
        let mut chain = Vec::new();
        let mut next = first;
        while let Some(id) = next
            && chain.len() < CHAIN
        {
            let found = connection
                .prepare_cached("SELECT pid, start, name, executable, next FROM lineage WHERE id = ?1")?
                .query_row([id], processes::read_ancestor)
                .optional()?;
            let Some((ancestor, rest)) = found else { break };
            chain.push(ancestor);
            next = rest;
        }
        Ok(chain.into())
    }
}
