//! The log: what is written, where, and in which form.
//!
//! Lines go to stderr; stdout is for the start-up lines. What clients say about themselves is
//! in the log, so that human lines never hold a raw control character: nobody can forge a line
//! or recolour a terminal by the name of a connection.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, SystemTime};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::time::FormatTime;

use crate::config::{Log, LogFormat};
use crate::exit::{ExitCode, StartError};

/// Starts logging for the whole process.
///
/// # Errors
/// When the filter cannot be parsed, or logging was started before.
pub fn init(log: &Log) -> Result<(), StartError> {
    let filter = parse_filter(&log.filter)
        .map_err(|why| StartError::config(format!("log.filter cannot be understood: {why}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let is_terminal = io::stderr().is_terminal();
    let outcome = match log.format {
        LogFormat::Auto if !is_terminal => builder.json().flatten_event(true).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Human => builder
            .with_target(false)
            .with_timer(TimeOfDay)
            .with_ansi(is_terminal && wants_colour())
            .fmt_fields(format::debug_fn(write_field))
            .try_init(),
    };
    outcome.map_err(|error| StartError::new(ExitCode::OsError, format!("cannot log: {error}")))
}

/// Reads a filter such as `info` or `warn,leveret_broker=debug`.
pub(crate) fn parse_filter(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(filter).map_err(|error| error.to_string())
}

/// <https://no-color.org>
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `14:03:22.123`, UTC: the date is on nobody's mind who looks at a terminal.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        w.write_str(&time_of_day(since_epoch.unwrap_or_default()))
    }
}

fn time_of_day(since_epoch: Duration) -> String {
    let secs = since_epoch.as_secs() % 86_400;
    let (hours, minutes, seconds) = (secs / 3600, secs / 60 % 60, secs % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", since_epoch.subsec_millis())
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() == "message" {
        write!(Printable(writer), "{value:?}")
    } else {
        write!(Printable(writer), " {}={value:?}", field.name())
    }
}

/// Passes text on with control characters escaped.
struct Printable<'w, W>(&'w mut W);

impl<W: fmt::Write> fmt::Write for Printable<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            for control in part[plain.len()..].chars() {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_control_characters_stays_on_its_line() {
        let mut line = String::new();
        let forged = "a\nclosing AMQP connection\u{1b}[31m";
        write!(Printable(&mut line), "name {forged} end").expect("writing to a string");
        assert_eq!(line, "name a\\nclosing AMQP connection\\u{1b}[31m end");
    }

    #[test]
    fn the_time_is_that_of_the_day_in_utc() {
        assert_eq!(time_of_day(Duration::from_millis(86_400_000 * 3 + 3_723_045)), "01:02:03.045");
    }

    #[test]
    fn a_filter_names_levels_by_target() {
        assert!(parse_filter("info").is_ok());
        assert!(parse_filter("warn,leveret_broker=debug").is_ok());
        assert!(parse_filter("leveret_broker=loud").is_err());
    }
}
