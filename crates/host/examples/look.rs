//! Measures looks: `look` does one as a snapshot does, `look N` does N at 1 s as a watch does. Prints what was seen,
//! the CPU time of this process, and its peak memory.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::Write as _;
    use std::time::Duration;

    use atalaya_host::collector::{Collector as _, Options};
    use atalaya_host::linux::poll::PollCollector;
    use atalaya_model::{Observation, Owners};

    let looks: Option<u32> = std::env::args().nth(1).map(|text| text.parse()).transpose()?;
    let hash = std::env::var_os("HASH").is_some();
    let mut options = match looks {
        Some(_) => Options::default(),
        None => Options::single_look(),
    };
    (options.hash, options.packages) = (hash, hash);
    let mut out = std::io::stdout().lock();
    let mut collector = PollCollector::open(options)?;
    for number in 1..=looks.unwrap_or(1) {
        let (mut sockets, mut owned, mut closed, mut processes, mut gone) = (0, 0, 0, 0, 0);
        let mut see = |observation: Observation| match observation {
            Observation::Sockets(_, list) => {
                sockets += list.len();
                let known = |owners: &Owners| !matches!(owners, Owners::Unknown(_));
                owned += list.iter().filter(|socket| known(&socket.owners)).count();
            }
            Observation::SocketClosed(..) => closed += 1,
            Observation::Process(..) => processes += 1,
            Observation::ProcessGone(..) => gone += 1,
            _ => {}
        };
        collector.look(&mut see)?;
        while looks.is_none() && collector.pending() > 0 {
            collector.wait(Duration::from_millis(5), &mut see)?;
        }
        if looks.is_some() {
            collector.wait(Duration::from_secs(1), &mut see)?;
        }
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        writeln!(
            out,
            "look {number}: {sockets} sockets, {owned} with process, {closed} closed, {processes} described, \
             {gone} gone; {}.{:06} CPU s so far",
            cpu.tv_sec,
            cpu.tv_nsec / 1_000
        )?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{:?}", collector.ledger().counts())?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {}
