//! The configuration: one tree of values, read from five layers, checked as a whole.
//!
//! Defaults, then the file that `--config` names, then `conf.d/*.toml` beside it, then the
//! environment (`LEVERET_SECTION__KEY`), then flags: each overrides what came before. Nothing is
//! read that nobody named. `sections` holds names and defaults, `layers` puts the layers
//! together, `check` judges values, `problem` words what is wrong.

mod check;
mod keys;
mod layers;
mod position;
mod problem;
mod sections;
mod values;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use layers::{Flag, FlagValue, Sources};
pub use sections::{
    Amqp, Auth, Compatibility, Limits, Log, LogFormat, Lua, Management, OnError, Permissions,
    Plugin, Script, Store, Transforms, User,
};

use crate::exit::StartError;

/// Everything that can be configured. Has no `Debug`: users' password hashes are in it.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where messages and definitions are kept. Empty in a file means the state directory of
    /// the user; [`load`] fills that in.
    #[serde(deserialize_with = "values::path")]
    pub data_dir: PathBuf,
    /// Directories of which every `.so` is loaded.
    #[serde(deserialize_with = "values::paths")]
    pub plugin_dirs: Vec<PathBuf>,
    /// Directories of which every `.lua` is loaded.
    #[serde(deserialize_with = "values::paths")]
    pub script_dirs: Vec<PathBuf>,
    /// Virtual hosts that exist from the first start on.
    pub vhosts: Vec<String>,
    /// The listener for clients.
    pub amqp: Amqp,
    /// The listener for people and tools.
    pub management: Management,
    /// What one client may use.
    pub limits: Limits,
    /// The message log.
    pub store: Store,
    /// Who is asked about logins and permissions.
    pub auth: Auth,
    /// Which transforms run.
    pub transforms: Transforms,
    /// What scripts may use.
    pub lua: Lua,
    /// What clients are told about the broker.
    pub compatibility: Compatibility,
    /// What is logged.
    pub log: Log,
    /// Users, in addition to guest.
    pub users: Vec<User>,
    /// Shared objects to load.
    pub plugins: Vec<Plugin>,
    /// Lua files to load.
    pub scripts: Vec<Script>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            plugin_dirs: Vec::new(),
            script_dirs: Vec::new(),
            vhosts: vec!["/".to_owned()],
            amqp: Amqp::default(),
            management: Management::default(),
            limits: Limits::default(),
            store: Store::default(),
            auth: Auth::default(),
            transforms: Transforms::default(),
            lua: Lua::default(),
            compatibility: Compatibility::default(),
            log: Log::default(),
            users: Vec::new(),
            plugins: Vec::new(),
            scripts: Vec::new(),
        }
    }
}

impl Config {
    /// What is allowed but probably not meant, one sentence each, for the start-up lines.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.amqp.bind.is_loopback() && self.users.is_empty() {
            warnings.push(format!(
                "amqp.bind is {}, but there is no [[users]] and guest may come from this machine \
                 only: nobody can log in from elsewhere",
                self.amqp.bind
            ));
        }
        for user in self.users.iter().filter(|user| user.permissions.is_empty()) {
            warnings.push(format!(
                "user `{}` has no [[users.permissions]] and can open no virtual host",
                user.name
            ));
        }
        warnings
    }
}

/// Reads and checks the configuration, and fills in the data directory where none is named.
///
/// # Errors
/// Says which file, variable or flag holds which key, what is wrong with it and what to do.
pub fn load(sources: &Sources) -> Result<Config, StartError> {
    let figment = layers::assemble(sources)?;
    let mut config: Config =
        figment.extract().map_err(|error| problem::describe(&figment, error))?;
    check::check(&config).map_err(|finding| problem::locate(&figment, &finding))?;
    if config.data_dir.as_os_str().is_empty() {
        config.data_dir = state_directory(&sources.environment)?;
    }
    Ok(config)
}

/// Where an operating system keeps what programs must not forget: the system's place for root,
/// the user's own for others.
fn state_directory(environment: &[(String, String)]) -> Result<PathBuf, StartError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/leveret"));
    }
    let absolute = |name: &str| {
        let value = environment.iter().find(|(key, _)| key == name)?;
        Some(Path::new(&value.1)).filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").map(Path::to_path_buf);
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state.map(|directory| directory.join("leveret")).ok_or_else(|| {
        StartError::config(
            "no place for the data: neither XDG_STATE_HOME nor HOME is set; \
             name one with --data-dir DIR",
        )
    })
}

#[cfg(test)]
mod tests;
