//! What a long history costs: `cargo run --release -p atalaya-store --example history -- COMMAND DATABASE …`.
//!
//! `fill DATABASE [CONNECTIONS [BATCH]]` makes a week of a host and says what writing it cost. `more` goes on with it.
//! `panels DATABASE [ROUNDS]` asks every panel. `filters DATABASE` asks them under filters. `live DATABASE [RATE [ROUNDS]]` asks while a writer goes on
//! at so many connections a second, and then lets it drop the first day. `sizes DATABASE` says where the bytes are,
//! `export DATABASE FILE` writes every connection as CSV.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod world;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use atalaya_model::fields::Kind;
use atalaya_model::filter::{Expression, parse};
use atalaya_model::{Span, Time};
use atalaya_store::{Ask, Entry, Options, Reader, Retention, Searched, Writer};
use rusqlite::types::ValueRef;
use world::{START, World};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Nanoseconds that this thread has run.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// A number of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// Opens with the cache that is measured.
fn open(path: &Path, now: Time) -> Result<Writer> {
    let mut options = Options::new("boot", "bench", now);
    options.cache_bytes = CACHE;
    Ok(Writer::open(path, &options)?)
}

/// What some calls took, in CPU and wall time.
#[derive(Default)]
struct Cost {
    cpu: u64,
    walls: Vec<u64>,
}

impl Cost {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (before, begun) = (cpu(), clock());
        let done = work();
        self.walls.push(clock() - begun);
        self.cpu += cpu() - before;
        done
    }

    /// Milliseconds that so many hundredths of the calls stayed under.
    fn percentile(&mut self, hundredths: usize) -> f64 {
        self.walls.sort_unstable();
        let place = (self.walls.len() * hundredths / 100).min(self.walls.len().saturating_sub(1));
        self.walls.get(place).map_or(0.0, |wall| *wall as f64 / 1e6)
    }
}

fn fill(path: &Path, count: u64, batch: u64) -> Result<()> {
    write(path, World::new(count), count, batch)
}

/// The same host goes on, at the pace of ten million a week.
fn more(path: &Path, count: u64, batch: u64) -> Result<()> {
    let mut cost = Cost::default();
    drop(cost.of(|| open(path, START))?);
    println!(
        "opened in {:.1} s; peak memory {} KiB",
        cost.percentile(100) / 1e3,
        status("VmHWM")
    );
    let now = Reader::open(path)?.runs(1)?.first().map_or(START, |run| run.seen);
    write(path, World::at(now, 16.5), count, batch)
}

fn write(path: &Path, mut world: World, count: u64, batch: u64) -> Result<()> {
    let mut writer = open(path, world.now())?;
    let mut cost = Cost::default();
    let mut keeping = Cost::default();
    let (mut rows, mut events) = (0, 0);
    let begun = clock();
    while world.number() < count {
        let mut entries: Vec<_> = world.tell(batch).into_iter().map(Entry::Event).collect();
        entries.extend((0..batch / 5_000).map(|place| world.alert(place)));
        events += entries.len();
        rows += cost.of(|| writer.write(&entries))?.rows;
        // What the keeper does once a minute; 300,000 connections a minute are 5,000 a second.
        let policy = Retention::new(0, 0, world.now());
        keeping.of(|| -> Result<()> {
            while writer.retain(policy, 2_000)?.more {}
            if world.number() / 300_000 > (world.number() - batch) / 300_000 {
                writer.checkpoint()?;
            }
            Ok(())
        })?;
    }
    let number = world.number();
    let spent = (cost.cpu + keeping.cpu) as f64 / 1e9;
    println!(
        "{number} connections, {events} events, {rows} rows written, in batches of {batch}: {spent:.1} CPU s of the \
         writer with sums, retention and checkpoints, {:.0} connections a CPU s; {:.0} a second with the generator; a \
         batch takes {:.0} ms, the longest {:.0}",
        number as f64 / spent,
        number as f64 / ((clock() - begun) as f64 / 1e9),
        cost.percentile(50),
        cost.percentile(100),
    );
    writer.close(world.now())?;
    let peak = status("VmHWM");
    println!("peak memory {peak} KiB, the generator's included");
    sizes(path, number)
}

/// Bytes a connection, by table.
fn sizes(path: &Path, number: u64) -> Result<()> {
    let sizes = Reader::open(path)?.sizes()?;
    let all: u64 = sizes.iter().map(|size| size.bytes + size.index_bytes).sum();
    println!("{:.1} bytes a connection:", all as f64 / number as f64);
    for size in sizes
        .iter()
        .filter(|size| size.bytes + size.index_bytes > number / 20)
    {
        println!(
            "  {:<20} {:>10} rows {:>6.2} + {:.2} in indexes",
            size.table,
            size.rows,
            size.bytes as f64 / number as f64,
            size.index_bytes as f64 / number as f64
        );
    }
    Ok(())
}

/// Every panel, asked again and again.
fn panels(path: &Path, rounds: usize, pause: Duration) -> Result<()> {
    let reader = Reader::open(path)?;
    let end = reader.runs(1)?.first().map_or(START, |run| run.seen);
    let day = Ask::all(end.after(Span::from_seconds(-86_400))..Time(i64::MAX / 2), 100);
    let busy = reader.top_addresses(&day)?.rows;
    let busy: Vec<_> = busy.iter().map(|row| row.address.ip).collect();
    let place = std::cell::Cell::new(0);
    let next = || {
        place.set(place.get() + 1);
        busy[place.get() * 7 % busy.len().max(1)]
    };
    let ever = Ask::all(Time(0)..Time(i64::MAX / 2), 500);
    type Panel<'a> = (&'a str, Box<dyn Fn() -> Result<usize> + 'a>);
    let panels: [Panel<'_>; 9] = [
        (
            "top addresses, 24 h",
            Box::new(|| Ok(reader.top_addresses(&day)?.rows.len())),
        ),
        (
            "top programs, 24 h",
            Box::new(|| Ok(reader.top_programs(&day)?.rows.len())),
        ),
        (
            "top ports, 24 h",
            Box::new(|| Ok(reader.top_ports(&day)?.rows.len())),
        ),
        (
            "bytes a minute, 24 h",
            Box::new(|| {
                Ok(reader
                    .traffic(&Ask {
                        limit: 1_440,
                        ..copy(&day)
                    })?
                    .rows
                    .len())
            }),
        ),
        (
            "addresses by program",
            Box::new(|| Ok(reader.reach(&day)?.rows.len())),
        ),
        (
            "rare destinations",
            Box::new(|| Ok(reader.rare_destinations(2, &day)?.rows.len())),
        ),
        (
            "an address, newest 500",
            Box::new(|| Ok(reader.address_history(next(), &ever)?.newest.len())),
        ),
        (
            "alerts by rule",
            Box::new(|| Ok(reader.alerts_by_rule(&day)?.rows.len())),
        ),
        (
            "process tree",
            Box::new(|| Ok(reader.process_totals(&day)?.rows.len())),
        ),
    ];
    for (name, panel) in &panels {
        let mut cost = Cost::default();
        let mut rows = 0;
        for _ in 0..rounds {
            rows = cost.of(panel)?;
            std::thread::sleep(pause);
        }
        println!(
            "  {name:<24} {rows:>5} rows: median {:>7.2} ms, p99 {:>7.2} ms, {:>6.2} ms CPU",
            cost.percentile(50),
            cost.percentile(99),
            cost.cpu as f64 / 1e6 / cost.walls.len() as f64
        );
    }
    Ok(())
}

fn copy(ask: &Ask<'_>) -> Ask<'static> {
    Ask::all(ask.range.clone(), ask.limit)
}

/// The panels under three filters, with two seconds for each.
fn filters(path: &Path) -> Result<()> {
    let reader = Reader::open(path)?;
    let end = reader.runs(1)?.first().map_or(START, |run| run.seen);
    for text in [
        "dst:11.0.0.0/8 dport:443",
        "exe:*daemon-7* bytes>1000",
        "domain:/^host-1.*com$/ rtt>1ms",
    ] {
        let begun = std::cell::Cell::new(0);
        let is_over = || clock() - begun.get() > 1_800_000_000;
        let ask = Ask {
            filter: parse(text)?,
            is_over: &is_over,
            ..Ask::all(
                end.after(Span::from_seconds(-7 * 86_400))..Time(i64::MAX / 2),
                100,
            )
        };
        println!("  {text}");
        type Panel<'a> = (&'a str, Box<dyn Fn() -> Result<(usize, Option<Searched>)> + 'a>);
        let panels: [Panel<'_>; 7] = [
            (
                "top addresses",
                Box::new(|| {
                    reader
                        .top_addresses(&ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "bytes a minute",
                Box::new(|| {
                    reader
                        .traffic(&ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "addresses by program",
                Box::new(|| {
                    reader
                        .reach(&ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "rare destinations",
                Box::new(|| {
                    reader
                        .rare_destinations(2, &ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "an address",
                Box::new(|| {
                    let ip = [10, 0, 0, 2].into();
                    reader
                        .address_history(ip, &ask)
                        .map(|it| (it.newest.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "alerts by rule",
                Box::new(|| {
                    reader
                        .alerts_by_rule(&ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
            (
                "process tree",
                Box::new(|| {
                    reader
                        .process_totals(&ask)
                        .map(|it| (it.rows.len(), it.searched))
                        .map_err(Into::into)
                }),
            ),
        ];
        for (name, panel) in &panels {
            let mut cost = Cost::default();
            let mut last = (0, None);
            for _ in 0..3 {
                begun.set(clock());
                last = cost.of(panel)?;
            }
            let searched = last.1.map_or("an index told all".to_owned(), |it| {
                format!(
                    "{} newest rows searched{}",
                    it.rows,
                    if it.complete { ", all" } else { "" }
                )
            });
            println!(
                "    {name:<22} {:>5} rows: median {:>8.1} ms, {searched}",
                last.0,
                cost.percentile(50)
            );
        }
    }
    Ok(())
}

/// What a writer did, and how long batches waited for it to do something else.
#[derive(Default)]
struct Kept {
    batches: Cost,
    sums: Cost,
    retention: Cost,
    log: Cost,
    stalls: Cost,
    number: u64,
}

/// Is a slice that begins now over?
fn slice() -> impl Fn() -> bool {
    let begun = clock();
    move || clock() - begun > 25_000_000
}

impl Kept {
    /// A batch, and then what the keeper does: a slice of the sums, or else of retention, and now and then the log.
    /// True while there may be more for retention.
    fn turn(
        &mut self,
        writer: &mut Writer,
        world: &mut World,
        batch: u64,
        due: bool,
        policy: Option<Retention>,
    ) -> Result<bool> {
        let entries: Vec<_> = world.tell(batch).into_iter().map(Entry::Event).collect();
        self.batches.of(|| writer.write(&entries))?;
        self.number = world.number();
        let begun = clock();
        let mut more = policy.is_some();
        if due && writer.stats()?.log_bytes > 256 << 20 {
            self.log.of(|| writer.checkpoint())?;
        }
        let odd = self.batches.walls.len() % 2 == 1;
        if (due || writer.is_rolling_up()) && (odd || policy.is_none()) {
            let is_over = slice();
            self.sums
                .of(|| writer.roll_up_until(world.now(), 2_000, &is_over))?;
        } else if let Some(policy) = policy {
            let is_over = slice();
            let retained = self
                .retention
                .of(|| writer.retain_until(policy, 2_000, &is_over))?;
            more = retained.more;
        }
        self.stalls.walls.push(clock() - begun);
        Ok(more)
    }
}

/// A writer at so many connections a second, for so long, while the panels are asked; then retention of a day meanwhile.
fn live(path: &Path, rate: u64, rounds: usize) -> Result<()> {
    let now = Reader::open(path)?.runs(1)?.first().map_or(START, |run| run.seen);
    let stop = AtomicBool::new(false);
    let kept = std::thread::scope(|scope| -> Result<[Kept; 3]> {
        let stop = &stop;
        let work = move || -> Result<[Kept; 3]> {
            let mut world = World::at(now, rate as f64);
            let mut writer = open(path, now)?;
            let checkpointer = writer.checkpointer()?;
            let (finish, finished) = std::sync::mpsc::sync_channel::<()>(0);
            let beside = move || {
                while finished.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                    drop(checkpointer.run());
                }
            };
            let beside = std::thread::Builder::new().name("log".into()).spawn(beside);
            let (mut asked, mut dropping, mut pressed) = (Kept::default(), Kept::default(), Kept::default());
            let begun = clock();
            // The first minute of them is a short one.
            let mut minute = 20_000_000_000;
            let mut until = None;
            loop {
                let passed = world.number() * 1_000_000_000 / rate;
                let due = passed > minute;
                minute += if due { 60_000_000_000 } else { 0 };
                if stop.load(Ordering::Relaxed) && until.is_none() {
                    until = Some(clock() + 30_000_000_000);
                }
                match until {
                    None => asked.turn(&mut writer, &mut world, rate / 4, due, None)?,
                    Some(until) if clock() > until => break,
                    Some(_) => {
                        // The first day goes meanwhile, a slice after each batch.
                        let policy = Retention::new(6, 0, world.now());
                        dropping.turn(&mut writer, &mut world, rate / 4, due, Some(policy))?
                    }
                };
                let ahead = passed.saturating_sub(clock() - begun);
                std::thread::sleep(Duration::from_nanos(ahead));
            }
            // The rest of it as fast as it can.
            let policy = Retention::new(6, 0, world.now());
            while pressed.turn(&mut writer, &mut world, rate / 4, false, Some(policy))? {}
            drop(finish);
            drop(beside.map(std::thread::JoinHandle::join));
            writer.close(world.now())?;
            Ok([asked, dropping, pressed])
        };
        let work = move || work().map_err(|error| error.to_string());
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn_scoped(scope, work)?;
        let asked = panels(path, rounds, Duration::from_millis(20));
        stop.store(true, Ordering::Relaxed);
        let kept = thread.join().map_err(|_| "the writer panicked")??;
        asked?;
        Ok(kept)
    })?;
    let what = [
        format!("writer at {rate} connections a second"),
        "the same, and retention of a day for half a minute".into(),
        "both as fast as they can".into(),
    ];
    for (what, mut kept) in what.into_iter().zip(kept) {
        println!("{what}: {} connections", kept.number);
        for (what, cost) in [
            ("batches", &mut kept.batches),
            ("slices of sums", &mut kept.sums),
            ("slices of retention", &mut kept.retention),
            ("the log", &mut kept.log),
            ("waits of a batch", &mut kept.stalls),
        ] {
            println!(
                "  {what:<20} {:>6} times: median {:>7.1} ms, p99 {:>7.1} ms, longest {:>7.1} ms, {:>7.2} ms CPU",
                cost.walls.len(),
                cost.percentile(50),
                cost.percentile(99),
                cost.percentile(100),
                cost.cpu as f64 / 1e6 / cost.walls.len().max(1) as f64
            );
        }
    }
    println!("peak memory {} KiB", status("VmHWM"));
    Ok(())
}

/// Memory for SQLite's page cache while measuring.
const CACHE: u64 = 32 << 20;

/// Nanoseconds of some clock.
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn clock() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Every connection as CSV, for other engines.
fn export(path: &Path, to: &Path) -> Result<()> {
    let database = rusqlite::Connection::open(path)?;
    let mut out = BufWriter::new(std::fs::File::create(to)?);
    writeln!(
        out,
        "start,span,pid,program,outbound,transport,remote_ip,port,name,sent,received,round_trip,outcome"
    )?;
    let mut statement = database.prepare(
        "SELECT (c.id >> 20) * 1000 + ((c.id >> 10) & 1023) + c.started, c.span, p.pid, g.name, h.side = 0, h.transport, \
         i.address, iif(h.side, c.local_port, c.remote_port) & 65535, t.value, c.sent_bytes, c.received_bytes, \
         c.round_trip, h.outcome FROM connection c JOIN shape h ON h.id = c.shape JOIN ip i ON i.id = c.remote_ip \
         LEFT JOIN process p ON p.id = c.process LEFT JOIN program g ON g.id = p.program \
         LEFT JOIN text t ON t.id = c.name",
    )?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for place in 0..columns {
            let comma = if place == 0 { "" } else { "," };
            match row.get_ref(place)? {
                ValueRef::Integer(number) => write!(out, "{comma}{number}")?,
                ValueRef::Text(text) => write!(out, "{comma}{}", String::from_utf8_lossy(text))?,
                _ => write!(out, "{comma}")?,
            }
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| arguments.get(place).map_or(Ok(default), |text| text.parse());
    let path = Path::new(arguments.get(1).ok_or(USAGE)?);
    match arguments.first().map(String::as_str) {
        Some("fill") => fill(path, number(2, 1_000_000)?, number(3, 10_000)?),
        Some("more") => more(path, number(2, 300_000)?, number(3, 10_000)?),
        Some("panels") => panels(path, number(2, 100)? as usize, Duration::ZERO),
        Some("filters") => filters(path),
        Some("live") => live(path, number(2, 5_000)?, number(3, 400)? as usize),
        Some("export") => export(path, Path::new(arguments.get(2).ok_or(USAGE)?)),
        Some("sizes") => sizes(
            path,
            Reader::open(path)?.count(Kind::Connection, &Expression::All)?,
        ),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "history fill|more|panels|filters|live|export|sizes DATABASE …";
