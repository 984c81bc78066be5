//! `leveret hash-password`: a password in, the line for `password_hash` out.
//!
//! The hash itself is the business of the plugin that verifies it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::exit::{ExitCode, StartError};

/// Ctrl-C, which arrives as a character while the terminal asks for a password.
const INTERRUPT: char = '\u{3}';

/// Asks for a password, or reads it from stdin where that is no terminal, and prints its hash.
///
/// # Errors
/// When there is no password, or the two differ.
pub fn run() -> Result<(), StartError> {
    let password = if io::stdin().is_terminal() { ask_twice()? } else { read_line()? };
    if password.is_empty() {
        return Err(StartError::new(ExitCode::Data, "the password is empty"));
    }
    let hashed = leveret_internal::hash_password(password.as_bytes());
    writeln!(io::stdout(), "{hashed}").map_err(|error| io_error(&error))
}

fn ask_twice() -> Result<String, StartError> {
    let _silence = Silence::begin().map_err(|error| io_error(&error))?;
    let password = ask("Password: ")?;
    if ask("Again: ")? != password {
        return Err(StartError::new(ExitCode::Data, "the two passwords differ"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<String, StartError> {
    let mut stderr = io::stderr();
    write!(stderr, "{prompt}").and_then(|()| stderr.flush()).map_err(|error| io_error(&error))?;
    let answer = read_line();
    // The newline that was typed was not echoed either. It is only looks: a failure is none.
    let _ = writeln!(stderr);
    match answer {
        Ok(answer) if answer.contains(INTERRUPT) => {
            Err(StartError::new(ExitCode::Usage, "interrupted"))
        }
        answer => answer,
    }
}

fn read_line() -> Result<String, StartError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| {
        StartError::unreadable("cannot read the password from standard input", &error)
    })?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn io_error(error: &io::Error) -> StartError {
    StartError::new(ExitCode::Io, format!("cannot talk to the terminal: {error}"))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = termios::tcgetattr(&stdin)?;
        let mut silent = before.clone();
        // Without signals too: a process that is killed here would leave the terminal silent.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        termios::tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // There is nothing to be done about a terminal that went away.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
