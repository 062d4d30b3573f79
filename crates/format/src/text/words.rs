//! Facts in a few words: how a conversation went, how a process ended, what is unusual about it.

use atalaya_model::{Connection, Outcome, Process};

use crate::catalogue::{Language, term};

/// How a conversation went, where that is known and not as usual; else the state of its socket.
pub fn how(connection: &Connection, language: Language) -> &str {
    match connection.outcome {
        Outcome::Unknown | Outcome::Finished => connection.state.name(),
        Outcome::TimedOut => term("timed out", language),
        failed => term(failed.name(), language),
    }
}

/// How a process ended, where it did not end well: `exit code 7`, `signal 9`.
pub fn end(exit_code: i32, language: Language) -> Option<String> {
    let (code, signal) = match language {
        Language::English => ("exit code", "signal"),
        Language::Spanish => ("código de salida", "señal"),
    };
    match exit_code {
        0 => None,
        129..=192 => Some(format!("{signal} {}", exit_code - 128)),
        other => Some(format!("{code} {other}")),
    }
}

/// What is unusual about a process, each with whether an intruder's would look so.
pub fn flags(process: &Process, language: Language) -> Vec<(&'static str, bool)> {
    let flags = process.flags;
    [
        (flags.deleted, "deleted", true),
        (flags.memfd, "only in memory", true),
        (flags.standard_socket, "socket as standard input", true),
        (flags.preload, "LD_PRELOAD", true),
        (flags.script, "script", false),
        (flags.kernel_thread, "kernel thread", false),
    ]
    .into_iter()
    .filter(|(set, ..)| *set)
    .map(|(_, words, suspicious)| (term(words, language), suspicious))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_ends_are_told() {
        let english = |code| end(code, Language::English);
        assert_eq!(english(0), None);
        assert_eq!(english(7).as_deref(), Some("exit code 7"));
        assert_eq!(english(137).as_deref(), Some("signal 9"));
        assert_eq!(english(255).as_deref(), Some("exit code 255"));
        assert_eq!(end(143, Language::Spanish).as_deref(), Some("señal 15"));
    }
}
