//! `atalaya query`: questions in SQL, typed, read from standard input, or saved.

mod saved;

use std::io::{Read as _, Write};
use std::path::Path;
use std::time::Duration;

use atalaya_format::numbers;
use atalaya_host::clock::{self, Deadline};
use atalaya_model::Span;
use atalaya_report::query::{
    TextOptions, write_csv, write_json, write_jsonl, write_list, write_list_json, write_schema,
    write_schema_json, write_text,
};
use atalaya_store::View;
use atalaya_store::console::{Answer, Console, ConsoleOptions, Cut, Question, Refusal, SavedQuestion};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::alerts::failed;
use crate::cli::{QueryArgs, QueryOutput};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::talk;
use crate::terminal::{Terminal, ignore_closed_pipe};

/// Memory that SQLite may use, in bytes. This process does nothing else with it.
const MEMORY: u64 = 256 << 20;
/// Bytes of an answer, at most.
const ANSWER: usize = 64 << 20;
/// Longest statement that is read, in bytes; the console takes less and says so.
const STATEMENT: u64 = 128 << 10;
/// How much longer than its time a question may take, within one step of SQLite that cannot be stopped.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the verb.
///
/// # Errors
/// A statement that is wrong or not allowed, a database that cannot be read, an answer that took too long.
pub fn run(
    args: &QueryArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let places = Places::of_this_user();
    let folder = saved::folder(loaded, &places);
    if args.list {
        return list(args, &folder, out);
    }
    if args.schema {
        return print_schema(args, out);
    }
    let store = crate::keeper::path(args.database.store.as_deref(), loaded, &places);
    let (question, given) = match &args.saved {
        Some(name) => (saved::find(&folder, name)?, &args.words[..]),
        None => typed(&args.words)?,
    };
    let values = question.values(&values(given)?);
    if let Some(name) = &args.save {
        return save(name, &question, &store, &folder, out);
    }
    ask(args, &question.sql, &values, &store, terminal, out).map_err(|failure| match &args.saved {
        Some(name) => saved::of(&folder, name, failure),
        None => failure,
    })
}

/// The statement that was typed, and the words after it.
fn typed(words: &[String]) -> Result<(SavedQuestion, &[String]), Failure> {
    let Some((statement, given)) = words.split_first() else {
        return Err(Failure::Usage(
            "nothing is asked; write a `SELECT`, or see `atalaya query --list` and `--schema`".to_owned(),
        ));
    };
    let text = if statement == "-" {
        let mut text = Vec::new();
        std::io::stdin()
            .take(STATEMENT)
            .read_to_end(&mut text)
            .map_err(|error| {
                Failure::Failed(format!("cannot read the statement from standard input: {error}"))
            })?;
        match String::from_utf8(text) {
            Ok(text) => text,
            // What is longer than is read may end within a letter, and is refused for its length.
            Err(error) if error.utf8_error().error_len().is_none() => {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
            Err(error) => {
                let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count();
                return Err(Failure::Usage(format!(
                    "the statement is not UTF-8, in line {line}; save it as UTF-8"
                )));
            }
        }
    } else {
        statement.clone()
    };
    Ok((SavedQuestion::read("", &text), given))
}

/// Reads `name=value`.
fn values(words: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let value = |word: &String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim_start_matches(':').to_owned(), value.to_owned()))
        }
        _ => Err(Failure::Usage(format!(
            "`{word}` is no value of a parameter; write `name=value`, and put the whole statement in quotes"
        ))),
    };
    words.iter().map(value).collect()
}

fn open(store: &Path) -> Result<Console, Failure> {
    let options = ConsoleOptions {
        now: clock::now(),
        human_bytes: numbers::bytes,
        memory: Some(MEMORY),
    };
    Console::open(store, options).map_err(failed)
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Store(error) => failed(error),
        refusal if refusal.is_mistake() => Failure::Usage(refusal.to_string()),
        refusal => Failure::Failed(format!("no answer: {refusal}")),
    }
}

fn ask(
    args: &QueryArgs,
    sql: &str,
    values: &[(String, String)],
    store: &Path,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut console = open(store)?;
    let question = Question {
        sql,
        values,
        rows: if args.limit == 0 { usize::MAX } else { args.limit },
        bytes: ANSWER,
    };
    let deadline = Deadline::after(args.timeout);
    let watchdog = watchdog(args.timeout)?;
    let answer = console
        .ask(&question, move || deadline.left().is_none())
        .map_err(refused)?;
    drop(watchdog);
    ignore_closed_pipe(write(args.output, &answer, terminal, out))?;
    match answer.cut {
        None => Ok(Exit::Clean),
        Some(Cut::Rows) => {
            tracing::warn!(
                "these are the first {} rows; `--limit 0` gives all",
                answer.rows.len()
            );
            Ok(Exit::Clean)
        }
        Some(cut) => Err(Failure::Failed(stopped(cut, args.timeout, answer.rows.len()))),
    }
}

fn stopped(cut: Cut, timeout: Span, rows: usize) -> String {
    let why = match cut {
        Cut::Time => format!("stopped after {timeout}; `--timeout` allows more"),
        Cut::Memory => format!("stopped: it needs more than {} of memory", numbers::bytes(MEMORY)),
        Cut::Bytes | Cut::Rows => format!(
            "stopped: the answer is longer than {}",
            numbers::bytes(ANSWER as u64)
        ),
    };
    format!(
        "{why}; {rows} rows were found until then\nhint: a range of ids, such as `id >= id_at(ago('1h'))`, makes it \
         search less"
    )
}

/// Ends the program when a question outlives its time: SQLite looks at the clock between its steps only, and sorts within
/// one. Nothing is lost, because nothing is written. Dropping the sender ends the watch.
fn watchdog(timeout: Span) -> Result<Sender<()>, Failure> {
    let (sender, receiver) = bounded::<()>(0);
    let patience = Duration::from_micros(timeout.0.unsigned_abs()).saturating_add(GRACE);
    std::thread::Builder::new()
        .name("deadline".into())
        .spawn(move || {
            if receiver.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                talk::failure(&Failure::Failed(stopped(Cut::Time, timeout, 0)));
                std::process::exit(Exit::Failed as i32);
            }
        })
        .map_err(|error| Failure::Failed(format!("cannot start a thread: {error}")))?;
    Ok(sender)
}

fn write(
    output: QueryOutput,
    answer: &Answer,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match output {
        QueryOutput::Text => {
            let options = TextOptions {
                colour: terminal.colour,
                width: terminal.width,
            };
            write_text(answer, &options, out)
        }
        QueryOutput::Json => write_json(answer, out),
        QueryOutput::Jsonl => write_jsonl(answer, out),
        QueryOutput::Csv => write_csv(answer, out),
    }
}

fn save(
    name: &str,
    question: &SavedQuestion,
    store: &Path,
    folder: &Path,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    // What would not be answered is not kept.
    let parameters = open(store)?.parameters(&question.sql).map_err(refused)?;
    let path = saved::keep(folder, name, &question.sql)?;
    let parameters: String = parameters.iter().map(|name| format!(" {name}=…")).collect();
    ignore_closed_pipe(writeln!(
        out,
        "wrote {}; ask it with `atalaya query --saved {name}{parameters}`",
        path.display()
    ))?;
    Ok(Exit::Clean)
}

fn list(args: &QueryArgs, folder: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let questions = saved::all(folder)?;
    ignore_closed_pipe(match args.output {
        QueryOutput::Text => write_list(&questions, out),
        QueryOutput::Jsonl => write_list_json(&questions, out),
        QueryOutput::Json | QueryOutput::Csv => return Err(text_or_lines("--list")),
    })?;
    Ok(Exit::Clean)
}

fn print_schema(args: &QueryArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let all = atalaya_store::views();
    let mut views: Vec<View> = Vec::new();
    for name in &args.words {
        match all.iter().find(|view| view.name == name) {
            Some(view) => views.push(view.clone()),
            None => {
                let names: Vec<_> = all.iter().map(|view| view.name).collect();
                return Err(Failure::Usage(format!(
                    "there is no view `{name}`; there are: {}",
                    names.join(", ")
                )));
            }
        }
    }
    let functions = views.is_empty();
    let views = if functions { all } else { views };
    ignore_closed_pipe(match args.output {
        QueryOutput::Text => write_schema(&views, functions, out),
        QueryOutput::Jsonl => write_schema_json(&views, functions, out),
        QueryOutput::Json | QueryOutput::Csv => return Err(text_or_lines("--schema")),
    })?;
    Ok(Exit::Clean)
}

fn text_or_lines(flag: &str) -> Failure {
    Failure::Usage(format!("{flag} is written as `text` or `jsonl`"))
}
