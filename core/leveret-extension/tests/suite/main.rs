//! Tests of the registry, the scripts and the loader through the traits that the broker uses.

mod conformance;
mod examples;
mod kit;
mod loader;
mod lua_api;
mod lua_auth;
mod lua_exchange;
mod lua_limits;
mod lua_purity;
mod lua_shipped;
mod lua_transform;
mod objects;
mod plugin_calls;
mod registry;
