//! What the tests share: a host, short ways to load scripts, and messages.

use std::sync::Arc;

use leveret_extension::{Limits, LoadError, ManualClock, Registry, ScriptOptions, ScriptSource};
use leveret_plugin::host::{Declaration, Exchange, Failure, Host, Level, Slot, Table, UserRecord};
use leveret_plugin::message::{Binding, Message};
use leveret_plugin::properties::PropertiesEditor;
use leveret_plugin::table::TableBuilder;
use leveret_plugin::value::Value;
use parking_lot::Mutex;

/// A host that keeps what is logged.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) lines: Mutex<Vec<(Level, String)>>,
}

impl Host for TestHost {
    fn log(&self, level: Level, _source: &str, text: &str) {
        self.lines.lock().push((level, text.to_owned()));
    }

    fn user(&self, name: &str) -> Option<UserRecord> {
        (name == "guest").then(|| UserRecord {
            name: name.into(),
            password_hash: "well-known:guest".into(),
            tags: vec!["administrator".into(), "monitoring".into()],
            loopback_only: true,
            permissions: Vec::new(),
        })
    }
}

pub(crate) fn registry() -> Registry {
    Registry::new(Arc::new(TestHost::default()), Limits::default())
}

/// A registry whose suspensions go by the clock returned with it.
pub(crate) fn registry_with_clock() -> (Registry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let limits = Limits { clock: Arc::clone(&clock) as _, ..Limits::default() };
    (Registry::new(Arc::new(TestHost::default()), limits), clock)
}

pub(crate) fn embedded(name: &str, text: &str) -> ScriptSource {
    ScriptSource::Embedded { name: name.into(), text: text.into() }
}

/// Loads a script named `test.lua`.
pub(crate) fn load(text: &str) -> Result<Registry, LoadError> {
    load_with(text, &ScriptOptions::default())
}

pub(crate) fn load_with(text: &str, options: &ScriptOptions) -> Result<Registry, LoadError> {
    let mut registry = registry();
    registry.load_script(&embedded("test.lua", text), options)?;
    Ok(registry)
}

pub(crate) fn load_error(text: &str) -> String {
    load(text).err().expect("must not load").to_string()
}

/// A script of an exchange type with this body of `route`, whose bindings are in `ex.dests`.
pub(crate) fn exchange_script(route: &str) -> String {
    format!(
        "local X = {{ name = 'x-test' }}
        function X.new() return {{ dests = {{}} }} end
        function X.bind(ex, b) table.insert(ex.dests, b.dest) end
        function X.unbind(ex, b) table.remove(ex.dests, table.find(ex.dests, b.dest)) end
        function X.route(ex, key, msg)
        {route}
        end
        return X"
    )
}

/// Declares an exchange of the registry's only type.
pub(crate) fn declare(registry: &Registry) -> Arc<dyn Exchange> {
    declare_with(registry, &[]).expect("declares")
}

pub(crate) fn declare_with(
    registry: &Registry,
    arguments: &[u8],
) -> Result<Arc<dyn Exchange>, Failure> {
    let declaration = Declaration { vhost: "/", exchange: "x", arguments };
    registry.exchange_types()[0].create(&declaration)
}

/// An exchange made of this body of `route`, with slots 0 and 1 bound.
pub(crate) fn routing(route: &str) -> Box<dyn Table> {
    let registry = load(&exchange_script(route)).expect("loads");
    declare(&registry).build(&[binding(0, "a", "q0"), binding(1, "b", "q1")]).expect("builds")
}

pub(crate) fn binding<'a>(slot: Slot, key: &'a str, destination: &'a str) -> Binding<'a> {
    Binding { slot, key, arguments: &[], destination, to_exchange: false }
}

pub(crate) fn message<'a>(key: &'a str, properties: &'a [u8], body: &'a [u8]) -> Message<'a> {
    Message {
        vhost: "/",
        exchange: "x",
        routing_key: key,
        properties,
        body,
        mandatory: false,
        redelivered: false,
        user: "guest",
        peer: None,
        queue: "",
    }
}

/// Routes a message with this key and nothing else.
pub(crate) fn route(table: &dyn Table, key: &str) -> Result<Vec<Slot>, Failure> {
    route_message(table, &message(key, &[0, 0], b""))
}

pub(crate) fn route_message(
    table: &dyn Table,
    message: &Message<'_>,
) -> Result<Vec<Slot>, Failure> {
    let mut slots = Vec::new();
    table.route(message, &mut slots)?;
    slots.sort_unstable();
    Ok(slots)
}

/// A property list with these headers.
pub(crate) fn with_headers(headers: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut editor = PropertiesEditor::new();
    for (name, value) in headers {
        editor.set_header(name, *value).expect("fits");
    }
    editor.into_bytes()
}

/// The pairs of a field table.
pub(crate) fn arguments(pairs: &[(&str, Value<'_>)]) -> Vec<u8> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes(), *value))
        .collect::<TableBuilder>()
        .into_bytes()
}

/// Whether an extension of this name is among those of one kind.
pub(crate) fn names<T: ?Sized>(all: &[Arc<T>], name: impl Fn(&T) -> &str) -> Vec<String> {
    all.iter().map(|one| name(one).to_owned()).collect()
}
