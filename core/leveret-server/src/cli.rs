//! The command line: words in, one [`Command`] out.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Flag, FlagValue, Sources};
use crate::exit::{ExitCode, StartError};

/// What the process was asked to do.
#[derive(Debug)]
pub enum Command {
    /// Run the broker with a configuration from these sources.
    Serve(Sources),
    /// Print the hash of a password.
    HashPassword,
    /// Print this text: `--help` or `--version`.
    Print(String),
}

/// An AMQP 0-9-1 broker; exchange types, transforms and logins are plugins.
#[derive(Parser)]
#[command(
    name = "leveret",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    help_template = TEMPLATE
)]
struct Line {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    subcommand: Option<Verb>,
}

const TEMPLATE: &str = "{about}

Usage: leveret [serve] [OPTIONS]
       leveret hash-password    read a password, print its hash for [[users]]

{options}

Every key of config/leveret.toml is a variable, too: LEVERET_SECTION__KEY.";

#[derive(Subcommand)]
enum Verb {
    /// Run the broker (what happens without a command).
    #[command(override_usage = "leveret serve [OPTIONS]")]
    Serve(ServeArgs),
    /// Read a password from standard input, print its hash for `password_hash`.
    HashPassword,
}

#[derive(Args)]
struct ServeArgs {
    /// Read this file, and conf.d/*.toml beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen on this address [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// Port for clients; 0: a free one [default: 5672]
    #[arg(long, value_name = "N")]
    amqp_port: Option<u16>,
    /// Port for tools; 0: a free one [default: 15672]
    #[arg(long, value_name = "N")]
    management_port: Option<u16>,
    /// Keep messages and definitions here
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Load every .so in here (repeatable)
    #[arg(long, value_name = "DIR")]
    plugin_dir: Vec<PathBuf>,
    /// Load every .lua in here (repeatable)
    #[arg(long, value_name = "DIR")]
    script_dir: Vec<PathBuf>,
    /// Set a key such as amqp.backlog=64 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// Levels to log, such as warn,leveret_broker=debug
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or("it must be KEY=VALUE, such as amqp.port=5673")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Reads the command line (with the program's name first) and the environment.
///
/// # Errors
/// What is wrong with the command line, with [`ExitCode::Usage`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, StartError> {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => return Ok(Command::Print(error.to_string())),
        Err(error) => return Err(StartError::usage(plain(&error.to_string()))),
    };
    let serve = match line.subcommand {
        Some(Verb::HashPassword) => return Ok(Command::HashPassword),
        Some(Verb::Serve(serve)) => serve,
        None => line.serve,
    };
    Ok(Command::Serve(Sources {
        environment: readable(environment)?,
        flags: serve.flags()?,
        file: serve.config,
    }))
}

/// Clap's text without the prefix that the caller writes itself.
fn plain(text: &str) -> String {
    text.strip_prefix("error: ").unwrap_or(text).trim_end().to_owned()
}

/// The variables of the environment that could be ours.
fn readable(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, StartError> {
    let mut variables = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
        let value = value.into_string().map_err(|_| {
            StartError::new(ExitCode::Config, format!("the value of {name} is not UTF-8 text"))
        })?;
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("LEVERET_") || name == "HOME" || name == "XDG_STATE_HOME"
}

impl ServeArgs {
    /// Everything that sets a key; named flags are stronger than `--set`.
    fn flags(&self) -> Result<Vec<Flag>, StartError> {
        let mut flags = Vec::new();
        let mut add = |name: &str, key: &str, value: FlagValue| {
            flags.push(Flag { name: name.to_owned(), key: key.to_owned(), value });
        };
        for (key, value) in &self.set {
            add("--set", key, FlagValue::Text(value.clone()));
        }
        if let Some(bind) = self.bind {
            add("--bind", "amqp.bind", FlagValue::Text(bind.to_string()));
            add("--bind", "management.bind", FlagValue::Text(bind.to_string()));
        }
        if let Some(port) = self.amqp_port {
            add("--amqp-port", "amqp.port", FlagValue::Text(port.to_string()));
        }
        if let Some(port) = self.management_port {
            add("--management-port", "management.port", FlagValue::Text(port.to_string()));
        }
        if let Some(filter) = &self.log {
            add("--log", "log.filter", FlagValue::Text(filter.clone()));
        }
        if let Some(directory) = &self.data_dir {
            add("--data-dir", "data_dir", FlagValue::Text(text("--data-dir", directory)?));
        }
        for (name, key, directories) in [
            ("--plugin-dir", "plugin_dirs", &self.plugin_dir),
            ("--script-dir", "script_dirs", &self.script_dir),
        ] {
            if !directories.is_empty() {
                let texts = directories.iter().map(|directory| text(name, directory));
                add(name, key, FlagValue::List(texts.collect::<Result<_, _>>()?));
            }
        }
        Ok(flags)
    }
}

/// A path as text: the layers of the configuration hold nothing else.
fn text(flag: &str, path: &PathBuf) -> Result<String, StartError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| StartError::usage(format!("{flag}: {path:?} is not UTF-8 text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Command, StartError> {
        let words = ["leveret"].iter().chain(words).map(OsString::from);
        parse(words.collect::<Vec<_>>(), [])
    }

    fn help() -> String {
        match parse_words(&["--help"]) {
            Ok(Command::Print(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn help_fits_a_screen() {
        let help = help();
        assert!(help.lines().count() <= 24, "{} lines:\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }

    #[test]
    fn serve_may_be_said_or_left_out() {
        for words in [&["--amqp-port", "0"][..], &["serve", "--amqp-port", "0"]] {
            let Ok(Command::Serve(sources)) = parse_words(words) else { panic!("{words:?}") };
            assert_eq!(sources.flags.len(), 1);
            assert_eq!(sources.flags[0].key, "amqp.port");
        }
    }

    #[test]
    fn what_is_wrong_with_the_line_is_a_usage_error() {
        for words in [
            &["--amqp-prot", "1"][..],
            &["--amqp-port", "70000"],
            &["--bind", "localhost"],
            &["--set", "amqp.port"],
            &["dance"],
        ] {
            let error = parse_words(words).expect_err("must be refused");
            assert_eq!(error.code, ExitCode::Usage, "{words:?}");
            assert!(!error.message.starts_with("error"), "{error}");
        }
    }

    #[test]
    fn repeated_directories_are_one_list() {
        let words = ["--plugin-dir", "a", "--plugin-dir", "b"];
        let Ok(Command::Serve(sources)) = parse_words(&words) else { panic!("refused") };
        let FlagValue::List(directories) = &sources.flags[0].value else { panic!("no list") };
        assert_eq!(directories, &["a", "b"]);
    }
}
