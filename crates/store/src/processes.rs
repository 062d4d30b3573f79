//! Rows of processes: one a version, and what happened to them.

use std::sync::Arc;

use atalaya_model::process::{Ancestor, Container, Package};
use atalaya_model::{Process, ProcessKey, Text, Time};
use rusqlite::{Connection, Row, named_params};

use crate::StoreError;
use crate::codes::{self, counter, decode, encode, uncounter};
use crate::dictionary::Dictionaries;
use crate::load::Loader;

/// The numbers of the dictionary rows that a process points at.
struct References {
    executable: Option<i64>,
    lineage: Option<i64>,
    user_name: Option<i64>,
    cgroup: Option<i64>,
    container_runtime: Option<i64>,
    container_id: Option<i64>,
    unit: Option<i64>,
    package_manager: Option<i64>,
    package_name: Option<i64>,
    package_version: Option<i64>,
    program: i64,
}

fn refer(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    process: &Process,
    time: Time,
) -> Result<References, StoreError> {
    let mut text = |value: Option<&Text>| dictionaries.text_of(connection, value, time);
    let (container, package) = (process.container.as_ref(), process.package.as_ref());
    Ok(References {
        user_name: text(process.user_name.as_ref())?,
        cgroup: text(process.cgroup.as_ref())?,
        container_runtime: text(container.map(|container| &container.runtime))?,
        container_id: text(container.map(|container| &container.id))?,
        unit: text(process.unit.as_ref())?,
        package_manager: text(package.map(|package| &package.manager))?,
        package_name: text(package.map(|package| &package.name))?,
        package_version: text(package.and_then(|package| package.version.as_ref()))?,
        executable: dictionaries.executable(connection, process, time)?,
        lineage: dictionaries.lineage(connection, &process.ancestors, time)?,
        program: dictionaries.program(connection, process)?,
    })
}

/// Notes that what a known process points at was used at this time.
pub(crate) fn renew(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    id: i64,
    process: &Process,
    time: Time,
) -> Result<(), StoreError> {
    let refer = refer(connection, dictionaries, process, time)?;
    // Retention may have taken a row meanwhile; then its number is a new one.
    connection
        .prepare_cached(
            "UPDATE process SET executable = :executable, lineage = :lineage, user_name = :user_name, \
             cgroup = :cgroup, container_runtime = :container_runtime, container_id = :container_id, \
             unit = :unit, package_manager = :package_manager, package_name = :package_name, \
             package_version = :package_version, program = :program WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":executable": refer.executable,
            ":lineage": refer.lineage,
            ":user_name": refer.user_name,
            ":cgroup": refer.cgroup,
            ":container_runtime": refer.container_runtime,
            ":container_id": refer.container_id,
            ":unit": refer.unit,
            ":package_manager": refer.package_manager,
            ":package_name": refer.package_name,
            ":package_version": refer.package_version,
            ":program": refer.program,
        })?;
    Ok(())
}

/// Inserts a version as the newest of its identity; gives its number.
pub(crate) fn insert(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    process: &Process,
    time: Time,
    day: i64,
) -> Result<i64, StoreError> {
    let refer = refer(connection, dictionaries, process, time)?;
    let (pid, start, boot) = (process.key.pid, counter(process.key.start), dictionaries.boot);
    connection
        .prepare_cached(
            "UPDATE process SET latest = 0 WHERE pid = ?1 AND start = ?2 AND boot = ?3 AND latest = 1",
        )?
        .execute((pid, start, boot))?;
    connection
        .prepare_cached(
            "INSERT INTO process (day, boot, pid, start, latest, started, ended, name, executable, \
             command_line, command_line_hash, working_directory, script, user_id, user_name, parent_pid, \
             parent_start, lineage, cgroup, container_runtime, container_id, unit, network_namespace, flags, \
             package_manager, package_name, package_version, package_digest, unread, script_sha256, preload, \
             exit_code, program) VALUES (:day, :boot, :pid, :start, 1, :started, \
             coalesce(:ended, (SELECT max(ended) FROM process WHERE pid = :pid AND start = :start AND \
             boot = :boot)), :name, :executable, :command_line, :command_line_hash, \
             :working_directory, :script, :user_id, :user_name, :parent_pid, :parent_start, :lineage, :cgroup, \
             :container_runtime, :container_id, :unit, :network_namespace, :flags, :package_manager, \
             :package_name, :package_version, :package_digest, :unread, :script_sha256, :preload, \
             coalesce(:exit_code, (SELECT max(exit_code) FROM process WHERE pid = :pid AND start = :start AND \
             boot = :boot)), :program)",
        )?
        .execute(named_params! {
            ":day": day,
            ":boot": boot,
            ":pid": pid,
            ":start": start,
            ":started": process.started.0,
            ":ended": process.ended.map(|time| time.0),
            ":name": &*process.name,
            ":executable": refer.executable,
            ":command_line": process.command_line.as_deref(),
            ":command_line_hash": process.command_line_hash.as_deref(),
            ":working_directory": process.working_directory.as_deref(),
            ":script": process.script.as_deref(),
            ":user_id": process.user_id,
            ":user_name": refer.user_name,
            ":parent_pid": process.parent.map(|parent| parent.pid),
            ":parent_start": process.parent.map(|parent| counter(parent.start)),
            ":lineage": refer.lineage,
            ":cgroup": refer.cgroup,
            ":container_runtime": refer.container_runtime,
            ":container_id": refer.container_id,
            ":unit": refer.unit,
            ":network_namespace": process.network_namespace,
            ":flags": codes::encode_flags(process.flags),
            ":package_manager": refer.package_manager,
            ":package_name": refer.package_name,
            ":package_version": refer.package_version,
            ":package_digest": process.package.as_ref().map(|package| encode(codes::DIGEST, &package.digest)),
            ":unread": process.unread.map(|unread| encode(codes::UNREAD, &unread)),
            ":script_sha256": process.script_sha256.as_deref(),
            ":preload": process.preload.as_deref(),
            ":exit_code": process.exit_code,
            ":program": refer.program,
        })?;
    Ok(connection.last_insert_rowid())
}

/// Notes the end on every version of a process.
pub(crate) fn end(connection: &Connection, boot: i64, process: &Process) -> Result<(), StoreError> {
    if let Some(ended) = process.ended {
        connection
            .prepare_cached(
                "UPDATE process SET ended = ?1, exit_code = coalesce(?2, exit_code) WHERE pid = ?3 AND start = ?4 AND boot = ?5",
            )?
            .execute((
                ended.0,
                process.exit_code,
                process.key.pid,
                counter(process.key.start),
                boot,
            ))?;
    }
    Ok(())
}

/// The newest versions of a process, oldest first: number, day last used, and the process.
pub(crate) fn versions(
    connection: &Connection,
    boot: i64,
    key: ProcessKey,
    limit: usize,
) -> Result<Vec<(i64, i64, Arc<Process>)>, StoreError> {
    let mut found = connection
        .prepare_cached(
            "SELECT id, day FROM process WHERE pid = ?1 AND start = ?2 AND boot = ?3 ORDER BY id DESC LIMIT ?4",
        )?
        .query_map((key.pid, counter(key.start), boot, limit as i64), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<Vec<(i64, i64)>, _>>()?;
    found.reverse();
    let mut loader = Loader::default();
    let mut versions = Vec::with_capacity(found.len());
    for (id, day) in found {
        if let Some(process) = loader.process(connection, id)? {
            versions.push((id, day, process));
        }
    }
    Ok(versions)
}

/// The columns that [`read`] wants, in its order.
pub(crate) const COLUMNS: &str = "pid, start, started, ended, name, x.path, x.sha256, command_line, \
    command_line_hash, working_directory, script, user_id, user_name, parent_pid, parent_start, lineage, cgroup, \
    container_runtime, container_id, unit, network_namespace, flags, package_manager, package_name, \
    package_version, package_digest, unread, script_sha256, preload, exit_code";

/// A process from its row.
pub(crate) fn read(
    connection: &Connection,
    loader: &mut Loader,
    row: &Row<'_>,
) -> Result<Process, StoreError> {
    let text = |index: usize| {
        row.get::<_, Option<String>>(index)
            .map(|text| text.map(Text::from))
    };
    let key = |pid: Option<u32>, start: Option<i64>| {
        pid.zip(start).map(|(pid, start)| ProcessKey {
            pid,
            start: uncounter(start),
        })
    };
    let mut process = Process::bare(
        ProcessKey {
            pid: row.get(0)?,
            start: uncounter(row.get(1)?),
        },
        row.get::<_, String>(4)?.into(),
        Time(row.get(2)?),
    );
    process.ended = row.get::<_, Option<i64>>(3)?.map(Time);
    process.executable = text(5)?;
    process.sha256 = text(6)?;
    process.command_line = text(7)?;
    process.command_line_hash = text(8)?;
    process.working_directory = text(9)?;
    process.script = text(10)?;
    process.user_id = row.get(11)?;
    process.user_name = loader.text(connection, row.get(12)?)?;
    process.parent = key(row.get(13)?, row.get(14)?);
    process.ancestors = loader.lineage(connection, row.get(15)?)?;
    process.cgroup = loader.text(connection, row.get(16)?)?;
    process.container = loader
        .text(connection, row.get(17)?)?
        .zip(loader.text(connection, row.get(18)?)?)
        .map(|(runtime, id)| Container { runtime, id });
    process.unit = loader.text(connection, row.get(19)?)?;
    process.network_namespace = row.get(20)?;
    process.flags = codes::decode_flags(row.get(21)?);
    process.package = match (
        loader.text(connection, row.get(22)?)?,
        loader.text(connection, row.get(23)?)?,
    ) {
        (Some(manager), Some(name)) => Some(Package {
            manager,
            name,
            version: loader.text(connection, row.get(24)?)?,
            digest: decode(codes::DIGEST, row.get::<_, Option<i64>>(25)?.unwrap_or(0))?,
        }),
        _ => None,
    };
    process.unread = row
        .get::<_, Option<i64>>(26)?
        .map(|code| decode(codes::UNREAD, code))
        .transpose()?;
    process.script_sha256 = text(27)?;
    process.preload = text(28)?;
    process.exit_code = row.get(29)?;
    Ok(process)
}

/// One ancestor and the number of the next, from a row of `lineage`.
pub(crate) fn read_ancestor(row: &Row<'_>) -> rusqlite::Result<(Ancestor, Option<i64>)> {
    let ancestor = Ancestor {
        key: ProcessKey {
            pid: row.get(0)?,
            start: uncounter(row.get(1)?),
        },
        name: row.get::<_, String>(2)?.into(),
        executable: row.get::<_, Option<String>>(3)?.map(Text::from),
    };
    Ok((ancestor, row.get(4)?))
}
