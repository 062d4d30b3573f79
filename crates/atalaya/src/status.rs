//! `atalaya status`: how a running watcher is.

mod bandwidth;

use std::io::Write;

use atalaya_format::{escape, numbers};
use atalaya_model::Severity;
use atalaya_model::live::{Live as _, Request, Response, Status};

use crate::cli::{Output, StatusArgs};
use crate::config::load::Loaded;
use crate::control::client::Client;
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::terminal::ignore_closed_pipe;

/// Runs the verb.
///
/// # Errors
/// When no watcher answers.
pub fn run(args: &StatusArgs, loaded: &Loaded, out: &mut dyn Write) -> Result<Exit, Failure> {
    let places = Places::of_this_user();
    let configured = args
        .socket
        .clone()
        .or_else(|| loaded.config.control.socket.clone());
    let socket = configured.unwrap_or_else(|| places.socket_for(loaded.config.store.path.as_deref()));
    let shown = socket.display();
    let client = Client::connect(&socket)
        .map_err(|error| Failure::Failed(format!("cannot use the control socket {shown}: {error}")))?;
    let mut client = client.ok_or_else(|| {
        Failure::Failed(format!(
            "no watcher answers on {shown}; start one with `atalaya watch`, or name its socket with --socket"
        ))
    })?;
    let status = match client.ask(Request::Status) {
        Ok(Response::Status(status)) => status,
        Ok(Response::Refused(why)) => return Err(Failure::Failed(escape::text(&why).into_owned())),
        Ok(_) => {
            return Err(Failure::Failed(
                "the watcher gave an answer to another question".to_owned(),
            ));
        }
        Err(error) => return Err(Failure::Failed(format!("the watcher does not answer: {error}"))),
    };
    let written = match args.output {
        Output::Text => write_text(&status, out),
        Output::Json => serde_json::to_string(&status)
            .map_err(std::io::Error::from)
            .and_then(|text| writeln!(out, "{text}")),
    };
    ignore_closed_pipe(written)?;
    Ok(Exit::Clean)
}

fn write_text(status: &Status, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(
        out,
        "atalaya {} on {}, pid {}",
        status.version,
        escape::text(&status.host),
        status.pid
    )?;
    writeln!(
        out,
        "watching      since {} ({})",
        status.since.local(),
        status.now.since(status.since)
    )?;
    writeln!(out, "tier          {}", status.tier.tier.name())?;
    for (tier, why) in &status.tier.unavailable {
        writeln!(
            out,
            "              {} unavailable: {}",
            tier.name(),
            escape::text(why)
        )?;
    }
    if let Some(until) = status.learning_until {
        writeln!(out, "learning      until {}", until.local())?;
    }
    writeln!(out, "connections   {}", status.connections)?;
    writeln!(out, "listeners     {}", status.listeners)?;
    writeln!(out, "processes     {}", status.processes)?;
    let alerts = Severity::ALL.into_iter().rev().zip(status.alerts.iter().rev());
    let alerts: Vec<_> = alerts
        .map(|(severity, count)| format!("{count} {}", severity.name()))
        .collect();
    writeln!(out, "alerts        {}", alerts.join(", "))?;
    match &status.store {
        Some(store) => {
            let (path, size) = (escape::text(&store.path), numbers::bytes(store.bytes));
            writeln!(out, "store         {path}, {size}, {} rows written", store.rows)?;
            if let Some(error) = &store.error {
                writeln!(out, "              in trouble: {}", escape::text(error))?;
            }
        }
        None => writeln!(out, "store         none")?,
    }
    for (name, error) in &status.outlets {
        let state = error
            .as_ref()
            .map_or_else(|| "writes".into(), |error| escape::text(error));
        writeln!(out, "outlet        {name}: {state}")?;
    }
    writeln!(
        out,
        "cost          {:.2} CPU seconds, {}",
        status.cpu.as_seconds(),
        numbers::bytes(status.memory)
    )?;
    writeln!(out, "gaps          {}", status.gaps)?;
    for traffic in &status.traffic {
        let share = traffic.share_of_link.map_or_else(String::new, |share| {
            format!(", {:.1} % of the link", share * 100.0)
        });
        writeln!(
            out,
            "on {:<10} {} bits/s, {} packets/s{share}",
            escape::text(&traffic.name),
            numbers::count(traffic.bits_per_second),
            numbers::count(traffic.packets_per_second),
        )?;
    }
    if let Some(joined) = &status.joined {
        writeln!(
            out,
            "joined        {} connections told by packets and the kernel, {} by packets alone, {} by the kernel alone, \
             {} wait",
            joined.together, joined.packets_only, joined.kernel_only, joined.waiting
        )?;
    }
    if let Some(bandwidth) = &status.bandwidth {
        bandwidth::write(bandwidth, out)?;
    }
    if !status.stages.is_empty() {
        writeln!(
            out,
            "\nstage              received      passed     dropped      failed"
        )?;
    }
    for stage in &status.stages {
        writeln!(
            out,
            "{:<15} {:>11} {:>11} {:>11} {:>11}",
            stage.stage.name(),
            stage.received,
            stage.passed,
            stage.dropped,
            stage.errors
        )?;
    }
    for limit in &status.tier.limits {
        writeln!(
            out,
            "\nnot seen: {}\n  to change that: {}",
            escape::text(&limit.what),
            escape::text(&limit.remedy)
        )?;
    }
    Ok(())
}
