//! Starts the broker with a configuration.

use crate::config::Config;
use crate::exit::StartError;

/// Runs the broker until it is told to stop.
///
/// # Errors
/// Why it could not start, or could not go on.
pub fn run(config: Config) -> Result<(), StartError> {
    drop(config);
    Ok(())
}
