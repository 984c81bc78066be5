//! Maps a shared object and finds its entry.
#![allow(unsafe_code)]

use std::error::Error;
use std::mem;
use std::path::Path;

use leveret_plugin::abi;
use leveret_plugin::host::Origin;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::handshake::{self, Plugin, inspect};
use crate::error::LoadError;

/// Keep the library mapped even if somebody closes it.
#[cfg(target_os = "linux")]
const RTLD_NODELETE: i32 = 0x1000;
#[cfg(target_os = "macos")]
const RTLD_NODELETE: i32 = 0x80;

/// Later versions of the contract that a plugin may have been built for.
const LATER: std::ops::RangeInclusive<u16> = 2..=9;

/// Maps the file at `real` (named `path` in texts) and reads its descriptor.
pub(crate) fn open(
    path: &Path,
    real: &Path,
    host: &'static abi::Host,
    origin: Origin,
) -> Result<Plugin, LoadError> {
    // SAFETY: runs the initialisers of the library; the operator vouches for its code.
    let library = unsafe { Library::open(Some(real), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) };
    let library = library.map_err(|error| LoadError::NotLoadable {
        path: path.to_owned(),
        reason: why(&error, real),
    })?;
    // SAFETY: a symbol of this name is an entry of this type, by the contract.
    let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.as_bytes()) };
    let descriptor = match entry {
        // SAFETY: the host lives as long as the process.
        Ok(entry) => Ok(unsafe { entry(host) }),
        Err(_) => Err(no_entry(path, &library)),
    };
    mem::forget(library);
    // SAFETY: what the entry of a plugin returns is a descriptor, by the contract.
    unsafe { inspect(descriptor?, origin) }
}

/// The most that is known of an error: what it stands on, without repeating the path.
fn why(error: &dyn Error, real: &Path) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    let prefix = format!("{}: ", real.display());
    text.strip_prefix(&prefix).unwrap_or(&text).to_owned()
}

/// Says whether the library is a plugin for a later broker or none at all.
fn no_entry(path: &Path, library: &Library) -> LoadError {
    let later = LATER.into_iter().find(|major| {
        let name = format!("leveret_plugin_v{major}");
        // SAFETY: only its presence is looked at.
        unsafe { library.get::<abi::Entry>(name.as_bytes()) }.is_ok()
    });
    match later {
        Some(major) => handshake::newer(Origin::Library(path.to_owned()), &major.to_string()),
        None => LoadError::NoEntry { path: path.to_owned() },
    }
}
