//! Why an extension could not be loaded: one sentence for the operator, with what to do.

use std::path::PathBuf;

use leveret_plugin::host::Origin;
use thiserror::Error;

use crate::options::Kind;

/// Why an extension could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Two extensions of one kind have the same name.
    #[error(
        "{} '{name}' is registered twice, by {first} and by {second}; remove one of them or say \
         replace = true for the one that is to win", kind.noun()
    )]
    Duplicate {
        /// Their kind.
        kind: Kind,
        /// Their name.
        name: String,
        /// Where the one came from that is there.
        first: Origin,
        /// Where the one came from that was refused.
        second: Origin,
    },
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The path names no regular file.
    #[error("{}: is not a regular file; name the shared object itself", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else may change the file.
    #[error("{}: {reason}, so another user could run code in the broker; {remedy}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Who may change it.
        reason: String,
        /// The command that helps.
        remedy: String,
    },
    /// The file is not the one that was meant.
    #[error(
        "{}: its sha256 is {found} but the configuration says {expected}; rebuild it, or correct \
         the configuration if the change was meant", path.display()
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// Digest in the configuration.
        expected: String,
        /// Digest of the file.
        found: String,
    },
    /// The dynamic linker refused it.
    #[error("{}: is no shared object that can be loaded: {reason}", path.display())]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// What the dynamic linker says.
        reason: String,
    },
    /// The file exports no entry.
    #[error(
        "{}: exports no symbol leveret_plugin_v1, so it is not a plugin for this broker; export \
         one with leveret_plugin::plugin!, or LEVERET_PLUGIN in C", path.display()
    )]
    NoEntry {
        /// The file.
        path: PathBuf,
    },
    /// The plugin and the broker speak different versions of the contract.
    #[error(
        "{origin}: was built for plugin ABI {theirs} but this broker speaks {ours}; the {older} \
         is the older one: {remedy}"
    )]
    Version {
        /// The plugin.
        origin: Origin,
        /// What the plugin needs.
        theirs: String,
        /// What the broker speaks.
        ours: String,
        /// `plugin` or `broker`.
        older: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A panic of the plugin would end the process.
    #[error(
        "{origin}: was built with panic=abort, so that a panic in it would end the broker; \
         rebuild it with panic = \"unwind\" in its profile"
    )]
    PanicAbort {
        /// The plugin.
        origin: Origin,
    },
    /// What the plugin says of itself does not hold together.
    #[error("{origin}: its descriptor is malformed: {reason}; rebuild it with the plugin kit")]
    Descriptor {
        /// The plugin.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// A part of a plugin refused or failed to start.
    #[error("{origin}: {} '{name}' did not start: {reason}", kind.noun())]
    Start {
        /// The plugin.
        origin: Origin,
        /// Kind of the part.
        kind: Kind,
        /// Its name.
        name: String,
        /// What it says.
        reason: String,
    },
    /// A script does not compile, does not run, or does not return what it should.
    #[error("script {reason}")]
    Script {
        /// Script, line and what is wrong.
        reason: String,
    },
    /// The configuration of an extension is no JSON.
    #[error("{origin}: its configuration is no JSON: {reason}")]
    Config {
        /// The extension.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
}
