//! Tests of the repository as a whole: of its files, and of the broker it builds, which each test
//! starts for itself. Clients are our own raw one and lapin.

mod manifest;
mod source;
mod tidy;

mod broker;
mod client;
mod verbs;
mod wire;

mod bindings;
mod consumers;
mod dead_letters;
mod durability;
mod expiry;
mod flow;
mod lengths;
mod publishing;
mod races;
mod settling;
mod stopping;
