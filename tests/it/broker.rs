//! The real binary, started on a free port with a data directory of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker that runs, or did.
pub(crate) struct Broker {
    directory: TempDir,
    child: Child,
    pub(crate) port: u16,
}

impl Broker {
    /// With nothing to configure.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With the text of a configuration file.
    pub(crate) fn with(config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (child, port) = spawn(directory.path(), config);
        Self { directory, child, port }
    }

    /// Starts it again where it was, with the same data.
    pub(crate) fn start_again(&mut self, config: &str) {
        (self.child, self.port) = spawn(self.directory.path(), config);
    }

    /// A client on channel 1.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port, "guest", "guest").expect("guest logs in")
    }

    /// As a power cut would end it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
    }

    /// Waits for the end; the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// SIGTERM and what comes of it.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.terminate();
        self.wait()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.child.id());
        let statm = std::fs::read_to_string(path).expect("Linux says");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * 4096
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command with an environment that configures nothing.
pub(crate) fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leveret"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEVERET_")) {
        command.env_remove(name);
    }
    command.args(["serve", "--amqp-port", "0", "--data-dir"]).arg(data_dir);
    command.stdin(Stdio::null());
    command
}

/// Runs it with more arguments where it is expected not to start.
pub(crate) fn refused(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut child = command(data_dir)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is there");
    let until = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > until {
            let _ = child.kill();
        }
        std::thread::yield_now();
    }
    child.wait_with_output().expect("it ended")
}

fn spawn(directory: &Path, config: &str) -> (Child, u16) {
    let file = directory.join("leveret.toml");
    std::fs::write(&file, config).expect("a file can be written");
    let log = std::fs::File::create(directory.join("log")).expect("a file can be made");
    let mut child = command(&directory.join("data"))
        .arg("--config")
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary is there");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = String::new();
    while stdout.read_line(&mut lines).expect("text") > 0 {
        if let Some(port) = ready_port(&lines) {
            // What it may say later is read, so that no pipe fills.
            std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
            return (child, port);
        }
    }
    let _ = child.wait();
    let log = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    panic!("the broker did not start: {lines}{log}");
}

fn ready_port(lines: &str) -> Option<u16> {
    let ready = lines.split("leveret ready amqp=").nth(1)?;
    ready.split(' ').next()?.rsplit(':').next()?.parse().ok()
}

/// Asks again until it is so, without sleeping; fails after [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::yield_now();
    }
}
