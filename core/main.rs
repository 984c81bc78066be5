//! The `leveret` binary: arguments in, exit code out.

use std::process::ExitCode;

use leveret_server::cli::{self, Command};
use leveret_server::exit::StartError;
use leveret_server::{config, hash_password, logging, serve};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), std::env::vars_os()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret: {error}");
            error.code.into()
        }
    }
}

fn run(command: Command) -> Result<(), StartError> {
    match command {
        Command::Print(text) => {
            print!("{text}");
            Ok(())
        }
        Command::HashPassword => hash_password::run(),
        Command::Serve(sources) => {
            let config = config::load(&sources)?;
            logging::init(&config.log)?;
            serve::run(config)
        }
    }
}
