//! The host of extensions: shared objects and Lua scripts behind one registry, as the traits of
//! [`leveret_plugin::host`]. Knows neither broker nor protocol.

mod clock;
mod draft;
mod embedded;
mod error;
mod library;
mod lua;
mod options;
mod registry;

pub use clock::{Clock, ManualClock, SystemClock};
pub use embedded::embedded_scripts;
pub use error::LoadError;
pub use library::PendingCounts;
pub use options::{Kind, LibraryOptions, Limits, ScriptOptions, ScriptSource};
pub use registry::Registry;
