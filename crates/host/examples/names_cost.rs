//! What the probes on the resolver cost those who ask: `cargo run --release -p atalaya-host --example names_cost`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example measures and prints"
)]

#[cfg(target_os = "linux")]
fn main() {
    use std::net::ToSocketAddrs as _;

    use atalaya_host::linux::names::Names;
    use atalaya_host::usage;
    use atalaya_model::Time;

    const CALLS: u32 = 20_000;
    /// Fewer than the ring has room for.
    const AT_ONCE: u32 = 200;
    let ask = |after: &mut dyn FnMut()| {
        let before = usage::own().cpu;
        for call in 0..CALLS {
            assert!(("localhost", 80).to_socket_addrs().is_ok());
            if call % AT_ONCE == 0 {
                after();
            }
        }
        usage::own().cpu.0 - before.0
    };
    let micros = |cpu: i64| cpu as f64 / f64::from(CALLS);
    for _ in 0..3 {
        let plain = ask(&mut || {});
        let before = usage::own().cpu;
        let mut names = Names::open().unwrap();
        let opened = usage::own().cpu.0 - before.0;
        let mut seen = 0;
        let watched = ask(&mut || seen += names.drain(&|_| Time(0), &mut |_| {}).passed);
        println!(
            "opened in {} ms; a call costs {:.2} µs, watched (and read) {:.2} µs; {seen} answers seen",
            opened / 1_000,
            micros(plain),
            micros(watched),
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
