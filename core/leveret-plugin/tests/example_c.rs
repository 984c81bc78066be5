//! The plugin in C of `examples/plugin-c`: compiled, loaded, and driven through its descriptor.
#![cfg(unix)]
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;

use leveret_plugin::abi::{self, Descriptor};
use leveret_plugin::host::FailureKind;
use leveret_plugin::testkit::{Exchange, Publish};
use leveret_plugin::value::Value;

const RTLD_NOW: c_int = 2;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// Runs the command on line 1 of the example, with another place for what it makes.
fn compile() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = root.join("examples/plugin-c/longest_prefix.c");
    let text = std::fs::read_to_string(source).expect("the example is there");
    let line = text.lines().next().and_then(|line| line.strip_prefix("// "));
    let mut words: Vec<&str> = line.expect("a command on line 1").split(' ').collect();
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("liblongest_prefix.so");
    let made_text = made.to_str().expect("a path in UTF-8");
    let place = words.iter().position(|word| *word == "-o").expect("an output") + 1;
    words[place] = made_text;
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["-Wall", "-Wextra", "-Werror"]).current_dir(root);
    let run = command.output().expect("a C compiler, as Rust needs one to link");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    made
}

fn load(path: &Path) -> &'static Descriptor {
    let path = CString::new(path.to_str().expect("a path in UTF-8")).expect("a path without NUL");
    let name = CString::new(abi::ENTRY_SYMBOL).expect("a name without NUL");
    // SAFETY: the library is the one just made; its entry has this type and takes a null host.
    unsafe {
        let library = dlopen(path.as_ptr(), RTLD_NOW);
        assert!(!library.is_null(), "{:?}", CStr::from_ptr(dlerror()));
        let entry = dlsym(library, name.as_ptr());
        assert!(!entry.is_null(), "no {}", abi::ENTRY_SYMBOL);
        let entry: abi::Entry = std::mem::transmute(entry);
        &*entry(std::ptr::null())
    }
}

#[test]
fn a_plugin_in_c_routes_as_the_one_in_rust() {
    let plugin = load(&compile());
    assert_eq!((plugin.magic, plugin.abi_major), (abi::MAGIC, abi::ABI_MAJOR));
    let mut exchange = Exchange::declare(plugin, "x-longest-prefix-c", &[]).unwrap();
    assert!(exchange.is_pure());
    for slot in 0..100 {
        exchange.bind(slot, "", &[]).unwrap();
    }
    exchange.bind(7, "eu.", &[]).unwrap();
    exchange.bind(7, "eu.", &[("n", Value::I32(1))]).unwrap();
    exchange.bind(8, "eu.de.", &[]).unwrap();
    let route = |exchange: &Exchange, key| exchange.route(&Publish::key(key)).unwrap();
    assert_eq!(route(&exchange, "us").len(), 100);
    assert_eq!(route(&exchange, "eu.fr"), [7]);
    assert_eq!(route(&exchange, "eu.de.1"), [8]);
    exchange.unbind(8, "eu.de.", &[]).unwrap();
    exchange.unbind(7, "eu.", &[]).unwrap();
    assert_eq!(route(&exchange, "eu.de.1"), [7]);
    let refused = exchange.bind(1, "eu.#", &[]).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.text.contains("prefix, not a pattern"), "{}", refused.text);
}
