//! Times and spans: microseconds, as the views have them.

use atalaya_model::{Span, Time};
use rusqlite::functions::Context;

use super::{Given, integer, text, wrong};
use crate::identity;

fn span(context: &Context<'_>, index: usize) -> Given<Span> {
    let Some(text) = text(context.get_raw(index)) else {
        return Ok(None);
    };
    match Span::parse(&text) {
        Some(span) => Ok(Some(span)),
        None => Err(wrong("a span is wanted, such as '30s', '5m', '2h', '7d'")),
    }
}

fn with_time<T>(context: &Context<'_>, make: impl Fn(Time) -> T) -> Given<T> {
    Ok(integer(context, 0)?.map(|micros| make(Time(micros))))
}

pub(super) fn ago(context: &Context<'_>, now: Time) -> Given<i64> {
    Ok(span(context, 0)?.map(|span| now.after(Span(-span.0)).0))
}

pub(super) fn at(context: &Context<'_>) -> Given<i64> {
    let Some(text) = text(context.get_raw(0)) else {
        return Ok(None);
    };
    match Time::parse(&text) {
        Some(time) => Ok(Some(time.0)),
        None => Err(wrong(
            "a time is wanted, such as '2026-11-20' or '2026-11-20T21:00:00Z'",
        )),
    }
}

pub(super) fn bucket(context: &Context<'_>) -> Given<i64> {
    let (Some(time), Some(span)) = (integer(context, 0)?, span(context, 1)?) else {
        return Ok(None);
    };
    if span.0 <= 0 {
        return Err(wrong("a span above 0 is wanted"));
    }
    Ok(Some(time.saturating_sub(time.rem_euclid(span.0))))
}

pub(super) fn hour_of_week(context: &Context<'_>) -> Given<i64> {
    with_time(context, |time| i64::from(time.hour_of_week()))
}

pub(super) fn human_span(context: &Context<'_>) -> Given<String> {
    with_time(context, |time| Span(time.0).to_string())
}

pub(super) fn id_at(context: &Context<'_>) -> Given<i64> {
    with_time(context, identity::first)
}

pub(super) fn iso(context: &Context<'_>) -> Given<String> {
    with_time(context, Time::rfc3339)
}

pub(super) fn local(context: &Context<'_>) -> Given<String> {
    with_time(context, Time::local)
}
