//! Flags of `capture`.

use std::path::PathBuf;

use atalaya_model::Span;
use atalaya_model::setting::Size;
use clap::{Args, ValueEnum};

use super::{CommonArgs, TierChoice, span};

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya capture --write all.pcapng --duration 60s           every packet of a minute, with its process
  atalaya capture --interface eth0 --filter 'port:53' --write dns.pcapng
  atalaya capture --filter 'process.name:curl' --write - | tshark -r -
  atalaya capture --write ring.pcapng --rotate-size 100MB --keep 10
  atalaya capture --read big.pcap.zst --filter 'ip:10.0.0.7 dport:443' --write small.pcapng
  atalaya capture --read new.pcapng --format pcap --write old.pcap

In pcapng, each packet has its process as a comment, and each process once a block with its path and start; `replay` and
`--read` read them back. A filter is asked of the conversation that a packet belongs to (its addresses, ports, direction and process); what is no IP passes only without one, fragments always pass.
Captures hold everything that was said, secrets too: files can be read by their owner only.

Exit status: 0 done, 2 usage or configuration error, 3 the run failed, or the file that was read is damaged (all before
the damage is written).";

/// Flags of `capture`.
#[derive(Clone, Debug, Args)]
pub struct CaptureArgs {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Capture on these interfaces; without it on all.
    #[arg(long, short, value_name = "IFACE", value_delimiter = ',')]
    pub interface: Vec<String>,
    /// Read this capture (`-` for standard input) instead of the network: to filter or convert it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["interface", "duration", "promiscuous", "tier"])]
    pub read: Option<PathBuf>,
    /// Only packets of conversations that this filter matches.
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Write to this file, or `-` for standard output. With rotation each file gets a number before its ending.
    #[arg(long, short, value_name = "FILE")]
    pub write: PathBuf,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    pub format: CaptureFormat,
    /// End after this time, such as `60s`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub duration: Option<Span>,
    /// End after so many packets.
    #[arg(long, short, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Begin a new file when one has this size, such as `100MB`.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub rotate_size: Option<Size>,
    /// Begin a new file after this time, such as `1h`.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub rotate_time: Option<Span>,
    /// With rotation, keep so many files and remove older ones.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: Option<u16>,
    /// Keep so many bytes of each packet.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..=262_144))]
    pub snap_length: Option<u32>,
    /// Take packets for other hosts, too.
    #[arg(long)]
    pub promiscuous: bool,
    /// Do not find out which process each packet belongs to; with --read, do not keep it.
    #[arg(long)]
    pub no_processes: bool,
    /// The way of observing processes; `auto` takes the best that works.
    #[arg(long, value_enum, default_value_t)]
    pub tier: TierChoice,
}

/// How `capture` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CaptureFormat {
    /// Any number of interfaces, and the processes.
    #[default]
    Pcapng,
    /// For old programs: one kind of link, no processes.
    Pcap,
}

fn size(text: &str) -> Result<Size, String> {
    Size::parse(text)
        .filter(|size| size.0 >= 4_096)
        .ok_or_else(|| "write a size of 4 kB at least, such as 500kB, 100MB, 1GiB".to_owned())
}
