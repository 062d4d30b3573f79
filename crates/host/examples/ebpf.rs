//! Shows what the kernel programs tell: `ebpf SECONDS [PORT]` prints the socket events (of one port), and at the end what
//! was seen, the CPU time of this process, and its peak memory.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    use std::time::Duration;

    use atalaya_host::collector::{Collector as _, Options};
    use atalaya_host::linux::ebpf::EbpfCollector;
    use atalaya_model::Observation;

    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let port: Option<u16> = arguments.next().map(|text| text.parse()).transpose()?;
    let mut options = Options::default();
    let hash = std::env::var_os("HASH").is_some();
    (options.hash, options.packages) = (hash, hash);
    let mut out = std::io::stdout().lock();
    let mut collector = EbpfCollector::open(options)?;
    writeln!(out, "{:?}", collector.report())?;
    let (mut events, mut sockets, mut processes, mut looks) = (0, 0, 0, 0);
    for _ in 0..=seconds {
        let mut see = |observation: Observation| match observation {
            Observation::SocketEvents(list) => {
                events += list.len();
                for event in list {
                    let ports = [event.socket.local.port, event.socket.remote.port];
                    if port.is_some_and(|port| port == 1 || ports.contains(&port)) {
                        drop(writeln!(out, "{event:?}"));
                    }
                }
            }
            Observation::Sockets(_, list) => sockets += list.len(),
            Observation::Process(..) => processes += 1,
            Observation::LookDone(..) => looks += 1,
            Observation::Gap(gap) => drop(writeln!(out, "{gap:?}")),
            _ => {}
        };
        collector.look(&mut see)?;
        collector.wait(Duration::from_secs(1), &mut see)?;
    }
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    writeln!(
        out,
        "{looks} looks, {sockets} sockets, {events} events, {processes} processes; {}.{:06} CPU s",
        cpu.tv_sec,
        cpu.tv_nsec / 1_000
    )?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{:?}", collector.ledger().counts())?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
