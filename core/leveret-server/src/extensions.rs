//! Which extensions are loaded, from where, and in which order they are asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_extension::{
    Kind, LibraryOptions, Limits, LoadError, Registry, ScriptOptions, ScriptSource,
    embedded_scripts,
};
use leveret_plugin::host::{Auth, Host, Origin, Transform};
use serde_json::Value;

use crate::banner::Loaded;
use crate::config::Config;
use crate::exit::{ExitCode, StartError};

/// Loads what is built in, what the directories hold, and what the configuration names, in this
/// order.
pub(crate) fn load(config: &Config, host: Arc<dyn Host>) -> Result<Registry, StartError> {
    let limits = Limits {
        script_timeout_ms: u32::try_from(config.lua.timeout_ms).unwrap_or(u32::MAX),
        script_memory_bytes: usize::try_from(config.lua.memory_bytes).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let mut registry = Registry::new(host, limits);
    load_all(config, &mut registry).map_err(|error| match error {
        Problem::Load(error) => StartError::config(error.to_string()),
        Problem::Start(error) => error,
    })?;
    Ok(registry)
}

enum Problem {
    Load(LoadError),
    Start(StartError),
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

fn load_all(config: &Config, registry: &mut Registry) -> Result<(), Problem> {
    for plugin in [
        &leveret_direct::PLUGIN,
        &leveret_fanout::PLUGIN,
        &leveret_topic::PLUGIN,
        &leveret_headers::PLUGIN,
        &leveret_internal::PLUGIN,
    ] {
        registry.add_builtin(plugin, false)?;
    }
    for script in embedded_scripts() {
        registry.load_script(&script, &ScriptOptions::default())?;
    }
    for path in files(&config.plugin_dirs, "so")? {
        // A plugin that somebody put into a directory is meant to be used.
        let options = LibraryOptions { replace: true, ..LibraryOptions::default() };
        registry.load_library(&path, &options)?;
    }
    for path in files(&config.script_dirs, "lua")? {
        let options = ScriptOptions { replace: true, ..ScriptOptions::default() };
        registry.load_script(&ScriptSource::File(path), &options)?;
    }
    load_named(config, registry)
}

/// What `[[plugins]]` and `[[scripts]]` name.
fn load_named(config: &Config, registry: &mut Registry) -> Result<(), Problem> {
    for plugin in &config.plugins {
        let options = LibraryOptions {
            replace: plugin.replace,
            config_json: plugin.config_json(),
            sha256: plugin.sha256.clone(),
            required: plugin.required,
        };
        registry.load_library(&plugin.path, &options)?;
    }
    for script in &config.scripts {
        let options = ScriptOptions {
            kind: None::<Kind>,
            replace: script.replace,
            config: Value::from(script.config.clone()),
            on_error: script.on_error.map(Into::into),
            timeout_ms: script.timeout_ms.and_then(|ms| u32::try_from(ms).ok()),
            memory_bytes: script.memory_bytes.and_then(|bytes| usize::try_from(bytes).ok()),
        };
        registry.load_script(&ScriptSource::File(script.path.clone()), &options)?;
    }
    Ok(())
}

/// The files of this kind in the directories, by name.
fn files(directories: &[PathBuf], extension: &str) -> Result<Vec<PathBuf>, StartError> {
    let mut found = Vec::new();
    for directory in directories {
        found.extend(files_in(directory, extension)?);
    }
    Ok(found)
}

fn files_in(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, StartError> {
    let unreadable = |error: &std::io::Error| {
        StartError::unreadable(format!("cannot read directory {}", directory.display()), error)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The auth plugins that `auth.chain` names, in its order.
pub(crate) fn auth_chain(
    config: &Config,
    registry: &Registry,
) -> Result<Vec<Arc<dyn Auth>>, StartError> {
    let auths = registry.auths();
    let find = |name: &String| {
        let found = auths.iter().find(|auth| auth.name() == name).cloned();
        found.ok_or_else(|| unknown("auth.chain", name, auths.iter().map(|auth| auth.name())))
    };
    config.auth.chain.iter().map(find).collect()
}

/// The transforms that `transforms.chain` names, in its order.
pub(crate) fn transform_chain(
    config: &Config,
    registry: &Registry,
) -> Result<Vec<Arc<dyn Transform>>, StartError> {
    let transforms = registry.transforms();
    let find = |name: &String| {
        let found = transforms.iter().find(|transform| transform.name() == name).cloned();
        found.ok_or_else(|| unknown("transforms.chain", name, transforms.iter().map(|t| t.name())))
    };
    config.transforms.chain.iter().map(find).collect()
}

/// What was loaded and has no effect, one sentence each, for the start-up lines.
pub(crate) fn warnings(config: &Config, registry: &Registry) -> Vec<String> {
    let chain = &config.transforms.chain;
    let transforms = registry.transforms();
    let idle = transforms.iter().map(|transform| transform.name().to_owned());
    idle.filter(|name| !chain.contains(name))
        .map(|name| {
            format!(
                "transform `{name}` is loaded, but transforms.chain does not name it: it never runs"
            )
        })
        .collect()
}

fn unknown<'n>(key: &str, name: &str, loaded: impl Iterator<Item = &'n str>) -> StartError {
    let loaded: Vec<&str> = loaded.collect();
    let loaded = if loaded.is_empty() { "none".to_owned() } else { loaded.join(", ") };
    let text = format!("{key} names `{name}`, which is not loaded (loaded: {loaded})");
    StartError::new(ExitCode::Config, text)
}

/// Name, kind and origin of everything that was loaded, for the start-up lines.
pub(crate) fn loaded(registry: &Registry) -> Vec<(&'static str, String, Origin)> {
    let mut all = Vec::new();
    for kind in registry.exchange_types() {
        all.push(("exchange", kind.name().to_owned(), kind.origin().clone()));
    }
    for transform in registry.transforms() {
        all.push(("transform", transform.name().to_owned(), transform.origin().clone()));
    }
    for auth in registry.auths() {
        all.push(("auth", auth.name().to_owned(), auth.origin().clone()));
    }
    all
}

/// The same as the banner wants it.
pub(crate) fn lines<'l>(loaded: &'l [(&'static str, String, Origin)]) -> Vec<Loaded<'l>> {
    loaded.iter().map(|(kind, name, origin)| Loaded { kind, name, origin }).collect()
}
