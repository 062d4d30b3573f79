//! From the bytes of a ring to what happened to a socket. Total on any input.

use std::net::IpAddr;

use atalaya_model::{Endpoint, SocketState};

use super::format::{Ends, Field, Format, Text};
use crate::linux::owners::numbers::NumberMap;

const PERF_RECORD_LOST: u32 = 2;
const PERF_RECORD_SAMPLE: u32 = 9;
const PERF_RECORD_LOST_SAMPLES: u32 = 13;
/// `TRACE_FLAG_HARDIRQ`, `_SOFTIRQ`, `_NMI`: whoever runs is not who does it.
const INTERRUPTED: u64 = 0x08 | 0x10 | 0x40;

/// Something happened to a TCP socket, or a process became a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Nanoseconds of the monotonic clock.
    pub(super) time: u64,
    /// The process that did it; `None` where it happened while something else ran.
    pub(super) process: Option<u32>,
    pub(super) what: What,
}

/// Longest path that is taken of an executed file.
const MOST_PATH: usize = 4096;

/// What happened. `socket` is the kernel's address of it, which is used again after its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It went from one state to another.
    State {
        socket: u64,
        from: SocketState,
        to: SocketState,
        local: Endpoint,
        remote: Endpoint,
        /// The peer's FIN was received at this very moment; `None` where that is not known.
        by_fin: Option<bool>,
    },
    /// It is no more. The notice of its end carries the same cookie.
    Destroyed { socket: u64, cookie: u64 },
    /// The kernel told its process of an error.
    Failed {
        local: Endpoint,
        remote: Endpoint,
        error: i32,
    },
    /// The process became this program, by the path that it was called by.
    Executed { path: Box<[u8]> },
}

/// How to read the records of one tracepoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    State {
        flags: Field,
        socket: Field,
        from: Field,
        to: Field,
        ends: Ends,
    },
    Destroyed {
        flags: Field,
        socket: Field,
        cookie: Field,
    },
    Failed {
        flags: Field,
        error: Field,
        ends: Ends,
    },
    Executed {
        flags: Field,
        path: Text,
    },
}

impl Layout {
    /// `sock/inet_sock_set_state`.
    pub(super) fn state(format: &Format) -> Result<Self, &'static str> {
        Ok(Self::State {
            flags: format.number("common_flags")?,
            socket: format.number("skaddr")?,
            from: format.number("oldstate")?,
            to: format.number("newstate")?,
            ends: Ends::of(format)?,
        })
    }

    /// `tcp/tcp_destroy_sock`.
    pub(super) fn destroyed(format: &Format) -> Result<Self, &'static str> {
        Ok(Self::Destroyed {
            flags: format.number("common_flags")?,
            socket: format.number("skaddr")?,
            cookie: format.bytes("sock_cookie", 8)?,
        })
    }

    /// `sock/inet_sk_error_report`.
    pub(super) fn failed(format: &Format) -> Result<Self, &'static str> {
        Ok(Self::Failed {
            flags: format.number("common_flags")?,
            error: format.bytes("error", 4)?,
            ends: Ends::of(format)?,
        })
    }

    /// `sched/sched_process_exec`.
    pub(super) fn executed(format: &Format) -> Result<Self, &'static str> {
        Ok(Self::Executed {
            flags: format.number("common_flags")?,
            path: format.text("filename")?,
        })
    }

    fn read(&self, record: &[u8], by_fin: Option<bool>) -> Option<(u64, What)> {
        match self {
            Self::State {
                flags,
                socket,
                from,
                to,
                ends,
            } => {
                let [local, remote] = ends.read(record)?.map(endpoint);
                let what = What::State {
                    socket: socket.number(record)?,
                    from: state(from.number(record)?)?,
                    to: state(to.number(record)?)?,
                    local,
                    remote,
                    by_fin,
                };
                Some((flags.number(record)?, what))
            }
            Self::Destroyed {
                flags,
                socket,
                cookie,
            } => {
                let what = What::Destroyed {
                    socket: socket.number(record)?,
                    cookie: cookie.number(record)?,
                };
                Some((flags.number(record)?, what))
            }
            Self::Failed { flags, error, ends } => {
                let [local, remote] = ends.read(record)?.map(endpoint);
                let error = error.number(record)? as u32 as i32;
                let what = What::Failed {
                    local,
                    remote,
                    error: error.wrapping_abs(),
                };
                Some((flags.number(record)?, what))
            }
            Self::Executed { flags, path } => {
                let path = path.bytes(record)?;
                let path = path.get(..MOST_PATH).unwrap_or(path).into();
                Some((flags.number(record)?, What::Executed { path }))
            }
        }
    }
}

fn state(number: u64) -> Option<SocketState> {
    SocketState::from_kernel(u8::try_from(number).ok()?)
}

fn endpoint((ip, port): (IpAddr, u16)) -> Endpoint {
    Endpoint::new(ip, port)
}

/// One kind of record, by the number that it carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) layout: Layout,
    /// It comes with the kernel functions that led to it.
    pub(super) has_call_chain: bool,
}

/// The addresses of kernel functions that run only when the peer sent something.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivingFunctions(pub(super) Vec<std::ops::Range<u64>>);

/// What one reading gave, and could not give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Records that were read.
    pub(super) read: u64,
    /// The ring was full.
    pub(super) dropped: u64,
    /// Records that could not be read.
    pub(super) unreadable: u64,
}

/// What the records told.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) sockets: Vec<Sample>,
    /// Those that became a program.
    pub(super) executed: Vec<Executed>,
}

/// A process became the program that was called by this path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Executed {
    pub(super) time: u64,
    pub(super) process: u32,
    pub(super) path: Box<[u8]>,
}

impl Samples {
    /// Moves everything out of `others`.
    pub(super) fn append(&mut self, others: &mut Self) {
        self.sockets.append(&mut others.sockets);
        self.executed.append(&mut others.executed);
        // A storm is no reason to keep its room for ever.
        others.sockets.shrink_to(1 << 10);
    }

    fn push(&mut self, sample: Sample) {
        match (sample.what, sample.process) {
            (What::Executed { path }, Some(process)) => self.executed.push(Executed {
                time: sample.time,
                process,
                path,
            }),
            (What::Executed { .. }, None) => {}
            (what, _) => self.sockets.push(Sample { what, ..sample }),
        }
    }
}

/// Appends to `samples` what the records in `bytes` tell.
pub(super) fn read(
    bytes: &[u8],
    kinds: &NumberMap<u64, Kind>,
    functions: &ReceivingFunctions,
    samples: &mut Samples,
) -> Losses {
    let mut losses = Losses::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = number::<2>(rest, 6).map(u16::from_ne_bytes).map(usize::from);
        let record = size
            .filter(|size| *size >= 8)
            .and_then(|size| rest.split_at_checked(size));
        let (Some(kind), Some((record, after))) = (number(rest, 0).map(u32::from_ne_bytes), record) else {
            losses.unreadable += 1;
            break;
        };
        rest = after;
        match kind {
            PERF_RECORD_SAMPLE => match sample(record, kinds, functions) {
                Some(sample) => {
                    losses.read += 1;
                    samples.push(sample);
                }
                None => losses.unreadable += 1,
            },
            PERF_RECORD_LOST => {
                let lost = number(record, 16).map_or(1, u64::from_ne_bytes);
                losses.dropped = losses.dropped.saturating_add(lost);
            }
            PERF_RECORD_LOST_SAMPLES => {
                let lost = number(record, 8).map_or(1, u64::from_ne_bytes);
                losses.dropped = losses.dropped.saturating_add(lost);
            }
            _ => {}
        }
    }
    losses
}

/// Header, identifier, process and thread, time, call chain, record.
fn sample(record: &[u8], kinds: &NumberMap<u64, Kind>, functions: &ReceivingFunctions) -> Option<Sample> {
    let kind = kinds.get(&u64::from_ne_bytes(number(record, 8)?))?;
    let process = u32::from_ne_bytes(number(record, 16)?);
    let time = u64::from_ne_bytes(number(record, 24)?);
    let mut at = 32;
    let mut by_fin = None;
    if kind.has_call_chain {
        let count = usize::try_from(u64::from_ne_bytes(number(record, at)?)).ok()?;
        at += 8;
        let chain = record.get(at..)?.get(..count.checked_mul(8)?)?;
        at += chain.len();
        by_fin = functions.is_in(chain);
    }
    let size = u32::from_ne_bytes(number(record, at)?);
    let raw = record.get(at + 4..)?.get(..usize::try_from(size).ok()?)?;
    let (flags, what) = kind.layout.read(raw, by_fin)?;
    // Process 0 is the idle CPU.
    let is_own = flags & INTERRUPTED == 0 && process != 0 && process != u32::MAX;
    Some(Sample {
        time,
        process: is_own.then_some(process),
        what,
    })
}

impl ReceivingFunctions {
    /// Is one of them in the chain? `None` where they are not known.
    fn is_in(&self, chain: &[u8]) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let mut addresses = chain
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        Some(addresses.any(|address| self.0.iter().any(|function| function.contains(&address))))
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATE: &str = "\
        field:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        field:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
        field:int oldstate;\toffset:16;\tsize:4;\tsigned:1;\n\
        field:int newstate;\toffset:20;\tsize:4;\tsigned:1;\n\
        field:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;\n\
        field:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;\n\
        field:__u16 family;\toffset:28;\tsize:2;\tsigned:0;\n\
        field:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n\
        field:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;\n\
        field:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n\
        field:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;\n";

    fn kinds() -> NumberMap<u64, Kind> {
        let layout = Layout::state(&Format::parse(STATE)).unwrap();
        [(5, false), (6, true)]
            .map(|(id, has_call_chain)| {
                (
                    id,
                    Kind {
                        layout,
                        has_call_chain,
                    },
                )
            })
            .into_iter()
            .collect()
    }

    fn raw(flags: u8, from: u32, to: u32) -> Vec<u8> {
        let mut raw = vec![0; 72];
        raw[2] = flags;
        raw[8..16].copy_from_slice(&0x1234_u64.to_ne_bytes());
        raw[16..20].copy_from_slice(&from.to_ne_bytes());
        raw[20..24].copy_from_slice(&to.to_ne_bytes());
        raw[24..26].copy_from_slice(&443u16.to_ne_bytes());
        raw[28..30].copy_from_slice(&2u16.to_ne_bytes());
        raw
    }

    fn record(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut record = kind.to_ne_bytes().to_vec();
        record.extend([0, 0]);
        record.extend((body.len() as u16 + 8).to_ne_bytes());
        record.extend(body);
        record
    }

    fn body(id: u64, chain: Option<&[u64]>, raw: &[u8]) -> Vec<u8> {
        let mut body = id.to_ne_bytes().to_vec();
        body.extend(77u32.to_ne_bytes());
        body.extend(78u32.to_ne_bytes());
        body.extend(9_000u64.to_ne_bytes());
        if let Some(chain) = chain {
            body.extend((chain.len() as u64).to_ne_bytes());
            chain
                .iter()
                .for_each(|address| body.extend(address.to_ne_bytes()));
        }
        body.extend((raw.len() as u32).to_ne_bytes());
        body.extend(raw);
        body
    }

    fn all(bytes: &[u8]) -> (Vec<Sample>, Losses) {
        let functions = ReceivingFunctions(vec![100..150, 150..200]);
        let mut samples = Samples::default();
        let losses = read(bytes, &kinds(), &functions, &mut samples);
        (samples.sockets, losses)
    }

    #[test]
    fn states_come_with_the_process_unless_it_was_interrupted() {
        let mut bytes = record(PERF_RECORD_SAMPLE, &body(5, None, &raw(1, 7, 2)));
        bytes.extend(record(PERF_RECORD_SAMPLE, &body(5, None, &raw(0x10, 2, 1))));
        let (samples, losses) = all(&bytes);
        assert_eq!((losses.read, losses.dropped, losses.unreadable), (2, 0, 0));
        let process: Vec<_> = samples.iter().map(|sample| sample.process).collect();
        assert_eq!(process, [Some(77), None]);
        assert_eq!(samples[0].time, 9_000);
        assert!(
            matches!(
                samples[1].what,
                What::State { socket: 0x1234, from: SocketState::SynSent, to: SocketState::Established, local, by_fin: None, .. }
                    if local.port == 443
            ),
            "{samples:?}"
        );
    }

    #[test]
    fn the_way_to_a_state_says_whether_the_peer_had_ended_too() {
        for (chain, expected) in [(&[5, 150, 7][..], true), (&[5, 200, 99], false), (&[], false)] {
            let bytes = record(PERF_RECORD_SAMPLE, &body(6, Some(chain), &raw(0, 5, 7)));
            let (samples, _) = all(&bytes);
            assert!(
                matches!(samples[0].what, What::State { by_fin, .. } if by_fin == Some(expected)),
                "{samples:?}"
            );
        }
    }

    #[test]
    fn losses_are_added_up() {
        let mut bytes = record(
            PERF_RECORD_LOST,
            &[5u64.to_ne_bytes(), 40u64.to_ne_bytes()].concat(),
        );
        bytes.extend(record(PERF_RECORD_LOST_SAMPLES, &2u64.to_ne_bytes()));
        bytes.extend(record(PERF_RECORD_SAMPLE, &body(9, None, &raw(0, 7, 2)))); // nobody's
        bytes.extend(record(PERF_RECORD_SAMPLE, &body(5, None, &raw(0, 7, 99)))); // no such state
        bytes.extend(record(3, &[0; 8])); // something else
        bytes.extend([1, 2, 3]);
        let (samples, losses) = all(&bytes);
        assert!(samples.is_empty());
        assert_eq!((losses.dropped, losses.unreadable), (42, 3));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = all(&bytes);
        }

        #[test]
        fn any_body_ends(id in 5u64..8, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let body = [id.to_ne_bytes().to_vec(), body].concat();
            let _ = all(&record(PERF_RECORD_SAMPLE, &body));
        }
    }
}
