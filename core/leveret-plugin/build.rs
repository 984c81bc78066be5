//! Notes the compiler's version, which a plugin's descriptor carries for information.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().unwrap_or("unknown").trim();
    println!("cargo::rustc-env=LEVERET_PLUGIN_RUSTC={version}");
}
