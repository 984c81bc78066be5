//! Turns the items of a plugin into extensions.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::Arc;

use leveret_plugin::abi;
use leveret_plugin::host::{Failure, Host, Level, Origin};

use super::auth::PluginAuth;
use super::completion::Completions;
use super::exchange::PluginExchangeType;
use super::handshake::{Item, Plugin};
use super::transform::PluginTransform;
use crate::error::LoadError;
use crate::options::Kind;
use crate::registry::Extension;

/// What a plugin made: the plugin's own, which any thread may hand back to it.
pub(crate) struct Foreign(pub(crate) *mut c_void);

// SAFETY: the contract lets any thread call with it.
unsafe impl Send for Foreign {}
// SAFETY: the contract lets many threads call with it at once, where it is only read.
unsafe impl Sync for Foreign {}

/// What the items of one plugin share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) origin: Origin,
    pub(crate) config_json: Arc<str>,
    pub(crate) host: &'static abi::Host,
    pub(crate) logger: Arc<dyn Host>,
    pub(crate) completions: &'static Completions,
}

impl Setting {
    pub(crate) fn log(&self, level: Level, source: &str, text: &str) {
        self.logger.log(level, source, text);
    }
}

/// Why an item did not start.
pub(crate) enum StartError {
    /// It has not this function.
    Lacks(&'static str),
    Failed(Failure),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Starts all items of a plugin. Kinds that this broker does not know are logged and left out.
pub(crate) fn start(plugin: &Plugin, setting: &Setting) -> Result<Vec<Extension>, LoadError> {
    let mut extensions = Vec::new();
    for item in &plugin.items {
        let kind = match item.kind {
            abi::KIND_EXCHANGE => Kind::Exchange,
            abi::KIND_TRANSFORM => Kind::Transform,
            abi::KIND_AUTH => Kind::Auth,
            unknown => {
                let (origin, name) = (&plugin.origin, &item.name);
                let text = format!(
                    "{origin}: '{name}' is of kind {unknown}, which this broker \
                                    does not know; it is left out"
                );
                setting.log(Level::Warn, &plugin.name, &text);
                continue;
            }
        };
        extensions.push(start_item(kind, item, setting)?);
    }
    Ok(extensions)
}

fn start_item(kind: Kind, item: &Item, setting: &Setting) -> Result<Extension, LoadError> {
    let (name, vtable, own) = (item.name.as_str(), item.vtable, setting.clone());
    // SAFETY: the kind of an item says what its vtable is, by the contract.
    let started = unsafe {
        match kind {
            Kind::Exchange => PluginExchangeType::read(name, vtable, own)
                .map(|one| Extension::Exchange(Arc::new(one)))
                .map_err(StartError::Lacks),
            Kind::Transform => PluginTransform::start(name, vtable, own)
                .map(|one| Extension::Transform(Arc::new(one))),
            Kind::Auth => {
                PluginAuth::start(name, vtable, own).map(|one| Extension::Auth(Arc::new(one)))
            }
        }
    };
    started.map_err(|error| {
        let origin = setting.origin.clone();
        match error {
            StartError::Lacks(function) => {
                let reason = format!("{} '{name}' has no function {function}", kind.noun());
                LoadError::Descriptor { origin, reason }
            }
            StartError::Failed(failure) => {
                LoadError::Start { origin, kind, name: name.to_owned(), reason: failure.text }
            }
        }
    })
}
