//! What detectors remember: one row a (detector, key), replaced by later ones.

use atalaya_model::memory::Memory;
use rusqlite::{Connection, params};

use crate::StoreError;

/// Keeps, replaces or forgets a record; false where it is over the model's limits and was not kept.
pub(crate) fn write(connection: &Connection, memory: &Memory) -> Result<bool, StoreError> {
    let too_long = memory.key.len() > Memory::MAX_KEY
        || memory
            .bytes
            .as_ref()
            .is_some_and(|bytes| bytes.len() > Memory::MAX_BYTES);
    if too_long {
        return Ok(false);
    }
    match &memory.bytes {
        Some(bytes) => connection
            .prepare_cached(
                "INSERT INTO memory (detector, key, version, bytes) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (detector, key) DO UPDATE SET version = ?3, bytes = ?4",
            )?
            .execute(params![&*memory.detector, &*memory.key, memory.version, bytes])?,
        None => connection
            .prepare_cached("DELETE FROM memory WHERE detector = ?1 AND key = ?2")?
            .execute([&*memory.detector, &*memory.key])?,
    };
    Ok(true)
}

/// Everything remembered, by detector and key.
pub(crate) fn read(connection: &Connection) -> Result<Vec<Memory>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT detector, version, key, bytes FROM memory ORDER BY detector, key")?;
    let rows = statement.query_map([], |row| {
        Ok(Memory {
            detector: row.get::<_, String>(0)?.into(),
            version: row.get(1)?,
            key: row.get::<_, String>(2)?.into(),
            bytes: Some(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
