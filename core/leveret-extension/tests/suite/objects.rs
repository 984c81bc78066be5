//! Shared objects that the tests make: in C with the C compiler, in Rust with cargo.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where this test's binary was built to, such as `target/release`.
fn built() -> PathBuf {
    let binary = std::env::current_exe().expect("has a path");
    binary.ancestors().nth(2).expect("is in deps").to_owned()
}

/// A place for what the tests make.
pub(crate) fn scratch() -> PathBuf {
    let place = built().join("fixtures");
    std::fs::create_dir_all(&place).expect("can be made");
    place
}

fn run(command: &mut Command) {
    let done = command.output().expect("runs");
    assert!(done.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&done.stderr));
}

/// Compiles a fixture of tests/plugins/c with these definitions, as `name`.
pub(crate) fn c(source: &str, name: &str, definitions: &[&str]) -> PathBuf {
    let object = scratch().join(name);
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-o"]);
    command.arg(&object).arg(root().join("tests/plugins/c").join(source));
    command.args(definitions.iter().map(|definition| format!("-D{definition}")));
    run(&mut command);
    object
}

/// Builds a package of the workspace into a shared object.
pub(crate) fn cargo(package: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let target = built();
    let profile = target.file_name().and_then(OsStr::to_str).expect("has a name");
    let mut command = cargo_build(package);
    command.arg(if profile == "debug" { "--profile=dev" } else { "--profile=release" });
    command.arg("--target-dir").arg(target.parent().expect("has one"));
    run(&mut command);
    target.join(file_name(package))
}

/// As [`cargo`], with panics that abort.
pub(crate) fn cargo_with_abort(package: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let target = scratch().join("abort");
    BUILT.get_or_init(|| {
        let mut command = cargo_build(package);
        command.args(["--release", "--config", "profile.release.panic=\"abort\""]);
        run(command.arg("--target-dir").arg(&target));
    });
    target.join("release").join(file_name(package))
}

fn cargo_build(package: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["build", "--quiet", "--offline", "-p", package]);
    command
}

fn file_name(package: &str) -> String {
    format!("lib{}.so", package.replace('-', "_"))
}
