//! What one pass over all sockets with their holders costs: `cargo run --release -p atalaya-host --example iterate_cost`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example measures and prints"
)]

#[cfg(target_os = "linux")]
fn main() {
    use atalaya_host::linux::iterate::Sockets;
    use atalaya_host::usage;

    for _ in 0..3 {
        let before = usage::own().cpu;
        let mut sockets = Sockets::open().unwrap();
        let opened = usage::own().cpu;
        let (mut count, mut shared) = (0u64, 0u64);
        sockets
            .read(&mut |held| {
                count += 1;
                shared += u64::from(held.may_be_shared);
            })
            .unwrap();
        let read = usage::own().cpu;
        println!(
            "opened in {} µs, {count} sockets ({shared} perhaps shared) read in {} µs",
            opened.0 - before.0,
            read.0 - opened.0,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
