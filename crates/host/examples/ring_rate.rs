//! How fast a packet ring is read: `ring_rate read [INTERFACE…]` counts frames until its input ends, `ring_rate send
//! ADDRESS COUNT BYTES` sends datagrams as fast as one thread can. `benches/ring.py` runs both.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example measures and prints"
)]

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["send", address, count, bytes] => {
            linux::send(
                address.parse().unwrap(),
                count.parse().unwrap(),
                bytes.parse().unwrap(),
            );
        }
        ["read", interfaces @ ..] => linux::read(interfaces),
        _ => println!("usage: ring_rate read [INTERFACE…] | send ADDRESS COUNT BYTES"),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Read as _;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd as _;

    use atalaya_host::packets::{Capture, Delivery, Options};
    use atalaya_host::{clock, usage};
    use atalaya_model::Ledger;
    use crossbeam_channel::bounded;

    pub(super) fn read(interfaces: &[&str]) {
        let ledger = Ledger::default();
        let options = Options {
            interfaces: interfaces.iter().copied().map(str::to_owned).collect(),
            ledger: ledger.clone(),
            ..Options::default()
        };
        let (sender, deliveries) = bounded(32);
        let capture = Capture::start(options, sender).unwrap();
        println!("ready");
        let reader = std::thread::Builder::new().spawn(move || {
            let (mut frames, mut bytes, mut lost) = (0u64, 0u64, 0u64);
            for delivery in deliveries {
                match delivery {
                    Delivery::Frames(batch) => {
                        frames += batch.len() as u64;
                        // As an engine does, look at each of them.
                        let each = batch.frames();
                        bytes += each
                            .map(|frame| u64::from(frame.length) + u64::from(frame.data[0] & 1))
                            .sum::<u64>();
                    }
                    Delivery::Gap(gap) => lost += gap.count,
                    _ => {}
                }
            }
            (frames, bytes, lost)
        });
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        drop(capture);
        let (frames, bytes, lost) = reader.unwrap().join().unwrap();
        let used = usage::own();
        println!(
            "frames {frames} bytes {bytes} lost {lost} cpu_us {} {:?}",
            used.cpu.0,
            ledger.counts()
        );
    }

    /// Datagrams in one call.
    const TOGETHER: usize = 64;

    #[expect(unsafe_code, reason = "many datagrams in one call have no safe wrapper")]
    pub(super) fn send(to: SocketAddr, count: usize, bytes: usize) {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect(to).unwrap();
        let mut payload = vec![7u8; bytes];
        let mut piece = libc::iovec {
            iov_base: payload.as_mut_ptr().cast(),
            iov_len: payload.len(),
        };
        let began = clock::monotonic();
        let mut left = count;
        while left > 0 {
            // SAFETY: all zero is a valid message without address or control data.
            let mut messages: [libc::mmsghdr; TOGETHER] = unsafe { std::mem::zeroed() };
            for message in &mut messages {
                message.msg_hdr.msg_iov = &raw mut piece;
                message.msg_hdr.msg_iovlen = 1;
            }
            let together = TOGETHER.min(left);
            // SAFETY: every message points to one piece, and that to the payload; all of them live through the call.
            let sent =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), together as u32, 0) };
            left -= usize::try_from(sent).unwrap_or(0);
        }
        let took = clock::monotonic().0 - began.0;
        println!("sent {count} in_us {took} cpu_us {}", usage::own().cpu.0);
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
