//! Extensions in Lua (Luau): one file that returns a table.
//!
//! Each script has one VM on each thread that asks it, made when first needed, within limits of
//! time and memory. A VM that exceeded one is thrown away.

mod api;
mod auth;
mod check;
mod context;
mod describe;
mod exchange;
mod guard;
mod hash;
mod json;
mod message;
mod oplog;
mod pool;
mod properties;
mod purity;
mod script;
mod stack;
mod strings;
mod suspension;
mod transform;
mod value;
mod verdict;
mod vm;

pub(crate) use auth::LuaAuth;
pub(crate) use exchange::LuaExchangeType;
pub(crate) use pool::Pool;
pub(crate) use script::{Script, ScriptSpec};
pub(crate) use transform::LuaTransform;
