//! Flags of `db`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CommonArgs, Output};

/// What `--help` shows last.
pub(super) const EXAMPLES: &str = "\
Examples:
  atalaya db stats                                   rows and bytes of each table
  atalaya db check                                   read every page; which tables survive a damage
  atalaya db backup /backup/atalaya.db               a copy, also while a watch writes
  atalaya db vacuum                                  rebuild the file; no watch may write it meanwhile

Exit status: 0 done, 2 usage or configuration error, 3 the run failed, or the check found damage.";

/// Flags of `db`.
#[derive(Clone, Debug, Args)]
pub struct DatabaseArgs {
    /// What to do with the database.
    #[command(subcommand)]
    pub verb: DatabaseVerb,
}

/// What to do with the database.
#[derive(Clone, Debug, Subcommand)]
pub enum DatabaseVerb {
    /// Copy the database into one file, also while a watch writes; an older backup of that name is replaced in the end.
    Backup {
        /// Where the database is.
        #[command(flatten)]
        database: WhichDatabase,
        /// The copy.
        file: PathBuf,
    },
    /// Read every page and index, and say which tables survive where something is damaged.
    Check {
        /// Where the database is.
        #[command(flatten)]
        database: WhichDatabase,
        /// How to write.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Say how many rows and bytes each table has.
    Stats {
        /// Where the database is.
        #[command(flatten)]
        database: WhichDatabase,
        /// How to write.
        #[arg(long, short, value_enum, default_value_t)]
        output: Output,
    },
    /// Rebuild the file without holes. It needs as much room again while it runs.
    Vacuum {
        /// Where the database is.
        #[command(flatten)]
        database: WhichDatabase,
    },
}

impl DatabaseVerb {
    /// Which database it is about.
    pub const fn database(&self) -> &WhichDatabase {
        match self {
            Self::Backup { database, .. }
            | Self::Check { database, .. }
            | Self::Stats { database, .. }
            | Self::Vacuum { database } => database,
        }
    }
}

/// Which database.
#[derive(Clone, Debug, Args)]
pub struct WhichDatabase {
    /// Flags that most verbs share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The database; default as in the configuration.
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}
