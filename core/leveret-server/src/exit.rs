//! How the process ends when it cannot do what it was asked: one sentence and one exit code.

use std::fmt;
use std::io;

/// Exit codes, numbered as in BSD's `sysexits.h`, which service managers and scripts understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The command line is wrong.
    Usage = 64,
    /// Data that was given (a message log, a password) cannot be used.
    Data = 65,
    /// A file that was named does not exist or cannot be read.
    NoInput = 66,
    /// Something needed is not there, such as a free port.
    Unavailable = 69,
    /// The operating system refused something it always grants.
    OsError = 71,
    /// A file or directory cannot be made.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Somebody else has it now; trying again later may work.
    TemporaryFailure = 75,
    /// Not permitted.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why the broker did not start, or a subcommand did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What the process ends with.
    pub code: ExitCode,
    /// For the person who started it: what is wrong, where, and what to do.
    pub message: String,
}

impl StartError {
    /// An error with any code.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An error in the command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// An error in the configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Config, message)
    }

    /// A file that was to be read could not be.
    pub fn unreadable(message: impl fmt::Display, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => ExitCode::NoInput,
            io::ErrorKind::PermissionDenied => ExitCode::NoPermission,
            _ => ExitCode::Io,
        };
        Self::new(code, format!("{message}: {}", describe(error)))
    }

    /// A file or directory could not be made.
    pub fn uncreatable(message: impl fmt::Display, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => ExitCode::NoPermission,
            _ => ExitCode::CannotCreate,
        };
        Self::new(code, format!("{message}: {}", describe(error)))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartError {}

/// The words for the errors people meet, without the number that the standard library appends.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_and_a_forbidden_one_have_their_own_codes() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let forbidden = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StartError::unreadable("cannot read x", &missing);
        assert_eq!(error.code, ExitCode::NoInput);
        assert_eq!(error.message, "cannot read x: no such file or directory");
        assert_eq!(StartError::unreadable("x", &forbidden).code, ExitCode::NoPermission);
        assert_eq!(StartError::uncreatable("x", &missing).code, ExitCode::CannotCreate);
    }
}
