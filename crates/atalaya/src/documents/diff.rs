//! `atalaya diff`: two times of one database, or two databases.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use atalaya_host::clock;
use atalaya_model::{Span, Time};
use atalaya_report::document::diff::{Question, Side, diff, is_different};

use super::{failed, file, hand_out, open, open_at, range};
use crate::cli::{DiffArgs, DocumentFormat, Moment};
use crate::config::load::Loaded;
use crate::exit::{Exit, Failure};
use crate::setup::{self, VERSION};
use crate::terminal::Terminal;

/// Runs the verb.
///
/// # Errors
/// A side that is neither time nor database, a store that cannot be read, a file that cannot be written.
pub fn run(
    args: &DiffArgs,
    loaded: &Loaded,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let now = clock::now();
    let file = file(&args.times)?;
    let question = Question {
        now,
        limit: args.limit as usize,
        version: VERSION.into(),
    };
    let times = (times(&args.before, now)?, times(&args.after, now)?);
    let document = match times {
        (Some(before), Some(after)) => {
            if args.times.last.is_some() || args.times.from.is_some() || args.times.until.is_some() {
                return Err(Failure::Usage(
                    "two times are compared: --last, --from and --until are for two databases".to_owned(),
                ));
            }
            let opened = open(args.store.as_deref(), loaded)?;
            let side = |range: Range<Time>, word: &str| Side {
                reader: &opened.reader,
                range,
                name: word.into(),
            };
            diff(&side(before, &args.before), &side(after, &args.after), &question)
        }
        (None, None) => {
            if args.store.is_some() {
                return Err(Failure::Usage(
                    "two databases are compared: --store is for two times".to_owned(),
                ));
            }
            let range = range(&args.times, None, now)?;
            let before = open_at(args.before.clone().into(), false).map_err(failed)?;
            let after = open_at(args.after.clone().into(), false).map_err(failed)?;
            // By their files: two copies of one host's database have the same host.
            let side = |reader, word: &str| Side {
                reader,
                range: range.clone(),
                name: word.into(),
            };
            diff(
                &side(&before.reader, &args.before),
                &side(&after.reader, &args.after),
                &question,
            )
        }
        _ => {
            return Err(Failure::Usage(
                "both sides must be times (7d..24h 24h..) or both databases".to_owned(),
            ));
        }
    };
    let document = document.map_err(failed)?;
    let language = setup::language(args.common.lang);
    let format = args.output.or_else(|| file.and_then(DocumentFormat::of));
    let format = format.unwrap_or(DocumentFormat::Text);
    hand_out(&document, format, language, file, terminal, out)?;
    Ok(match is_different(&document) {
        true => Exit::Found,
        false => Exit::Clean,
    })
}

/// The time `FROM..TO` of a side; `None` where it names a file.
fn times(side: &str, now: Time) -> Result<Option<Range<Time>>, Failure> {
    if Path::new(side).exists() {
        return Ok(None);
    }
    let Some((from, until)) = side.split_once("..") else {
        return Err(Failure::Usage(format!(
            "`{side}` is neither a database nor a time such as `7d..24h` or `2026-11-01..2026-11-08`"
        )));
    };
    let moment = |text: &str, unsaid: Time| match text.trim() {
        "" => Ok(unsaid),
        text => crate::cli::moment(text)
            .map(|moment: Moment| moment.at(now))
            .map_err(|hint| Failure::Usage(format!("`{text}` in `{side}`: {hint}"))),
    };
    let range = moment(from, Time(0))?..moment(until, now.after(Span(1)))?;
    if range.start >= range.end {
        return Err(Failure::Usage(format!("`{side}` ends no later than it begins")));
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_time_or_a_database() {
        let now = Time::from_seconds(1_000_000);
        let seconds = |side: &str| {
            let range = times(side, now).unwrap().unwrap();
            (range.start.seconds(), range.end.seconds())
        };
        assert_eq!(seconds("2h..1h"), (992_800, 996_400));
        assert_eq!(seconds("1h.."), (996_400, 1_000_000));
        assert_eq!(seconds("..1h"), (0, 996_400));
        assert_eq!(times("/", now).unwrap(), None);
        for wrong in ["1h..2h", "nothing.db", "a..b", "1h"] {
            let failure = times(wrong, now).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{wrong}");
        }
    }
}
