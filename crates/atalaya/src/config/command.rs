//! `atalaya config`: write, check, show, schema.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use atalaya_host::clock;

use super::{Config, load, seeds, template};
use crate::cli::{ConfigArgs, ConfigVerb};
use crate::exit::{Exit, Failure};
use crate::paths::Places;
use crate::terminal::ignore_closed_pipe;

/// Runs the verb.
///
/// # Errors
/// Problems in the configuration, or a file that cannot be written.
pub fn run(args: &ConfigArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &args.verb {
        ConfigVerb::Init { like, to } => {
            let config = like.map(seeds::like).unwrap_or_default();
            let text = template(like.map_or("", seeds::about), &config)?;
            match to {
                Some(path) => {
                    create(path, &text).map_err(|error| refused(path, &error))?;
                    ignore_closed_pipe(writeln!(out, "wrote {}", path.display()))?;
                }
                None => ignore_closed_pipe(out.write_all(text.as_bytes()))?,
            }
        }
        ConfigVerb::Check { config } => {
            let loaded = read(config.as_deref())?.open_atlas().map_err(Failure::Problems)?;
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            let name = loaded
                .path
                .as_deref()
                .map_or_else(|| "no file; defaults".into(), Path::to_string_lossy);
            ignore_closed_pipe(writeln!(out, "{name}: good"))?;
        }
        ConfigVerb::Show { config } => {
            let text = text(&read(config.as_deref())?.config)?;
            ignore_closed_pipe(out.write_all(text.as_bytes()))?;
        }
        ConfigVerb::Schema => {
            let schema = schemars::schema_for!(Config);
            let text = serde_json::to_string_pretty(&schema)
                .map_err(|error| Failure::Failed(format!("cannot write the schema: {error}")))?;
            ignore_closed_pipe(writeln!(out, "{text}"))?;
        }
    }
    Ok(Exit::Clean)
}

fn read(path: Option<&Path>) -> Result<load::Loaded, Failure> {
    load::load(path, &Places::of_this_user().config, clock::now()).map_err(Failure::Problems)
}

/// The commented text of a configuration.
///
/// # Errors
/// When a value cannot be written as TOML.
pub fn text(config: &Config) -> Result<String, Failure> {
    template("", config)
}

fn template(about: &str, config: &Config) -> Result<String, Failure> {
    template::write(about, config, &schemars::schema_for!(Config))
        .map_err(|error| Failure::Failed(format!("cannot write the configuration: {error}")))
}

/// Makes a new file, readable by its owner only, since it may come to hold secrets.
fn create(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Usage(format!(
            "{path} exists and was left as it is; give another name, or remove it"
        )),
        _ => Failure::Failed(format!("cannot write {path}: {error}")),
    }
}
