//! `atalaya alerts`: list, show, acknowledge, close.

use std::io::Write;
use std::path::PathBuf;

use atalaya_format::sentence::{self, Part};
use atalaya_format::text::{self, Style};
use atalaya_format::{csv, ecs, escape};
use atalaya_host::clock;
use atalaya_host::identity::Identity;
use atalaya_model::fields::{Kind, Record};
use atalaya_model::live::{Live as _, Request, Response, Triage};
use atalaya_model::{AlertRecord, Severity, Span, Text, Time, Verdict};
use atalaya_store::{AlertQuery, Entry, Options as StoreOptions, Reader, StoreError, StoredAlert, Writer};

use crate::cli::{AlertArgs, AlertsArgs, AlertsListArgs, AlertsVerb, Output, StoreArgs, TableOutput};
use crate::config::load::Loaded;
use crate::control::client::Client;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::setup::{self, VERSION, context};
use crate::terminal::{Terminal, ignore_closed_pipe};

/// Runs the verb.
///
/// # Errors
/// No store, no such alert, or nobody who may write.
pub fn run(
    args: &AlertsArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    match &args.verb {
        AlertsVerb::List(args) => list(args, loaded, terminal, out),
        AlertsVerb::Show(args) => show(args, loaded, terminal, out),
        AlertsVerb::Ack(args) => triage(args, None, loaded, out),
        AlertsVerb::Close { alert, verdict } => triage(alert, Some(*verdict), loaded, out),
        AlertsVerb::Silence {
            store,
            rule,
            key,
            span,
        } => {
            if atalaya_detect::registry::find(rule).is_none() {
                return Err(Failure::Usage(format!(
                    "there is no rule `{rule}`; `atalaya rules` lists them"
                )));
            }
            let (rule, key) = (rule.as_str().into(), key.as_str().into());
            let client = watcher(store, loaded)?.ok_or_else(|| {
                Failure::Failed(
                    "no watcher runs here; a lasting exception is an `[[allow]]` entry".to_owned(),
                )
            })?;
            let said = ask(
                client,
                Request::Silence {
                    rule,
                    key,
                    span: *span,
                },
            )?;
            ignore_closed_pipe(writeln!(out, "{said}"))?;
            Ok(Exit::Clean)
        }
    }
}

/// What a person said, as a row.
pub fn record(triage: Triage, by: Text, time: Time) -> AlertRecord {
    let Triage { alert, verdict, note } = triage;
    let note = note.map(|note| note.chars().take(4_096).collect::<String>().into());
    match verdict {
        Some(verdict) => AlertRecord::Closed {
            alert,
            time,
            by,
            verdict,
            note,
        },
        None => AlertRecord::Acknowledged {
            alert,
            time,
            by,
            note,
        },
    }
}

pub(crate) fn path(args: &StoreArgs, loaded: &Loaded) -> PathBuf {
    crate::keeper::path(args.store.as_deref(), loaded, &Places::of_this_user())
}

pub(crate) fn failed(error: StoreError) -> Failure {
    Failure::Failed(format!("cannot use the store: {error}"))
}

fn list(
    args: &AlertsListArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let filter = args.filter.as_deref().unwrap_or("");
    let filter = atalaya_model::filter::parse(filter).map_err(|error| Failure::Usage(error.to_string()))?;
    let reader = Reader::open(&path(&args.store, loaded)).map_err(failed)?;
    let from = args
        .last
        .map_or(Time(i64::MIN), |last| clock::now().after(Span(-last.0)));
    let query = AlertQuery {
        range: from..Time(i64::MAX),
        filter,
        at_least: args.severity.unwrap_or(Severity::Info),
        open: args.open,
        offset: 0,
        limit: args.limit,
    };
    let alerts = reader.alerts(&query).map_err(failed)?;
    let language = setup::language(args.store.common.lang);
    let written = match args.output {
        TableOutput::Text => write_list(
            &alerts,
            Style {
                colour: terminal.colour,
                language,
            },
            out,
        ),
        TableOutput::Json => {
            let context = context(&Identity::of_host(), language);
            alerts.iter().try_for_each(|alert| {
                let line = json(alert, &context)?;
                writeln!(out, "{line}")
            })
        }
        TableOutput::Csv => csv::Table::new(&mut *out, Kind::Alert).and_then(|mut table| {
            alerts
                .iter()
                .try_for_each(|stored| table.write(&Record::Alert(&stored.alert)))?;
            table.flush()
        }),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}

fn write_list(alerts: &[StoredAlert], style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    if alerts.is_empty() {
        return writeln!(out, "no alerts");
    }
    for stored in alerts {
        let finding = &stored.alert.finding;
        let sentence = sentence::render(finding, style.language, Part::Sentence);
        writeln!(
            out,
            "{}  {}  {}  {}  {}  {}",
            stored.alert.id,
            finding.time.local(),
            text::severity(finding.severity, style),
            state(stored),
            finding.rule,
            escape::text(&sentence),
        )?;
    }
    Ok(())
}

/// What became of an alert: `open ×3`, `seen`, `true-positive`.
fn state(stored: &StoredAlert) -> String {
    let state = match stored.verdict() {
        Some(verdict) => verdict.name(),
        None if stored.acknowledgements.is_empty() => "open",
        None => "seen",
    };
    if stored.count > 1 {
        format!("{state} ×{}", stored.count)
    } else {
        state.to_owned()
    }
}

/// The alert's ECS record with what was said of it.
fn json(stored: &StoredAlert, context: &ecs::Context) -> Result<serde_json::Value, serde_json::Error> {
    let mut text = String::new();
    ecs::record(&mut text, Record::Alert(&stored.alert), context);
    let mut value: serde_json::Value = serde_json::from_str(&text)?;
    let said = |said: &atalaya_store::Said, verdict: Option<Verdict>| {
        serde_json::json!({
            "time": said.time.rfc3339(), "by": &*said.by, "note": said.note.as_deref(),
            "verdict": verdict.map(Verdict::name),
        })
    };
    let triage = serde_json::json!({
        "count": stored.count,
        "last": stored.last_time.rfc3339(),
        "verdict": stored.verdict().map(Verdict::name),
        "acknowledgements": stored.acknowledgements.iter().map(|s| said(s, None)).collect::<Vec<_>>(),
        "verdicts": stored.verdicts.iter().map(|(v, s)| said(s, Some(*v))).collect::<Vec<_>>(),
    });
    if let Some(object) = value.as_object_mut() {
        object.insert("triage".to_owned(), triage);
    }
    Ok(value)
}

fn find(args: &AlertArgs, loaded: &Loaded) -> Result<StoredAlert, Failure> {
    let reader = Reader::open(&path(&args.store, loaded)).map_err(failed)?;
    reader.alert(args.id).map_err(failed)?.ok_or_else(|| {
        Failure::Usage(format!(
            "there is no alert {}; `atalaya alerts list` shows their ids",
            args.id
        ))
    })
}

fn show(
    args: &AlertArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let stored = find(args, loaded)?;
    let language = setup::language(args.store.common.lang);
    let written = match args.output {
        Output::Json => json(&stored, &context(&Identity::of_host(), language))
            .map_err(std::io::Error::from)
            .and_then(|value| writeln!(out, "{value:#}")),
        Output::Text => write_one(
            &stored,
            Style {
                colour: terminal.colour,
                language,
            },
            out,
        ),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}

fn write_one(stored: &StoredAlert, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let alert = &stored.alert;
    let line = text::alert_line(&AlertRecord::Raised(Box::new(alert.clone())), style);
    writeln!(out, "{}  {}", alert.finding.time.local(), line)?;
    write!(out, "{}", text::details(alert, style))?;
    writeln!(out, "  {}; last {}", state(stored), stored.last_time.local())?;
    let said = stored.acknowledgements.iter().map(|said| ("seen", said));
    let decided = stored
        .verdicts
        .iter()
        .map(|(verdict, said)| (verdict.name(), said));
    for (what, said) in said.chain(decided) {
        let note = said.note.as_deref().unwrap_or("");
        writeln!(
            out,
            "  {} {what} by {}  {}",
            said.time.local(),
            escape::text(&said.by),
            escape::text(note)
        )?;
    }
    Ok(())
}

fn triage(
    args: &AlertArgs,
    verdict: Option<Verdict>,
    loaded: &Loaded,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let store = path(&args.store, loaded);
    let triage = Triage {
        alert: args.id,
        verdict,
        note: args.note.as_deref().map(Text::from),
    };
    match watcher(&args.store, loaded)? {
        Some(client) => {
            ask(client, Request::Triage(triage))?;
        }
        None => {
            find(args, loaded)?;
            let identity = Identity::of_host();
            let boot = identity.boot.unwrap_or_else(|| "unknown".into());
            let now = clock::now();
            let mut writer = Writer::open(&store, &StoreOptions::new(boot, VERSION, now)).map_err(failed)?;
            let user = atalaya_host::linux::users::Users::default()
                .name(own_id())
                .unwrap_or_else(|| format!("uid {}", own_id()).into());
            writer
                .write(&[Entry::Alert(record(triage, user, now))])
                .map_err(failed)?;
            writer.close(clock::now()).map_err(failed)?;
        }
    }
    let said = verdict.map_or("acknowledged", Verdict::name);
    ignore_closed_pipe(writeln!(out, "alert {}: {said}", args.id))?;
    Ok(Exit::Clean)
}

/// The running watcher, if there is one.
pub(crate) fn watcher(args: &StoreArgs, loaded: &Loaded) -> Result<Option<Client>, Failure> {
    let socket = args
        .socket
        .clone()
        .or_else(|| loaded.config.control.socket.clone());
    let socket = socket.unwrap_or_else(|| Places::of_this_user().socket_for(Some(&path(args, loaded))));
    Client::connect(&socket).map_err(|error| {
        Failure::Failed(format!(
            "cannot use the control socket {}: {error}",
            socket.display()
        ))
    })
}

/// Asks the watcher to do something, and gives what it says of it.
fn ask(mut client: Client, request: Request) -> Result<String, Failure> {
    match client.ask(request) {
        Ok(Response::Done(said)) => Ok(escape::text(&said).into_owned()),
        Ok(Response::Refused(why)) => Err(Failure::Usage(escape::text(&why).into_owned())),
        Ok(_) => Err(Failure::Failed(
            "the watcher gave an answer to another question".to_owned(),
        )),
        Err(error) => Err(Failure::Failed(format!("the watcher did not take it: {error}"))),
    }
}

fn own_id() -> u32 {
    atalaya_host::privileges::Privileges::own().user_id
}
