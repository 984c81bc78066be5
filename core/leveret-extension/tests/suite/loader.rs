//! What goes wrong when shared objects are loaded, and what the operator reads then.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use leveret_extension::{LibraryOptions, Limits, Registry};
use leveret_plugin::host::Level;

use crate::kit::*;
use crate::objects::{c, cargo, cargo_with_abort, scratch};

fn load_library(path: &Path, options: &LibraryOptions) -> Result<Registry, String> {
    let mut registry = registry();
    registry.load_library(path, options).map_err(|error| error.to_string())?;
    Ok(registry)
}

/// The error of loading `path`, without the path.
fn error_of(path: &Path) -> String {
    let error = load_library(path, &LibraryOptions::default()).err().expect("must not load");
    let prefix = format!("{}: ", path.display());
    error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error} names {prefix}")).to_owned()
}

fn wrong(name: &str, definitions: &[&str]) -> String {
    error_of(&c("wrong.c", name, definitions))
}

#[test]
fn a_missing_file() {
    assert_eq!(
        error_of(Path::new("/nowhere/plugin.so")),
        "cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_directory() {
    assert_eq!(error_of(&scratch()), "is not a regular file; name the shared object itself");
}

#[test]
fn a_file_that_is_no_library() {
    let path = scratch().join("text.so");
    fs::write(&path, "this is no library, and it is longer than any header of one could be")
        .expect("writes");
    assert_eq!(error_of(&path), "is no shared object that can be loaded: invalid ELF header");
}

#[test]
fn a_library_that_is_no_plugin() {
    let text = error_of(&c("unrelated.c", "unrelated.so", &[]));
    assert!(text.starts_with("exports no symbol leveret_plugin_v1"), "{text}");
}

#[test]
fn a_plugin_with_an_undefined_symbol() {
    assert_eq!(
        wrong("undefined.so", &["UNDEFINED"]),
        "is no shared object that can be loaded: undefined symbol: a_function_that_nobody_has"
    );
}

#[test]
fn plugins_for_later_brokers_name_both_versions_and_the_older_side() {
    let later = "was built for plugin ABI THEIRS but this broker speaks 1.0; the broker is the \
                 older one: update the broker, or build the plugin with this broker's version of \
                 the kit";
    for (name, definitions, theirs) in [
        ("later_symbol.so", &["ENTRY=leveret_plugin_v3", "FIELD_MAJOR=3"][..], "3"),
        ("later_major.so", &["FIELD_MAJOR=2", "FIELD_SIZE=40"], "2"),
        ("later_minor.so", &["FIELD_MIN_HOST_MINOR=7"], "1.7"),
    ] {
        assert_eq!(wrong(name, definitions), later.replace("THEIRS", theirs));
    }
}

#[test]
fn a_plugin_for_an_earlier_broker() {
    assert_eq!(
        wrong("earlier.so", &["FIELD_MAJOR=0"]),
        "was built for plugin ABI 0 but this broker speaks 1.0; the plugin is the older one: \
         build the plugin again with this broker's version of the kit"
    );
}

#[test]
fn descriptors_that_do_not_hold_together() {
    for (name, definition, reason) in [
        ("magic.so", "FIELD_MAGIC=7", "it begins with 0x0000000000000007"),
        ("short.so", "FIELD_SIZE=95", "it has 95 bytes, not at least 96"),
        ("bits.so", "FIELD_PTR_WIDTH=4", "it was built for 32 bits, the broker for 64"),
        ("none.so", "NONE", "its entry returned none"),
        ("empty.so", "FIELD_ITEMS=0", "it offers nothing"),
        ("hollow.so", "FIELD_KIND=1", "exchange type 'x-wrong' has no function create"),
        ("hollow_transform.so", "FIELD_KIND=2", "transform 'x-wrong' has no function create"),
        ("hollow_auth.so", "FIELD_KIND=3", "auth plugin 'x-wrong' has no function create"),
    ] {
        let text = wrong(name, &[definition]);
        let begin = format!("its descriptor is malformed: {reason}");
        assert!(text.starts_with(&begin), "{text}");
    }
}

#[test]
fn a_plugin_whose_panics_abort_in_c_and_in_rust() {
    let refusal = "was built with panic=abort, so that a panic in it would end the broker; \
                   rebuild it with panic = \"unwind\" in its profile";
    assert_eq!(wrong("abort.so", &["FIELD_PANIC_UNWIND=0"]), refusal);
    assert_eq!(error_of(&cargo_with_abort("leveret-fixture")), refusal);
}

#[test]
fn kinds_from_the_future_are_logged_and_left_out() {
    let host = Arc::new(TestHost::default());
    let mut registry = Registry::new(Arc::clone(&host) as _, Limits::default());
    let object = c("wrong.c", "future.so", &["FIELD_KIND=98", "FIELD_ITEMS=2"]);
    registry.load_library(&object, &LibraryOptions::default()).expect("loads");
    let lines = host.lines.lock();
    let told = |line: &&(Level, String)| line.0 == Level::Warn && line.1.contains("of kind 9");
    assert_eq!(lines.iter().filter(told).count(), 2, "{lines:?}");
}

#[test]
fn a_file_that_everybody_may_write() {
    let path = c("fanout.c", "writable.so", &[]);
    fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("sets");
    assert_eq!(
        error_of(&path),
        format!(
            "may be written by everybody, so another user could run code in the broker; run: \
             chmod o-w {}",
            path.display()
        )
    );
}

#[test]
fn a_file_with_another_digest() {
    let path = c("fanout.c", "digest.so", &[]);
    let sha256 =
        |digest: &str| LibraryOptions { sha256: Some(digest.into()), ..Default::default() };
    let error = load_library(&path, &sha256("00ff")).err().expect("must not load");
    let found = error.split("its sha256 is ").nth(1).and_then(|rest| rest.split(' ').next());
    let found = found.expect("says which").to_uppercase();
    assert_eq!(found.len(), 64, "{error}");
    assert!(error.contains("but the configuration says 00ff; "), "{error}");
    assert!(load_library(&path, &sha256(&found)).is_ok());
}

#[test]
fn a_configuration_that_is_no_json() {
    let options = LibraryOptions { config_json: "{".into(), ..LibraryOptions::default() };
    let error = load_library(&c("fanout.c", "config.so", &[]), &options).err().expect("fails");
    assert!(error.contains("its configuration is no JSON: EOF while parsing"), "{error}");
}

#[test]
fn a_plugin_that_refuses_its_configuration() {
    let options = LibraryOptions { config_json: "\"refuse\"".into(), ..LibraryOptions::default() };
    let error = load_library(&cargo("leveret-fixture"), &options).err().expect("fails");
    assert!(
        error.ends_with("transform 'changes' did not start: the configuration says refuse"),
        "{error}"
    );
}

#[test]
fn a_plugin_that_is_not_required_is_logged_and_remembered() {
    let host = Arc::new(TestHost::default());
    let mut registry = Registry::new(Arc::clone(&host) as _, Limits::default());
    let options = LibraryOptions { required: false, ..LibraryOptions::default() };
    registry.load_library(Path::new("/nowhere/plugin.so"), &options).expect("goes on");
    assert_eq!(registry.failures().len(), 1);
    let (level, text) = host.lines.lock()[0].clone();
    assert_eq!(level, Level::Warn);
    assert!(text.starts_with("goes on without a plugin: /nowhere/plugin.so: "), "{text}");
}

#[test]
fn a_name_that_is_taken_needs_replace() {
    let (first, second) = (c("fanout.c", "one.so", &[]), c("fanout.c", "two.so", &[]));
    let mut registry = load_library(&first, &LibraryOptions::default()).expect("loads");
    let error = registry.load_library(&second, &LibraryOptions::default()).expect_err("is taken");
    assert_eq!(
        error.to_string(),
        format!(
            "exchange type 'x-c-fanout' is registered twice, by {} and by {}; remove one of them \
             or say replace = true for the one that is to win",
            first.display(),
            second.display()
        )
    );
    let replace = LibraryOptions { replace: true, ..LibraryOptions::default() };
    registry.load_library(&second, &replace).expect("replaces");
    let types = registry.exchange_types();
    assert_eq!(names(&types, |one| one.name()), ["x-c-fanout"]);
    assert_eq!(types[0].origin().to_string(), second.display().to_string());
}
