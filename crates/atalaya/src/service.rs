//! `atalaya service`: the systemd unit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{ServiceArgs, ServiceVerb};
use crate::exit::{Exit, Failure};

/// Where the unit file belongs.
const UNIT: &str = "/etc/systemd/system/atalaya.service";

/// Runs the verb. `out` gets data, everything else goes to standard error by the caller.
///
/// # Errors
/// When the unit file cannot be written or removed, or systemd refuses it.
pub fn run(args: &ServiceArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &args.verb {
        ServiceVerb::Install { print, config } => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::Failed(format!("cannot find the path of this program: {error}")))?;
            let config = config.as_deref().map(absolute).transpose()?;
            let unit = unit(&program, config.as_deref())?;
            if *print {
                put(out, &unit)?;
                return Ok(Exit::Clean);
            }
            install(&unit)?;
            put(
                out,
                &format!("installed {UNIT}; it watches now, and after each boot\n"),
            )?;
        }
        ServiceVerb::Uninstall => {
            if !Path::new(UNIT).exists() {
                put(out, "not installed\n")?;
                return Ok(Exit::Clean);
            }
            // Stopping may fail where systemd does not run; the file shall go all the same.
            let stopped = systemctl(&["disable", "--now", "atalaya.service"]);
            std::fs::remove_file(UNIT)
                .map_err(|error| Failure::Failed(format!("cannot remove {UNIT}: {error}; run as root")))?;
            let reloaded = systemctl(&["daemon-reload"]);
            for problem in [stopped, reloaded].into_iter().filter_map(Result::err) {
                tracing::warn!(%problem, "systemd did not answer");
            }
            put(
                out,
                &format!("removed {UNIT}; history and configuration were kept\n"),
            )?;
        }
        ServiceVerb::Status => {
            let installed = Path::new(UNIT).exists();
            put(
                out,
                &format!("unit file: {}\n", if installed { UNIT } else { "not installed" }),
            )?;
            let state = systemctl(&["is-active", "atalaya.service"]);
            put(
                out,
                &format!("state: {}\n", state.unwrap_or_else(|problem| problem)),
            )?;
        }
    }
    Ok(Exit::Clean)
}

/// The unit file's text.
///
/// # Errors
/// When a path cannot stand in a unit file.
pub fn unit(program: &Path, config: Option<&Path>) -> Result<String, Failure> {
    let mut command = format!("{} watch --quiet", executable(program)?);
    if let Some(config) = config {
        command.push_str(&format!(" --config {}", argument(config)?));
    }
    Ok(format!(
        "\
[Unit]
Description=Atalaya: watches this host's network activity
After=network.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
Restart=on-failure
RestartSec=5
StateDirectory=atalaya
StateDirectoryMode=0700
RuntimeDirectory=atalaya
RuntimeDirectoryMode=0750
LogsDirectory=atalaya
LogsDirectoryMode=0700
MemoryMax=512M

# What it needs: programs and tracepoints in the kernel, other processes' descriptors and executables, other network
# namespaces, a large receive buffer.
CapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_PACKET
RestrictNamespaces=net
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"
    ))
}

/// The program of `ExecStart`. systemd expands `%` in it but not `$`, and takes no quotes or backslashes.
fn executable(path: &Path) -> Result<String, Failure> {
    let text = plain(path)?;
    if text.contains(['"', '\'', '\\']) {
        return Err(unfit(path));
    }
    Ok(word(&text.replace('%', "%%")))
}

/// An argument of `ExecStart`, with systemd's specifiers, variables and escapes made harmless.
fn argument(path: &Path) -> Result<String, Failure> {
    let escaped = plain(path)?.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(word(&escaped.replace('%', "%%").replace('$', "$$")))
}

fn word(escaped: &str) -> String {
    if escaped.contains([' ', '\t', '"', '\'', '\\', ';']) {
        format!("\"{escaped}\"")
    } else {
        escaped.to_owned()
    }
}

fn plain(path: &Path) -> Result<&str, Failure> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| unfit(path))
}

fn unfit(path: &Path) -> Failure {
    Failure::Usage(format!(
        "{} cannot stand in a unit file; use a plain path",
        path.display()
    ))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

fn install(unit: &str) -> Result<(), Failure> {
    std::fs::write(UNIT, unit).map_err(|error| {
        Failure::Failed(format!(
            "cannot write {UNIT}: {error}; run as root, or use --print"
        ))
    })?;
    for arguments in [&["daemon-reload"][..], &["enable", "--now", "atalaya.service"]] {
        systemctl(arguments).map_err(|problem| {
            Failure::Failed(format!(
                "{UNIT} is written, but systemd did not take it: {problem}"
            ))
        })?;
    }
    Ok(())
}

/// Asks systemd. The answer, or what it complained about, in one line.
#[expect(
    clippy::disallowed_methods,
    reason = "the service manager is asked by its own program, on a person's order"
)]
fn systemctl(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("systemctl").args(arguments).output();
    let output = output.map_err(|error| format!("cannot run systemctl: {error}"))?;
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .next()
            .unwrap_or("")
            .to_owned()
    };
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let said = [text(&output.stderr), text(&output.stdout)];
        Err(said
            .into_iter()
            .find(|line| !line.is_empty())
            .unwrap_or_else(|| output.status.to_string()))
    }
}

fn put(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::Failed(format!("cannot write: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_escaped() {
        let unit = unit(
            Path::new("/opt/my 100% $tools/atalaya"),
            Some(Path::new("/etc/a$b %h \"c\" \\.toml")),
        )
        .unwrap();
        let wanted = "ExecStart=\"/opt/my 100%% $tools/atalaya\" watch --quiet --config \"/etc/a$$b %%h \\\"c\\\" \\\\.toml\"\n";
        assert!(unit.contains(wanted), "{unit}");
    }

    #[test]
    fn what_systemd_would_not_take_is_refused() {
        for program in [
            "/opt/a\nExecStartPre=/bin/sh",
            "/opt/it's/atalaya",
            "/opt/a\\b",
            "/opt/\"a\"",
        ] {
            let error = unit(Path::new(program), None).unwrap_err();
            assert!(error.to_string().contains("use a plain path"), "{error}");
        }
        assert!(unit(Path::new("/opt/atalaya"), Some(Path::new("/etc/a\n[Install]"))).is_err());
    }
}
