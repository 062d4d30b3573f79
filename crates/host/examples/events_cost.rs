//! Measures tier `events`: `events_cost load N` makes N short connections on loopback; `events_cost SECONDS` watches
//! for so long, and prints what was seen, the CPU time of this process, and its peak memory.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("load"), count) => load(count.as_deref().unwrap_or("20000").parse()?),
        (Some(seconds), _) => watch(seconds.parse()?),
        _ => Err("say `load N`, or for how many seconds to watch".into()),
    }
}

/// N connections one after the other: 20 bytes there, 100 bytes back.
#[cfg(target_os = "linux")]
fn load(count: u32) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::Builder::new().spawn(move || -> std::io::Result<()> {
        for _ in 0..count {
            let (mut stream, _) = listener.accept()?;
            stream.read_exact(&mut [0; 20])?;
            stream.write_all(&[1; 100])?;
        }
        Ok(())
    })?;
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&[2; 20])?;
        stream.read_exact(&mut [0; 100])?;
    }
    server.join().map_err(|_| "the server panicked")??;
    print_usage(&format!("{count} connections"))
}

#[cfg(target_os = "linux")]
fn watch(seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use atalaya_host::clock::Deadline;
    use atalaya_host::collector::{Collector as _, Options};
    use atalaya_host::linux::events::EventsCollector;
    use atalaya_model::{Change, Observation, Owners, Span};

    let hash = std::env::var_os("HASH").is_some();
    let options = Options {
        hash,
        packages: hash,
        ..Options::default()
    };
    let mut collector = EventsCollector::open(options)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut see = |observation: Observation| {
        let mut count = |what: String, number: usize| *counts.entry(what).or_insert(0) += number as u64;
        match observation {
            Observation::SocketEvents(events) => {
                for event in events {
                    let owner = match event.socket.owners {
                        Owners::Used(_) => "used",
                        Owners::Unknown(_) => "unknown",
                        _ => "other",
                    };
                    let bytes = event
                        .socket
                        .traffic
                        .map(|traffic| (traffic.sent_bytes, traffic.received_bytes));
                    match event.change {
                        Change::Alive => count(format!("alive, {owner}"), 1),
                        Change::Closed(outcome) => {
                            count(format!("{}, {owner}, bytes {bytes:?}", outcome.name()), 1);
                        }
                    }
                }
            }
            Observation::Sockets(_, sockets) => {
                for socket in sockets {
                    count(format!("in looks, {}", socket.state.name()), 1);
                }
            }
            Observation::SocketClosed(_, socket) => count(format!("closed {:?}", socket.transport), 1),
            Observation::Process(_, process) => count(format!("processes, unread {:?}", process.unread), 1),
            Observation::ProcessGone(..) => count("gone".into(), 1),
            Observation::Gap(gap) => count(
                format!("gap {}: {}", gap.stage.name(), gap.reason),
                gap.count as usize,
            ),
            _ => {}
        }
    };
    let deadline = Deadline::after(Span::from_seconds(seconds as i64));
    while deadline.left().is_some() {
        collector.look(&mut see)?;
        collector.wait(Duration::from_secs(1), &mut see)?;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (what, count) in counts.iter().take(20) {
        say(&format!("{count:8} {what}"))?;
    }
    say(&format!("{:?}", collector.report()))?;
    say(&format!("{:?}", collector.ledger().counts()))?;
    print_usage("watch")
}

#[cfg(target_os = "linux")]
fn print_usage(what: &str) -> Result<(), Box<dyn std::error::Error>> {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    say(&format!(
        "{what}: {}.{:03} CPU s, {memory}",
        cpu.tv_sec,
        cpu.tv_nsec / 1_000_000
    ))
}

#[cfg(target_os = "linux")]
fn say(line: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
