//! The four default exchange types, linked in and loaded, and one of them written in Lua, all
//! through the registry, against the one conformance suite.

use leveret_conformance::Kind;
use leveret_extension::{LibraryOptions, Registry};
use leveret_plugin::abi::Descriptor;
use leveret_plugin::host::Origin;

use crate::kit::*;
use crate::objects::cargo;

fn built_in(descriptor: &'static Descriptor) -> Registry {
    let mut registry = registry();
    registry.add_builtin(descriptor, false).expect("registers");
    registry
}

fn loaded(package: &str) -> Registry {
    let mut registry = registry();
    registry.load_library(&cargo(package), &LibraryOptions::default()).expect("loads");
    registry
}

fn conforms(kind: Kind, name: &str, registry: &Registry) {
    let types = registry.exchange_types();
    assert_eq!(types[0].name(), name);
    leveret_conformance::run(kind, &*types[0]);
}

#[test]
fn direct_built_in() {
    conforms(Kind::Direct, "direct", &built_in(&leveret_direct::PLUGIN));
}

#[test]
fn direct_loaded() {
    conforms(Kind::Direct, "direct", &loaded("leveret-exchange-direct"));
}

#[test]
fn fanout_built_in() {
    conforms(Kind::Fanout, "fanout", &built_in(&leveret_fanout::PLUGIN));
}

#[test]
fn fanout_loaded() {
    conforms(Kind::Fanout, "fanout", &loaded("leveret-exchange-fanout"));
}

#[test]
fn topic_built_in() {
    conforms(Kind::Topic, "topic", &built_in(&leveret_topic::PLUGIN));
}

#[test]
fn topic_loaded() {
    conforms(Kind::Topic, "topic", &loaded("leveret-exchange-topic"));
}

#[test]
fn headers_built_in() {
    conforms(Kind::Headers, "headers", &built_in(&leveret_headers::PLUGIN));
}

#[test]
fn headers_loaded() {
    conforms(Kind::Headers, "headers", &loaded("leveret-exchange-headers"));
}

#[test]
fn direct_in_lua() {
    let script = "local X = { name = 'lua-direct', pure = true }
        function X.new() return {} end
        function X.bind(ex, b)
            ex[b.key] = ex[b.key] or {}
            table.insert(ex[b.key], b.dest)
        end
        function X.unbind(ex, b)
            table.remove(ex[b.key], table.find(ex[b.key], b.dest))
        end
        function X.route(ex, key)
            local dests = ex[key]
            if dests then return table.unpack(dests) end
        end
        return X";
    conforms(Kind::Direct, "lua-direct", &load(script).expect("loads"));
}

#[test]
fn a_loaded_one_may_take_the_place_of_a_built_in_one() {
    let mut registry = built_in(&leveret_direct::PLUGIN);
    let object = cargo("leveret-exchange-direct");
    let error = registry.load_library(&object, &LibraryOptions::default()).expect_err("is taken");
    assert!(
        error.to_string().starts_with("exchange type 'direct' is registered twice, by built in")
    );
    let replace = LibraryOptions { replace: true, ..LibraryOptions::default() };
    registry.load_library(&object, &replace).expect("replaces");
    assert_eq!(registry.exchange_types()[0].origin(), &Origin::Library(object));
}
