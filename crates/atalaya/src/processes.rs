//! `atalaya processes`: who uses the network, who used it, and who started whom.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use atalaya_format::escape;
use atalaya_host::clock;
use atalaya_host::collector::Options as CollectorOptions;
use atalaya_host::identity::Identity;
use atalaya_model::fields::Record;
use atalaya_model::filter::Expression;
use atalaya_model::live::{Live, Page, Query, Request, Response, Rows};
use atalaya_model::{Process, ProcessKey, ProcessUse, Span, Text, TierReport, Time, Usage};
use atalaya_report::processes::{
    Order, Processes, Source, TextOptions, sort, write_csv, write_json, write_text,
};
use atalaya_store::{Reader, StoreError, UseQuery};

use crate::alerts::{failed, path, watcher};
use crate::cli::{ProcessOrder, ProcessesArgs, TableOutput, TierChoice};
use crate::config::load::Loaded;
use crate::control::client::Client;
use crate::exit::{Exit, Failure};
use crate::setup::{self, context};
use crate::terminal::{Terminal, ignore_closed_pipe};

/// Of what time ended connections count when nobody says.
const RECENT: Span = Span::from_seconds(86_400);
/// Rows that the watcher is asked for at once: far below the longest message.
const PAGE: usize = 2_000;
/// Rows that are taken from a watcher at most; it cannot have so many processes.
const MAX_ROWS: usize = 4 << 20;

/// What was found.
struct Found {
    rows: Vec<ProcessUse>,
    source: Source,
    not_seen: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// A wrong filter or time, a store or watcher that cannot be used, or a host that cannot be observed.
pub fn run(
    args: &ProcessesArgs,
    loaded: Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    if args.output != TableOutput::Text && (args.tree || args.verbose) {
        let flag = if args.tree { "--tree" } else { "--verbose" };
        return Err(Failure::Usage(format!(
            "{flag} is for text; JSON and CSV name each process's parent, and everything else"
        )));
    }
    let text = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(text).map_err(|error| Failure::Usage(error.to_string()))?;
    let now = clock::now();
    let range = range(args, now)?;
    let mut found = match args.past || args.since.is_some() || args.until.is_some() {
        true => stored(args, &loaded, filter, range)?,
        false => living(args, loaded, text, filter, range)?,
    };
    sort(&mut found.rows, order(args.sort));
    let total = found.rows.len();
    if args.limit > 0 {
        found.rows.truncate(args.limit);
    }
    let processes = Processes {
        rows: &found.rows,
        total,
        now,
        source: found.source,
        idle: args.all,
        filtered: args.filter.is_some(),
        not_seen: &found.not_seen,
    };
    let language = setup::language(args.store.common.lang);
    let written = match args.output {
        TableOutput::Text => {
            let options = TextOptions {
                colour: terminal.colour,
                language,
                width: terminal.width,
                tree: args.tree,
                verbose: args.verbose,
            };
            write_text(&processes, &options, out)
        }
        TableOutput::Json => write_json(&processes, &context(&Identity::of_host(), language), out),
        TableOutput::Csv => write_csv(&processes, out),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}

/// The time that is asked for: the last day, where nothing else is said.
fn range(args: &ProcessesArgs, now: Time) -> Result<Range<Time>, Failure> {
    let until = args.until.map_or(Time(i64::MAX), |until| until.at(now));
    let recent = until.min(now).after(Span(-RECENT.0));
    let since = args.since.map_or(recent, |since| since.at(now));
    if since >= until {
        return Err(Failure::Usage(format!(
            "--since ({}) is not before --until ({})",
            since.local(),
            until.local()
        )));
    }
    Ok(since..until)
}

const fn order(choice: ProcessOrder) -> Order {
    match choice {
        ProcessOrder::Pid => Order::Pid,
        ProcessOrder::Name => Order::Name,
        ProcessOrder::User => Order::User,
        ProcessOrder::Connections => Order::Connections,
        ProcessOrder::Bytes => Order::Bytes,
        ProcessOrder::Sent => Order::Sent,
        ProcessOrder::Received => Order::Received,
        ProcessOrder::Started => Order::Started,
        ProcessOrder::Last => Order::Last,
    }
}

/// What the store has of this time.
fn stored(
    args: &ProcessesArgs,
    loaded: &Loaded,
    filter: Expression,
    range: Range<Time>,
) -> Result<Found, Failure> {
    let reader = Reader::open(&path(&args.store, loaded)).map_err(failed)?;
    let query = UseQuery {
        range: range.clone(),
        filter,
        ended_only: false,
        idle: args.all,
    };
    let mut rows = reader.uses(&query).map_err(failed)?;
    if args.past {
        let present = Identity::of_host().boot;
        rows.retain(|row| row.process.ended.is_some() || row.boot != present);
    }
    Ok(Found {
        rows,
        source: Source::Store(range),
        not_seen: Vec::new(),
    })
}

/// What lives now, with what the store knows of it.
fn living(
    args: &ProcessesArgs,
    loaded: Loaded,
    text: &str,
    filter: Expression,
    range: Range<Time>,
) -> Result<Found, Failure> {
    let past = UseQuery {
        range,
        filter: filter.clone(),
        ended_only: true,
        idle: false,
    };
    let ended = ended(args, &loaded, &past);
    let mut found = match watcher(&args.store, &loaded)? {
        Some(client) => watched(client, text, args.all)?,
        None => looked(args, loaded, &filter)?,
    };
    if let Some(why) = ended.as_ref().err() {
        found.not_seen.push(format!("connections that have ended: {why}"));
    }
    add(&mut found.rows, ended.unwrap_or_default());
    Ok(found)
}

/// What ended connections the store knows, by process of this boot; why none, where there is a store.
fn ended(
    args: &ProcessesArgs,
    loaded: &Loaded,
    query: &UseQuery,
) -> Result<HashMap<ProcessKey, Usage>, StoreError> {
    let reader = match Reader::open(&path(&args.store, loaded)) {
        Err(StoreError::Missing { .. }) if args.store.store.is_none() => return Ok(HashMap::new()),
        reader => reader?,
    };
    let present = Identity::of_host().boot;
    let uses = reader.uses(query)?.into_iter();
    Ok(uses
        .filter(|row| row.boot == present)
        .map(|row| (row.process.key, row.usage))
        .collect())
}

/// Adds ended connections to the processes that live.
fn add(rows: &mut [ProcessUse], mut ended: HashMap<ProcessKey, Usage>) {
    for row in rows {
        if let Some(mut usage) = ended.remove(&row.process.key) {
            // Listeners that are gone are none.
            usage.listening = 0;
            usage.listeners.clear();
            row.usage.merge(&usage);
        }
    }
}

/// What a running watcher sees.
fn watched(mut client: Client, filter: &str, all: bool) -> Result<Found, Failure> {
    let status = match ask(&mut client, Request::Status)? {
        Response::Status(status) => status,
        other => return Err(unexpected(other)),
    };
    let mut rows = pages(&mut client, Rows::Uses, filter, |response| match response {
        Response::Uses(page) => Ok(page),
        other => Err(other),
    })?;
    if all {
        let processes: Vec<Arc<Process>> =
            pages(&mut client, Rows::Processes, filter, |response| match response {
                Response::Processes(page) => Ok(page),
                other => Err(other),
            })?;
        rows = with_idle(rows, processes);
    }
    Ok(Found {
        rows,
        source: Source::Watcher { pid: status.pid },
        not_seen: limits(&status.tier, &[]),
    })
}

/// Every page of a list.
fn pages<T>(
    client: &mut Client,
    what: Rows,
    filter: &str,
    page: impl Fn(Response) -> Result<Page<T>, Response>,
) -> Result<Vec<T>, Failure> {
    let mut rows = Vec::new();
    while rows.len() < MAX_ROWS {
        let query = Query {
            what,
            filter: filter.into(),
            offset: rows.len(),
            limit: PAGE,
        };
        let page = page(ask(client, Request::Query(query))?).map_err(unexpected)?;
        let last = page.rows.len() < PAGE;
        rows.extend(page.rows);
        if last {
            break;
        }
    }
    Ok(rows)
}

fn ask(client: &mut Client, request: Request) -> Result<Response, Failure> {
    client
        .ask(request)
        .map_err(|error| Failure::Failed(format!("the watcher does not answer: {error}")))
}

fn unexpected(response: Response) -> Failure {
    Failure::Failed(match response {
        Response::Refused(why) => escape::text(&why).into_owned(),
        _ => "the watcher gave an answer to another question".to_owned(),
    })
}

/// What one look of our own sees.
fn looked(args: &ProcessesArgs, loaded: Loaded, filter: &Expression) -> Result<Found, Failure> {
    let options = CollectorOptions {
        every_process: args.all,
        hash: args.hashes,
        packages: args.hashes,
        ..CollectorOptions::single_look()
    };
    let look = crate::snapshot::take_as(loaded, TierChoice::Auto, options, &[])?;
    let tracker = look.engine.tracker();
    let mut rows = tracker.uses(&|record| filter.matches(record));
    if args.all {
        let processes = tracker.processes().cloned();
        rows = with_idle(
            rows,
            processes.filter(|process| filter.matches(&Record::Process(process))),
        );
    }
    Ok(Found {
        rows,
        source: Source::Look,
        not_seen: limits(&look.tier, &look.unread),
    })
}

/// The rows, and then the processes that are not among them.
fn with_idle(
    mut rows: Vec<ProcessUse>,
    processes: impl IntoIterator<Item = Arc<Process>>,
) -> Vec<ProcessUse> {
    let known: std::collections::HashSet<ProcessKey> = rows.iter().map(|row| row.process.key).collect();
    let idle = processes
        .into_iter()
        .filter(|process| !known.contains(&process.key));
    rows.extend(idle.map(|process| ProcessUse {
        process,
        boot: None,
        usage: Usage::default(),
    }));
    rows
}

/// What keeps processes or their connections from being seen.
fn limits(tier: &TierReport, unread: &[(Text, u32)]) -> Vec<String> {
    let limits = tier.limits.iter().map(|limit| {
        if limit.remedy.is_empty() {
            limit.what.to_string()
        } else {
            format!("{} (to change that: {})", limit.what, limit.remedy)
        }
    });
    let unread = unread
        .iter()
        .map(|(why, count)| format!("descriptors of {count} processes: {why}"));
    limits.chain(unread).collect()
}
