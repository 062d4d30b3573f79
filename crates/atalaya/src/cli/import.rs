//! Flags of `import`.

use std::path::PathBuf;

use clap::Args;

use super::ResultArgs;

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya import conn.log dns.log ssl.log http.log        what Zeek saw: protocols, talkers, names, alerts
  atalaya import logs/2026-11-20/ --store case.db         a day of rotated logs, to ask later
  atalaya import eve.json.gz --output json > day.json     Suricata's flows, names, handshakes, requests and alerts
  zcat conn.*.log.gz | atalaya import - --filter 'country:RU'

Read are Zeek's conn, dns, ssl, http and notice, as text or JSON, and EVE JSON (flow, dns, tls, http, alert), plain or
compressed with gzip or zstd; several files are merged by time. Other logs and events are passed over.

Exit status: 0 nothing of high severity, 1 high or critical alerts found, 2 usage or configuration error,
3 a file or a line could not be read (everything else is told).";

/// Flags of `import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// What becomes of it.
    #[command(flatten)]
    pub results: ResultArgs,
    /// Logs of Zeek or Suricata, folders of them, or `-` for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
}
