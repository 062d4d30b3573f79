//! Rows of listeners: inserted when they appear, completed when they go.

use atalaya_model::{Endpoint, Listener, Time, Transport};
use rusqlite::{Connection, Row, named_params};

use crate::StoreError;
use crate::codes::{self, counter, uncounter};
use crate::connections::{Moment, Phase, from_keys, keys};
use crate::dictionary::Dictionaries;
use crate::identity;
use crate::load::Loader;

/// Inserts a listener that appeared at `time`.
pub(crate) fn insert(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    run: i64,
    (id, late): (i64, i64),
    time: Time,
    listener: &Listener,
) -> Result<(), StoreError> {
    let ip = dictionaries.address(connection, listener.local.ip, time)?;
    let service = dictionaries.text_of(connection, listener.service.as_ref(), time)?;
    let process = dictionaries.process_of(connection, listener.process.as_ref(), time)?;
    connection
        .prepare_cached(
            "INSERT INTO listener (id, late, run, phase, started, started_before, transport, ip, port, \
             network_namespace, cookie, user_id, service, process, attribution, shared_with) VALUES (:id, :late, \
             :run, 0, :started, :started_before, :transport, :ip, :port, :network_namespace, :cookie, :user_id, \
             :service, :process, :attribution, :shared_with)",
        )?
        .execute(named_params! {
            ":id": id,
            ":late": late,
            ":run": run,
            ":started": listener.started.0.saturating_sub(time.0),
            ":started_before": listener.started_before,
            ":transport": listener.transport.number(),
            ":ip": ip,
            ":port": listener.local.port,
            ":network_namespace": listener.network_namespace,
            ":cookie": counter(listener.cookie),
            ":user_id": listener.user_id,
            ":service": service,
            ":process": process,
            ":attribution": codes::encode_attribution(listener.attribution),
            ":shared_with": keys(&listener.shared_with),
        })?;
    Ok(())
}

/// Writes what is known of a listener at `time`; false where the row is gone.
pub(crate) fn update(
    connection: &Connection,
    dictionaries: &mut Dictionaries,
    id: i64,
    phase: Phase,
    time: Time,
    listener: &Listener,
) -> Result<bool, StoreError> {
    let ip = dictionaries.address(connection, listener.local.ip, time)?;
    let service = dictionaries.text_of(connection, listener.service.as_ref(), time)?;
    let process = dictionaries.process_of(connection, listener.process.as_ref(), time)?;
    let changed = connection
        .prepare_cached(
            "UPDATE listener SET phase = :phase, ip = :ip, user_id = :user_id, service = :service, \
             changed = :changed, ended = :ended, last_process = :process, last_attribution = :attribution, \
             last_shared_with = :shared_with WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":phase": phase as i64,
            ":ip": ip,
            ":user_id": listener.user_id,
            ":service": service,
            ":changed": time.0,
            ":ended": listener.ended.map(|ended| ended.0.saturating_sub(time.0)),
            ":process": process,
            ":attribution": codes::encode_attribution(listener.attribution),
            ":shared_with": keys(&listener.shared_with),
        })?;
    Ok(changed > 0)
}

/// The time of a moment, and the listener as it was then, from its row (`SELECT * FROM listener`).
pub(crate) fn read(
    connection: &Connection,
    loader: &mut Loader,
    row: &Row<'_>,
    moment: Moment,
) -> Result<(Time, Listener), StoreError> {
    let id: i64 = row.get("id")?;
    let appeared = Time(identity::time(id).0.saturating_add(row.get("late")?));
    let last = moment != Moment::Opened && row.get::<_, i64>("phase")? > 0;
    let time = if last { Time(row.get("changed")?) } else { appeared };
    let now = |opened: &'static str, updated: &'static str| if last { updated } else { opened };
    let ended: Option<i64> = if last { row.get("ended")? } else { None };
    let listener = Listener {
        id: id.cast_unsigned(),
        started: Time(appeared.0.saturating_add(row.get("started")?)),
        started_before: row.get("started_before")?,
        ended: ended.map(|offset| Time(time.0.saturating_add(offset))),
        transport: Transport::from_number(row.get("transport")?),
        local: Endpoint {
            ip: loader.address(connection, row.get("ip")?)?,
            port: row.get("port")?,
        },
        network_namespace: row.get("network_namespace")?,
        cookie: uncounter(row.get("cookie")?),
        user_id: row.get("user_id")?,
        service: loader.text(connection, row.get("service")?)?,
        process: loader.process_at(
            connection,
            row.get(now("process", "last_process"))?,
            moment.known_at(time),
        )?,
        attribution: codes::decode_attribution(row.get(now("attribution", "last_attribution"))?)?,
        shared_with: from_keys(row.get(now("shared_with", "last_shared_with"))?),
    };
    Ok((time, listener))
}
