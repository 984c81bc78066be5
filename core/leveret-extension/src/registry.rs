//! All extensions of a broker, of whatever kind and language, by name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret_plugin::abi;
use leveret_plugin::host::{Auth, ExchangeType, Host, Level, Origin, Transform};

use crate::error::LoadError;
use crate::library::{self, Completions, PendingCounts, Plugin, Setting};
use crate::lua::{LuaAuth, LuaExchangeType, LuaTransform, Pool, Script, ScriptSpec};
use crate::options::{Kind, LibraryOptions, Limits, ScriptOptions, ScriptSource};

/// All extensions of a broker.
pub struct Registry {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) limits: Limits,
    exchange_types: Vec<Arc<dyn ExchangeType>>,
    transforms: Vec<Arc<dyn Transform>>,
    auths: Vec<Arc<dyn Auth>>,
    pub(crate) failures: Vec<LoadError>,
    pool: Arc<Pool>,
    /// What plugins see of the host, made for the first of them.
    lent: Option<&'static abi::Host>,
    completions: &'static Completions,
}

/// An extension that is ready to be registered.
pub(crate) enum Extension {
    Exchange(Arc<dyn ExchangeType>),
    Transform(Arc<dyn Transform>),
    Auth(Arc<dyn Auth>),
}

impl Extension {
    fn kind(&self) -> Kind {
        match self {
            Self::Exchange(_) => Kind::Exchange,
            Self::Transform(_) => Kind::Transform,
            Self::Auth(_) => Kind::Auth,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Exchange(one) => one.name(),
            Self::Transform(one) => one.name(),
            Self::Auth(one) => one.name(),
        }
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::Exchange(one) => one.origin(),
            Self::Transform(one) => one.origin(),
            Self::Auth(one) => one.origin(),
        }
    }
}

impl Registry {
    /// An empty registry; `host` is what extensions may ask of the broker.
    pub fn new(host: Arc<dyn Host>, limits: Limits) -> Self {
        let pool = Arc::new(Pool::new(limits.auth_threads, limits.auth_queue));
        let patience = Duration::from_secs(limits.pending_secs);
        let completions = Completions::leak(patience, Arc::clone(&limits.clock));
        Self {
            host,
            limits,
            lent: None,
            completions,
            exchange_types: Vec::new(),
            transforms: Vec::new(),
            auths: Vec::new(),
            failures: Vec::new(),
            pool,
        }
    }

    /// Registers a plugin that is linked into the binary.
    pub fn add_builtin(
        &mut self,
        descriptor: &'static abi::Descriptor,
        replace: bool,
    ) -> Result<(), LoadError> {
        self.add_builtin_with(descriptor, "", replace)
    }

    /// As [`Self::add_builtin`], with a configuration (JSON text, or empty) for its items.
    pub fn add_builtin_with(
        &mut self,
        descriptor: &'static abi::Descriptor,
        config_json: &str,
        replace: bool,
    ) -> Result<(), LoadError> {
        check_config(config_json, &Origin::BuiltIn)?;
        let plugin = library::inspect_static(descriptor)?;
        self.add_plugin(&plugin, config_json, replace)
    }

    /// Loads a shared object and registers what is in it. Its code runs in this process and is
    /// trusted. A failure of one that is not required is logged and kept in [`Self::failures`].
    pub fn load_library(&mut self, path: &Path, options: &LibraryOptions) -> Result<(), LoadError> {
        match self.try_library(path, options) {
            Err(error) if !options.required => {
                let text = format!("goes on without a plugin: {error}");
                self.host.log(Level::Warn, "extensions", &text);
                self.failures.push(error);
                Ok(())
            }
            loaded => loaded,
        }
    }

    fn try_library(&mut self, path: &Path, options: &LibraryOptions) -> Result<(), LoadError> {
        let real = library::check_file(path, options.sha256.as_deref())?;
        let origin = Origin::Library(path.to_owned());
        check_config(&options.config_json, &origin)?;
        let plugin = library::open(path, &real, self.lend(), origin)?;
        let (name, version, kit) = (&plugin.name, &plugin.version, &plugin.sdk_version);
        let (path, compiler) = (path.display(), &plugin.compiler);
        let text = format!("{path}: plugin {name} {version}, made with kit {kit}, {compiler}");
        self.host.log(Level::Debug, "extensions", &text);
        self.add_plugin(&plugin, &options.config_json, options.replace)
    }

    fn add_plugin(
        &mut self,
        plugin: &Plugin,
        config_json: &str,
        replace: bool,
    ) -> Result<(), LoadError> {
        let setting = Setting {
            origin: plugin.origin.clone(),
            config_json: config_json.into(),
            host: self.lend(),
            logger: Arc::clone(&self.host),
            completions: self.completions,
        };
        let extensions = library::start(plugin, &setting)?;
        self.register(extensions, replace)
    }

    fn lend(&mut self) -> &'static abi::Host {
        let host = &self.host;
        self.lent.get_or_insert_with(|| library::lend(Arc::clone(host)))
    }

    /// How the questions to auth plugins fare.
    pub fn pending_counts(&self) -> PendingCounts {
        self.completions.counts()
    }

    /// Gives up questions that auth plugins have not answered in time, so that they are refused.
    /// To be called every few seconds.
    pub fn expire_pending(&self) {
        self.completions.expire();
    }

    /// Loads a script and registers it. The error text names script and line.
    pub fn load_script(
        &mut self,
        source: &ScriptSource,
        options: &ScriptOptions,
    ) -> Result<(), LoadError> {
        let spec = self.spec(source, options)?;
        let script =
            Script::load(spec).map_err(|failure| LoadError::Script { reason: failure.text })?;
        let extension = self.extension(script, options);
        self.register(vec![extension], options.replace)
    }

    fn spec(
        &self,
        source: &ScriptSource,
        options: &ScriptOptions,
    ) -> Result<ScriptSpec, LoadError> {
        let (label, text, origin) = match source {
            ScriptSource::Embedded { name, text } => (name.clone(), text.clone(), Origin::Embedded),
            ScriptSource::File(path) => {
                (label(path), read_script(path)?, Origin::Script(path.clone()))
            }
        };
        let millis = options.timeout_ms.unwrap_or(self.limits.script_timeout_ms);
        Ok(ScriptSpec {
            label,
            text,
            origin,
            wanted: options.kind,
            config: options.config.clone(),
            limit: Duration::from_millis(millis.max(1).into()),
            memory_bytes: options.memory_bytes.unwrap_or(self.limits.script_memory_bytes),
            host: Arc::clone(&self.host),
            clock: Arc::clone(&self.limits.clock),
        })
    }

    fn extension(&self, script: Arc<Script>, options: &ScriptOptions) -> Extension {
        match script.description().kind {
            Kind::Exchange => Extension::Exchange(Arc::new(LuaExchangeType(script))),
            Kind::Transform => {
                let on_error = options.on_error.unwrap_or(script.description().on_error);
                Extension::Transform(Arc::new(LuaTransform { script, on_error }))
            }
            Kind::Auth => {
                let pool = Arc::clone(&self.pool);
                Extension::Auth(Arc::new(LuaAuth { script, pool }))
            }
        }
    }

    /// Registers all of `extensions` or none.
    pub(crate) fn register(
        &mut self,
        extensions: Vec<Extension>,
        replace: bool,
    ) -> Result<(), LoadError> {
        for (index, new) in extensions.iter().enumerate() {
            let (kind, name) = (new.kind(), new.name());
            let twin =
                extensions[..index].iter().find(|old| old.kind() == kind && old.name() == name);
            let first = match twin {
                Some(twin) => Some(twin.origin().clone()),
                None if replace => None,
                None => self.origin_of(kind, name),
            };
            if let Some(first) = first {
                let (name, second) = (name.to_owned(), new.origin().clone());
                return Err(LoadError::Duplicate { kind, name, first, second });
            }
        }
        extensions.into_iter().for_each(|extension| self.put(extension));
        Ok(())
    }

    fn put(&mut self, new: Extension) {
        if let Some(old) = self.origin_of(new.kind(), new.name()) {
            let (noun, name, origin) = (new.kind().noun(), new.name(), new.origin());
            let text = format!("{noun} '{name}' of {origin} takes the place of the one of {old}");
            self.host.log(Level::Info, "extensions", &text);
        }
        match new {
            Extension::Exchange(new) => put(&mut self.exchange_types, new, |one| one.name()),
            Extension::Transform(new) => put(&mut self.transforms, new, |one| one.name()),
            Extension::Auth(new) => put(&mut self.auths, new, |one| one.name()),
        }
    }

    fn origin_of(&self, kind: Kind, name: &str) -> Option<Origin> {
        let found = match kind {
            Kind::Exchange => self.exchange_types.iter().find(|one| one.name() == name)?.origin(),
            Kind::Transform => self.transforms.iter().find(|one| one.name() == name)?.origin(),
            Kind::Auth => self.auths.iter().find(|one| one.name() == name)?.origin(),
        };
        Some(found.clone())
    }

    /// The exchange types, in the order in which they were registered.
    pub fn exchange_types(&self) -> Vec<Arc<dyn ExchangeType>> {
        self.exchange_types.clone()
    }

    /// The transforms, in the order in which they were registered.
    pub fn transforms(&self) -> Vec<Arc<dyn Transform>> {
        self.transforms.clone()
    }

    /// The auth plugins, in the order in which they were registered.
    pub fn auths(&self) -> Vec<Arc<dyn Auth>> {
        self.auths.clone()
    }

    /// Why extensions that were not required are missing.
    pub fn failures(&self) -> &[LoadError] {
        &self.failures
    }
}

/// A configuration must be JSON, if there is one.
fn check_config(config_json: &str, origin: &Origin) -> Result<(), LoadError> {
    if config_json.is_empty() {
        return Ok(());
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(config_json) {
        Ok(_) => Ok(()),
        Err(error) => Err(LoadError::Config { origin: origin.clone(), reason: error.to_string() }),
    }
}

/// Puts `new` in the place of the one with its name, or at the end.
fn put<T: ?Sized>(all: &mut Vec<Arc<T>>, new: Arc<T>, name: impl Fn(&T) -> &str) {
    match all.iter_mut().find(|old| name(old) == name(&new)) {
        Some(old) => *old = new,
        None => all.push(new),
    }
}

/// What error texts call a script.
fn label(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

fn read_script(path: &Path) -> Result<String, LoadError> {
    let bytes = std::fs::read(path)
        .map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    String::from_utf8(bytes)
        .map_err(|_| LoadError::Script { reason: format!("{}: is no UTF-8 text", path.display()) })
}
