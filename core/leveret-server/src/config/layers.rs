//! The layers of the configuration and how they are put together.
//!
//! A later layer replaces values and lists of an earlier one; only the tables `[[users]]`,
//! `[[plugins]]` and `[[scripts]]` of `conf.d` are added to those of the file.

use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::Config;
use crate::exit::StartError;

/// What variables of the environment begin with.
const PREFIX: &str = "LEVERET_";
/// Variables with the prefix that are no keys: where the file is, and what tests need.
const FILE_VARIABLE: &str = "LEVERET_CONFIG";
const TEST_PREFIX: &str = "LEVERET_TEST_";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` named.
    pub file: Option<PathBuf>,
    /// Variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Flags, the later the stronger.
    pub flags: Vec<Flag>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag as it was written, for messages.
    pub name: String,
    /// The key in the form `section.key`.
    pub key: String,
    /// Its value.
    pub value: FlagValue,
}

/// The value of a [`Flag`].
#[derive(Clone, Debug)]
pub enum FlagValue {
    /// Text in the form the key asks for.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl Sources {
    /// The file to read: the flag's, else the one that the environment names.
    fn file(&self) -> Option<&Path> {
        let named = self.environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        self.file.as_deref().or_else(|| named.map(|(_, value)| Path::new(value)))
    }
}

/// Puts all layers on top of the defaults; values are not judged yet.
pub(super) fn assemble(sources: &Sources) -> Result<Figment, StartError> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = sources.file() {
        figment = figment.merge(Layer::file(file)?);
        for drop_in in drop_ins(file)? {
            let (tables, values) = Layer::file(&drop_in)?.split_tables();
            figment = figment.merge(values).admerge(tables);
        }
    }
    let defaults = defaults();
    for (name, value) in &sources.environment {
        if let Some(key) = variable_key(name) {
            let layer = Layer::named(name, &key, from_text(&defaults, &key, value));
            figment = figment.merge(layer);
        }
    }
    for flag in &sources.flags {
        let value = match &flag.value {
            FlagValue::Text(text) => from_text(&defaults, &flag.key, text),
            FlagValue::List(items) => Value::from(items.clone()),
        };
        figment = figment.merge(Layer::named(&flag.name, &flag.key, value));
    }
    Ok(figment)
}

/// The defaults as a tree of values.
pub(super) fn defaults() -> Value {
    Value::serialize(Config::default()).unwrap_or_else(|_| Value::from(Dict::new()))
}

/// The key that a variable sets: `LEVERET_AMQP__PORT` is `amqp.port`.
fn variable_key(name: &str) -> Option<String> {
    if name == FILE_VARIABLE || name.starts_with(TEST_PREFIX) {
        return None;
    }
    let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
    // The short form everybody expects for the one setting people change from run to run.
    Some(if key == "log" { "log.filter".to_owned() } else { key })
}

/// Text from a variable or a flag, as the type that the key has by default.
fn from_text(defaults: &Value, key: &str, text: &str) -> Value {
    let parsed = || text.parse::<Value>().unwrap_or_else(|never| match never {});
    match defaults.find_ref(key) {
        Some(Value::String(..)) if !text.starts_with('"') => Value::from(text),
        Some(Value::Array(..)) if !text.trim_start().starts_with('[') => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::from(items.collect::<Vec<_>>())
        }
        _ => parsed(),
    }
}

/// The files in `conf.d` beside `file`, in the order of their names.
fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, StartError> {
    let directory = file.parent().unwrap_or(Path::new("")).join("conf.d");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error| StartError::unreadable(format!("cannot read {}", directory.display()), &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One layer: values and where they come from.
struct Layer {
    metadata: Metadata,
    values: Dict,
}

impl Layer {
    /// All of a TOML file.
    fn file(path: &Path) -> Result<Self, StartError> {
        // Read once here for the sake of the exit code; figment would call all failures one.
        fs::read_to_string(path).map_err(|error| {
            StartError::unreadable(
                format!("cannot read the configuration file {}", path.display()),
                &error,
            )
        })?;
        let toml = Toml::file_exact(path);
        let metadata = toml.metadata();
        let values = toml.data().map_err(|error| {
            StartError::config(format!("configuration file {}: {}", path.display(), error.kind))
        })?;
        let values = values.into_values().next().unwrap_or_default();
        Ok(Self { metadata, values })
    }

    /// One key, set by something with a name.
    fn named(name: &str, key: &str, value: Value) -> Self {
        let values = match figment::util::nest(key, value) {
            Value::Dict(_, values) => values,
            _ => Dict::new(),
        };
        Self { metadata: Metadata::named(name.to_owned()), values }
    }

    /// The lists of tables in it, and all else.
    fn split_tables(self) -> (Self, Self) {
        let is_tables = |value: &Value| {
            value.as_array().is_some_and(|items| items.iter().any(|item| item.as_dict().is_some()))
        };
        let (tables, values): (Dict, Dict) =
            self.values.into_iter().partition(|(_, value)| is_tables(value));
        (
            Self { metadata: self.metadata.clone(), values: tables },
            Self { metadata: self.metadata, values },
        )
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}
