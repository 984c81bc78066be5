//! cargo build --release --manifest-path examples/plugin-rust/Cargo.toml
//!
//! A plugin with one item of each kind. The broker loads it when the configuration says
//!
//! ```toml
//! [[plugins]]
//! path = "examples/plugin-rust/target/release/libexample.so"
//! ```
//!
//! `cargo test --manifest-path examples/plugin-rust/Cargo.toml` tests it without a broker.

mod longest_prefix;
mod owner;
mod redact;

use longest_prefix::LongestPrefix;
use owner::Owner;
use redact::Redact;

leveret_plugin::plugin! {
    name: "example",
    exchanges: [LongestPrefix],
    transforms: [Redact],
    auths: [Owner],
}

leveret_plugin::export!(PLUGIN);
