//! The command `atalaya`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use atalaya::cli::{Cli, Verb, WatchArgs};
use atalaya::config::load::Loaded;
use atalaya::exit::{Exit, Failure};
use atalaya::terminal::Terminal;
use atalaya::{
    alerts, capture, cli, config, database, documents, export, import, plan, processes, query, replay, rules,
    service, snapshot, status, watch,
};
use atalaya_host::clock;
use clap::{CommandFactory as _, Parser as _};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are data; everything else is a complaint. A closed terminal wants neither.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Clean
            }
            .into();
        }
    };
    let terminal = Terminal::detect();
    atalaya::talk::start(&terminal);
    let mut out = BufWriter::with_capacity(64 << 10, std::io::stdout());
    let exit = match run(cli, &terminal, &mut out) {
        Ok(exit) => exit,
        Err(failure) => {
            atalaya::talk::failure(&failure);
            failure.exit()
        }
    };
    // Whoever closed the pipe has had enough; a failing disk was reported where it was written.
    drop(out.flush());
    exit.into()
}

fn run(cli: Cli, terminal: &Terminal, out: &mut dyn Write) -> Result<Exit, Failure> {
    match cli.verb {
        None => look(&cli.snapshot, terminal, out),
        Some(Verb::Snapshot(args)) => look(&args, terminal, out),
        Some(Verb::Watch(args)) => {
            let loaded = load_whole(&args.common, &[])?;
            if args.plan {
                return plan::run(&args, args.output, loaded, out);
            }
            watch::run(&args, loaded, *terminal)
        }
        Some(Verb::Plan(args)) => {
            let loaded = load(&args.common)?;
            plan::run(
                &WatchArgs {
                    common: args.common,
                    ..WatchArgs::default()
                },
                args.output,
                loaded,
                out,
            )
        }
        Some(Verb::Status(args)) => status::run(&args, &load(&args.common)?, out),
        Some(Verb::Processes(args)) => {
            let loaded = load(&args.store.common)?;
            processes::run(&args, loaded, terminal, out)
        }
        Some(Verb::Replay(args)) => {
            let loaded = load_whole(&args.results.common, &args.results.geo)?;
            replay::run(&args, loaded, terminal, out)
        }
        Some(Verb::Verify(args)) => {
            let what = match &args.verb {
                cli::VerifyVerb::Processes(what) | cli::VerifyVerb::Network { what, .. } => what,
            };
            documents::verify::run(&args, &load(&what.common)?, terminal, out)
        }
        Some(Verb::Import(args)) => {
            let loaded = load_whole(&args.results.common, &args.results.geo)?;
            import::run(&args, loaded, terminal, out)
        }
        Some(Verb::Export(args)) => export::run(&args, &load(&args.database.common)?, out),
        Some(Verb::Capture(args)) => capture::run(&args, load(&args.common)?),
        Some(Verb::Alerts(args)) => {
            let common = match &args.verb {
                cli::AlertsVerb::List(list) => &list.store.common,
                cli::AlertsVerb::Show(alert) | cli::AlertsVerb::Ack(alert) => &alert.store.common,
                cli::AlertsVerb::Close { alert, .. } => &alert.store.common,
                cli::AlertsVerb::Silence { store, .. } => &store.common,
            };
            alerts::run(&args, &load(common)?, terminal, out)
        }
        Some(Verb::Query(args)) => query::run(&args, &load(&args.database.common)?, terminal, out),
        Some(Verb::Database(args)) => {
            let loaded = load(&args.verb.database().common)?;
            database::run(&args.verb, &loaded, out)
        }
        Some(Verb::Report(args)) => {
            documents::report::run(&args, &load(&args.database.common)?, terminal, out)
        }
        Some(Verb::Timeline(args)) => {
            documents::timeline::run(&args, &load(&args.database.common)?, terminal, out)
        }
        Some(Verb::Diff(args)) => documents::diff::run(&args, &load(&args.common)?, terminal, out),
        Some(Verb::Config(args)) => config::command::run(&args, out),
        Some(Verb::Service(args)) => service::run(&args, out),
        Some(Verb::Rules(args)) => rules::run(&args, out),
        Some(Verb::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "atalaya", out);
            Ok(Exit::Clean)
        }
        Some(Verb::Man) => {
            atalaya::terminal::ignore_closed_pipe(atalaya::man::write(out))?;
            Ok(Exit::Clean)
        }
    }
}

fn look(args: &cli::SnapshotArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<Exit, Failure> {
    let loaded = load_whole(&args.common, &[])?;
    if args.plan {
        let watch = WatchArgs {
            common: args.common.clone(),
            tier: args.tier,
            ..WatchArgs::default()
        };
        return plan::run(&watch, cli::Output::Text, loaded, out);
    }
    snapshot::run(args, loaded, terminal, out)
}

fn load(common: &cli::CommonArgs) -> Result<Loaded, Failure> {
    let loaded = read(common)?;
    warn(&loaded);
    Ok(loaded)
}

/// The configuration with databases of addresses: those that it names, or else those given.
fn load_whole(common: &cli::CommonArgs, geo: &[PathBuf]) -> Result<Loaded, Failure> {
    let mut loaded = read(common)?;
    if !geo.is_empty() {
        // Paths of the command line are not beside the configuration.
        let absolute = geo.iter().map(std::path::absolute);
        loaded.config.geo.files = absolute
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::Usage(format!("--geo: {error}")))?;
    }
    let loaded = loaded.open_atlas().map_err(Failure::Problems)?;
    warn(&loaded);
    Ok(loaded)
}

fn read(common: &cli::CommonArgs) -> Result<Loaded, Failure> {
    let usual = atalaya::paths::Places::of_this_user().config;
    config::load::load(common.config.as_deref(), &usual, clock::now()).map_err(Failure::Problems)
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}
