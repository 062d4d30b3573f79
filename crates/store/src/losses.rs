//! Rows of gaps and of changes of tier.

use atalaya_model::{Gap, TierReport, Time};
use rusqlite::{Connection, Row, params};

use crate::StoreError;
use crate::codes::{self, counter, decode, encode, uncounter};
use crate::identity;

/// Inserts a gap that was told at `time`.
pub(crate) fn insert_gap(
    connection: &Connection,
    (id, late): (i64, i64),
    time: Time,
    gap: &Gap,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO gap (id, late, noticed, stage, count, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            late,
            gap.time.0.saturating_sub(time.0),
            encode(codes::STAGE, &gap.stage),
            counter(gap.count),
            &*gap.reason
        ])?;
    Ok(())
}

/// A gap and when it was told, from its row (`SELECT * FROM gap`).
pub(crate) fn read_gap(row: &Row<'_>) -> Result<(Time, Gap), StoreError> {
    let time = told(row)?;
    let gap = Gap {
        time: Time(time.0.saturating_add(row.get("noticed")?)),
        stage: decode(codes::STAGE, row.get("stage")?)?,
        count: uncounter(row.get("count")?),
        reason: row.get::<_, String>("reason")?.into(),
    };
    Ok((time, gap))
}

/// Inserts a change of tier.
pub(crate) fn insert_tier(
    connection: &Connection,
    run: i64,
    (id, late): (i64, i64),
    report: &TierReport,
) -> Result<(), StoreError> {
    let tier = encode(codes::TIER, &report.tier);
    connection
        .prepare_cached(
            "INSERT INTO tier_change (id, late, run, tier, unavailable, limits) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            id,
            late,
            run,
            tier,
            serde_json::to_string(&report.unavailable)?,
            serde_json::to_string(&report.limits)?
        ])?;
    connection
        .prepare_cached("UPDATE run SET tier = ?2 WHERE id = ?1")?
        .execute([run, tier])?;
    Ok(())
}

/// A change of tier and its time, from its row (`SELECT * FROM tier_change`).
pub(crate) fn read_tier(row: &Row<'_>) -> Result<(Time, TierReport), StoreError> {
    let report = TierReport {
        tier: decode(codes::TIER, row.get("tier")?)?,
        unavailable: serde_json::from_str(&row.get::<_, String>("unavailable")?)?,
        limits: serde_json::from_str(&row.get::<_, String>("limits")?)?,
    };
    Ok((told(row)?, report))
}

/// The time of an event from the id and lateness of its row.
pub(crate) fn told(row: &Row<'_>) -> Result<Time, StoreError> {
    let late: i64 = row.get("late")?;
    Ok(Time(identity::time(row.get("id")?).0.saturating_add(late)))
}
