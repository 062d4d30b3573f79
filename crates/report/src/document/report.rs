//! *How did this host do?* A report over a range of time.

mod alerts;
mod incidents;
mod rankings;

use std::ops::Range;

use atalaya_format::Language;
use atalaya_format::sentence::{self, Part};
use atalaya_model::{Gap, Severity, Span, Text, TierReport, Time, Value};
use atalaya_store::{
    AddressTotal, AlertQuery, Ask, Extent, Incident, PortTotal, ProgramTotal, Reader, RuleTotal, StoreError,
    StoredAlert,
};

use super::{
    Chart, Column, Document, Number, Point, Said, Section, Shape, Table, column, news, number, series, text,
    unseen, until_now,
};

/// What a report shall say.
#[derive(Clone, Debug)]
pub struct Question {
    /// The time that it is about.
    pub range: Range<Time>,
    /// When it is.
    pub now: Time,
    /// Rows of each table, at most.
    pub limit: usize,
    /// In which language alerts explain themselves.
    pub language: Language,
    /// Which host, or which database.
    pub source: Text,
    /// The version of this program.
    pub version: Text,
    /// What else the reader must know of how it was made: where it was read, what is configured.
    pub method: Vec<(&'static str, Value)>,
}

/// Alerts that are looked at, at most.
const ALERTS: usize = 5_000;
/// Gaps that are looked at, at most.
const GAPS: usize = 20_000;
/// Rows of the table of traffic by time.
const TIMES: i64 = 48;
/// Rankings are made of so many rows.
const RANKED: usize = 100_000;

/// Everything that was asked of the store.
struct Facts {
    incidents: (Vec<Incident>, u64),
    alerts: Vec<StoredAlert>,
    rules: Vec<RuleTotal>,
    minutes: Vec<atalaya_store::MinuteTotal>,
    ports: Vec<PortTotal>,
    programs: Vec<ProgramTotal>,
    addresses: Vec<AddressTotal>,
    gaps: Vec<Gap>,
    all_gaps: u64,
    tiers: Vec<(Time, TierReport)>,
    unwatched: Vec<Range<Time>>,
    /// When the history begins.
    since: Option<Time>,
    up_to: Option<Time>,
    destinations: u64,
    extent: Extent,
    /// Some of it was read from captures.
    is_replayed: bool,
}

/// Makes the report.
///
/// # Errors
/// When the store cannot be read.
pub fn report(reader: &Reader, question: &Question) -> Result<Document, StoreError> {
    let facts = ask(reader, question)?;
    let range = &question.range;
    let limit = question.limit;
    let mut news = Vec::new();
    let (fresh, services, is_whole) = fresh(reader, question, &facts, &mut news)?;
    let mut unseen = unseen::sentences(range, &facts.unwatched, &facts.gaps, &facts.tiers);
    let mut all_bytes = (0_u64, 0_u64);
    let mut connections = 0_u64;
    for minute in &facts.minutes {
        connections += minute.total.connections;
        all_bytes.0 = all_bytes.0.saturating_add(minute.total.received_bytes);
        all_bytes.1 = all_bytes.1.saturating_add(minute.total.sent_bytes);
    }
    let unattributed = facts.programs.iter().filter(|row| row.program.is_none());
    let unattributed: u64 = unattributed.map(|row| row.total.connections).sum();
    if unattributed > 0 {
        let count = number(unattributed).into_iter().collect();
        unseen.push(Said::new("Connections of no known process: {0}.", count));
    }
    if facts.all_gaps > GAPS as u64 {
        unseen.push(Said::new(
            "Of {0} gaps the newest {1} are counted here.",
            [number(facts.all_gaps), number(GAPS as u64)]
                .into_iter()
                .flatten()
                .collect(),
        ));
    }
    // What is told of within a second of the sums is in them.
    let last = facts.extent.last.map(|last| last.min(range.end));
    if let Some((up_to, last)) = facts.up_to.zip(last)
        && last.since(up_to) > Span::from_seconds(1)
    {
        unseen.push(Said::new(
            "Sums are complete up to {0}; what came later is not in them yet.",
            vec![Value::Time(up_to)],
        ));
    }
    let alerts: u64 = facts.rules.iter().map(|rule| rule.alerts).sum();
    if alerts > facts.alerts.len() as u64 {
        unseen.push(Said::new(
            "Of {0} alerts {1} were looked at: the gravest, then the newest.",
            vec![whole(alerts), whole(facts.alerts.len() as u64)],
        ));
    }
    if !is_whole {
        unseen.push(Said::new(
            "Of each kind at most {0} were compared.",
            vec![whole(news::MOST as u64)],
        ));
    }
    if facts.is_replayed {
        unseen.push(Said::plain(
            "Some of it was read from captures, which have what was captured, and no processes.",
        ));
    }
    let reach = facts.extent.first.zip(facts.extent.last);
    if let Some((first, last)) = reach.filter(|(first, last)| *first >= range.end || *last < range.start) {
        unseen.push(Said::new(
            "What is kept is of another time: from {0} to {1}.",
            vec![Value::Time(first), Value::Time(last)],
        ));
    }
    let programs = facts.programs.iter().filter(|row| row.program.is_some()).count() as u64;
    let (worst, verdict) = verdict(&facts, question, alerts);
    let numbers = vec![
        Number::count("alerts", "alerts", alerts),
        Number::count("connections", "connections", connections),
        Number {
            name: "bytes",
            label: "received and sent",
            value: Value::Bytes(all_bytes.0.saturating_add(all_bytes.1)),
        },
        Number::count("programs", "programs on the network", programs),
        Number::count("destinations", "destinations", facts.destinations),
    ];
    let (incidents, all_incidents) = &facts.incidents;
    // What matters first: what is wrong, what was not seen, what is new; then what there is.
    let mut sections = vec![
        incidents::incidents_table(reader, (incidents, *all_incidents), question)?.into(),
        Section {
            chart: Some(Chart::Lanes(alerts::lanes(&facts.alerts))),
            table: alerts::rules_table(&facts.rules, question),
        },
        alerts::alerts_table(&facts.alerts, alerts, question).into(),
        unseen::unwatched_table(&facts.unwatched, limit).into(),
        unseen::gaps_table(&facts.gaps, limit).into(),
        unseen::tiers_table(&facts.tiers, limit).into(),
    ];
    sections.extend(fresh.into_iter().map(Section::from));
    sections.push(Section {
        chart: Some(Chart::Series(series::series(
            range,
            &facts.minutes,
            &facts.unwatched,
            &facts.gaps,
        ))),
        table: traffic_table(range, &facts.minutes),
    });
    sections.extend(rankings::rankings(&facts, limit));
    sections.push(services.into());
    // An empty table of countries says only that nobody told where addresses are.
    sections.retain(|section| !(section.table.rows.is_empty() && section.table.name == "countries"));
    Ok(Document {
        kind: "report",
        title: Said::new("Network activity of {0}", vec![Value::from(&question.source)]),
        source: question.source.clone(),
        range: Some(until_now(range, question.now)),
        made: question.now,
        version: question.version.clone(),
        worst,
        verdict,
        numbers,
        news,
        unseen,
        sections,
        method: method(&facts, question),
    })
}

fn whole(count: u64) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

fn ask(reader: &Reader, question: &Question) -> Result<Facts, StoreError> {
    let range = &question.range;
    let all = |limit: usize| Ask::all(range.clone(), limit);
    let extent = reader.extent()?;
    let runs = reader.runs(100_000)?;
    let is_replayed = runs.iter().any(|run| {
        run.is_of_files() && run.started < range.end && run.ended.unwrap_or(run.seen) >= range.start
    });
    let (gaps, all_gaps) = reader.gaps_within(range, GAPS)?;
    let traffic = reader.traffic(&all(usize::MAX))?;
    Ok(Facts {
        incidents: reader.incidents_within(range, question.limit)?,
        alerts: alerts(reader, range)?,
        rules: reader.alerts_by_rule(&all(1_000))?.rows,
        minutes: traffic.rows,
        ports: reader.top_ports(&all(question.limit))?.rows,
        programs: reader.top_programs(&all(RANKED))?.rows,
        addresses: reader.top_addresses(&all(RANKED.min(5_000)))?.rows,
        gaps,
        all_gaps,
        tiers: reader.tiers_within(range, 1_000)?,
        unwatched: unseen::unwatched(range, &runs, question.now),
        since: runs.iter().map(|run| run.started).min(),
        up_to: traffic.up_to,
        destinations: reader.destinations_within(range, false, 0)?.1,
        extent,
        is_replayed,
    })
}

/// The alerts that are looked at: the grave ones before the others, of each the newest.
fn alerts(reader: &Reader, range: &Range<Time>) -> Result<Vec<StoredAlert>, StoreError> {
    let query = |at_least, limit| AlertQuery {
        range: range.clone(),
        at_least,
        limit,
        ..AlertQuery::default()
    };
    let mut found = reader.alerts(&query(Severity::High, ALERTS))?;
    // Those are among all, so that so many more may be asked for.
    let all = reader.alerts(&query(Severity::Info, ALERTS))?;
    let mild = all
        .into_iter()
        .filter(|stored| stored.alert.finding.severity < Severity::High);
    found.extend(mild.take(ALERTS - found.len()));
    Ok(found)
}

/// Is it of no interest any more?
fn is_false(alert: &StoredAlert) -> bool {
    alert.verdict() == Some(atalaya_model::Verdict::FalsePositive)
}

/// The worst alert that nobody judged to be nothing, and the answer in words.
fn verdict(facts: &Facts, question: &Question, alerts: u64) -> (Option<Severity>, Said) {
    let range = &question.range;
    let real = || facts.alerts.iter().filter(|alert| !is_false(alert));
    let severity = |alert: &&StoredAlert| alert.alert.finding.severity;
    let worst = real().max_by_key(|alert| (severity(alert), alert.alert.finding.time));
    let watched = range.end.min(question.now).since(range.start).0 - unseen::length(&facts.unwatched).0;
    if watched <= 0 && facts.minutes.is_empty() && facts.alerts.is_empty() {
        return (
            None,
            Said::plain("Nothing is known of this time: nobody watched."),
        );
    }
    let Some(worst) = worst else {
        let said = match (alerts, facts.unwatched.is_empty()) {
            (0, true) => Said::plain("Nothing odd was seen."),
            (0, false) => Said::plain("Nothing odd was seen in the time that was watched."),
            _ => Said::plain("Every alert was judged to be nothing."),
        };
        return (None, said);
    };
    let finding = &worst.alert.finding;
    let grave = real().filter(|alert| severity(alert) >= Severity::High).count() as u64;
    let example = Value::from(sentence::render(finding, question.language, Part::Sentence));
    let said = match finding.severity {
        Severity::Critical | Severity::High if grave == 1 => {
            Said::new("One alert needs a look: {0}", vec![example])
        }
        Severity::Critical | Severity::High => Said::new(
            "{0} alerts of high or critical severity need a look; the worst: {1}",
            vec![whole(grave), example],
        ),
        Severity::Medium | Severity::Low => Said::new("Nothing urgent. The most unusual: {0}", vec![example]),
        Severity::Info => Said::plain("Nothing odd was seen but remarks."),
    };
    (Some(finding.severity), said)
}

const TRAFFIC: &[Column] = &[
    column("time", "Time", Shape::Time),
    column("connections", "Connections", Shape::Number),
    column("failed", "Failed", Shape::Number),
    column("received_bytes", "Received", Shape::Bytes),
    column("sent_bytes", "Sent", Shape::Bytes),
];

fn traffic_table(range: &Range<Time>, minutes: &[atalaya_store::MinuteTotal]) -> Table {
    let points = series::points(range, series::step(range, TIMES), minutes);
    let row = |point: Point| {
        vec![
            Some(Value::Time(point.start)),
            number(point.connections),
            number(point.failed),
            Some(Value::Bytes(point.received_bytes)),
            Some(Value::Bytes(point.sent_bytes)),
        ]
    };
    let points = points.into_iter().filter(|point| {
        point.connections + point.failed > 0 || point.sent_bytes.saturating_add(point.received_bytes) > 0
    });
    let rows: Vec<_> = points.map(row).collect();
    let total = rows.len() as u64;
    Table::new("traffic", "Traffic by time", TRAFFIC, rows, Some(total)).about(Said::plain(
        "Payload bytes, in the minute in which they were told; times without any are left out.",
    ))
}

/// What is new, as tables and as sentences for the summary; what listened before; and whether everything was compared.
fn fresh(
    reader: &Reader,
    question: &Question,
    facts: &Facts,
    news: &mut Vec<Said>,
) -> Result<(Vec<Table>, Table, bool), StoreError> {
    let (range, limit) = (&question.range, question.limit);
    let past = Time(i64::MIN)..range.end;
    let (known, all_known) = reader.executables_within(&past, news::MOST)?;
    let (now, before): (Vec<_>, Vec<_>) = known.into_iter().partition(|it| it.first_seen >= range.start);
    let (executables, changed) = news::compare(&before, &now);
    let (listeners, all_listeners) = reader.listeners_within(&past, news::MOST)?;
    let is_whole = all_listeners && all_known <= news::MOST as u64;
    let services = news::services(&listeners);
    let new_services: Vec<_> = services.iter().filter(|it| it.since >= range.start).collect();
    let lived = |it: &&news::Standing| it.newest.ended.is_none_or(|ended| ended >= range.start);
    let standing: Vec<_> = services
        .iter()
        .filter(|it| it.since < range.start)
        .filter(lived)
        .collect();
    let (destinations, all_destinations) = reader.destinations_within(range, true, limit)?;
    let mut say = |count: usize, what: &'static str, names: Vec<Value>| {
        let names = match names.len() < count {
            false => Value::List(names),
            // How many more there are is more than how many are at hand.
            true => {
                let first = names
                    .iter()
                    .take(3)
                    .map(|name| sentence::value(name, question.language));
                Value::from(first.chain(["…".to_owned()]).collect::<Vec<_>>().join(", "))
            }
        };
        if count > 0 {
            news.push(Said::new(what, vec![whole(count as u64), names]));
        }
    };
    let path = |it: &atalaya_store::Executable| text(it.path.as_ref().or(it.sha256.as_ref()));
    let changed_paths = changed.iter().filter_map(|it| path(&it.now));
    say(
        changed.len(),
        "Executables with another content than before: {0} ({1}).",
        changed_paths.collect(),
    );
    let paths = executables.iter().filter_map(path);
    say(
        executables.len(),
        "Executables never seen before: {0} ({1}).",
        paths.collect(),
    );
    let names = new_services.iter().map(|it| {
        let port = it.newest.local.port;
        Value::from(format!("{}/{port}", it.newest.transport.name()))
    });
    say(
        new_services.len(),
        "Listeners never seen before: {0} ({1}).",
        names.collect(),
    );
    let addresses = destinations.iter().map(|it| Value::Address(it.address.ip));
    say(
        usize::try_from(all_destinations).unwrap_or(usize::MAX),
        "Destinations never seen before: {0} ({1}).",
        addresses.collect(),
    );
    if news.is_empty() {
        news.push(Said::plain(
            "Nothing new: no executable, listener or destination that was not seen before.",
        ));
    }
    if let Some(since) = facts.since.filter(|since| *since > range.start) {
        let since = Said::new(
            "The history begins at {0}: whatever is older than that looks new, too.",
            vec![Value::Time(since)],
        );
        news.insert(0, since);
    }
    let tables = vec![
        news::changed_table(&changed, limit),
        news::executables_table(
            "new_executables",
            "Executables never seen before",
            &executables,
            limit,
        ),
        news::listeners_table(
            "new_listeners",
            "Listeners never seen before",
            new_services.iter().copied(),
            limit,
        ),
        news::destinations_table(
            "new_destinations",
            "Destinations never seen before",
            reader,
            (&destinations, all_destinations),
            limit,
        )?,
    ];
    let standing = news::listeners_table("listeners", "Other listeners", standing.iter().copied(), limit);
    Ok((tables, standing, is_whole))
}

fn method(facts: &Facts, question: &Question) -> Vec<(&'static str, Value)> {
    let mut method = vec![
        ("From", Value::Time(question.range.start)),
        ("Until", Value::Time(question.range.end.min(question.now))),
        ("Made at", Value::Time(question.now)),
        ("Program", Value::from(format!("atalaya {}", question.version))),
    ];
    method.extend(facts.since.map(|since| ("History since", Value::Time(since))));
    method.extend(facts.up_to.map(|up_to| ("Sums up to", Value::Time(up_to))));
    method.push(("Rows of a table", whole(question.limit as u64)));
    method.extend(question.method.iter().cloned());
    method
}
