//! Names, kinds, and what is wrong with scripts that do not load.

use std::fs;

use leveret_extension::{Kind, ScriptOptions, ScriptSource};
use leveret_plugin::host::Origin;

use crate::kit::*;

#[test]
fn a_name_that_is_taken_is_an_error_with_both_origins_unless_it_is_replaced() {
    let place = tempfile::tempdir().expect("makes");
    let path = place.path().join("mine.lua");
    fs::write(&path, exchange_script("return 1")).expect("writes");
    let file = ScriptSource::File(path.clone());
    let mut registry = load(&exchange_script("return 0")).expect("loads");
    let error = registry.load_script(&file, &ScriptOptions::default()).expect_err("is taken");
    assert_eq!(
        error.to_string(),
        format!(
            "exchange type 'x-test' is registered twice, by embedded script and by {}; remove one \
             of them or say replace = true for the one that is to win",
            path.display()
        )
    );
    let replace = ScriptOptions { replace: true, ..ScriptOptions::default() };
    registry.load_script(&file, &replace).expect("replaces");
    assert_eq!(registry.exchange_types().len(), 1);
    assert_eq!(registry.exchange_types()[0].origin(), &Origin::Script(path));
    let table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "k"), Ok(vec![1]));
}

#[test]
fn one_name_may_stand_for_extensions_of_different_kinds() {
    let mut registry = load(&exchange_script("return 0")).expect("loads");
    let transform = "return { name = 'x-test', publish = function() return leveret.pass end }";
    registry.load_script(&embedded("t.lua", transform), &ScriptOptions::default()).expect("loads");
    assert_eq!(registry.exchange_types().len(), 1);
    assert_eq!(registry.transforms().len(), 1);
    assert_eq!(registry.auths().len(), 0);
}

#[test]
fn a_script_that_is_not_there_or_no_text() {
    let place = tempfile::tempdir().expect("makes");
    let path = place.path().join("none.lua");
    let source = ScriptSource::File(path.clone());
    let mut registry = registry();
    let mut error = || {
        let error = registry.load_script(&source, &ScriptOptions::default());
        error.expect_err("fails").to_string().replace(&path.display().to_string(), "PATH")
    };
    assert_eq!(error(), "PATH: cannot be read: No such file or directory (os error 2)");
    fs::write(&path, b"\xff\xfe").expect("writes");
    assert_eq!(error(), "script PATH: is no UTF-8 text");
}

#[test]
fn scripts_that_are_no_extension_say_what_is_missing() {
    for (text, reason) in [
        ("return 5", "must return a table, not integer"),
        ("", "must return a table, not nil"),
        ("return {}", "the table it returns has no name"),
        ("return { name = '' }", "name must be text that is not empty"),
        ("return { name = 5 }", "name must be a string, not integer"),
        (
            "return { name = 'a' }",
            "has none of route, publish, deliver, authenticate and authorise",
        ),
        ("return { name = 'a', kind = 'shape' }", "kind must be \"exchange\", \"transform\" or"),
        ("return { name = 'a', route = print }", "has no function bind, which its kind needs"),
        ("return { name = 'a', kind = 'auth' }", "has no function authenticate or authorise"),
        (
            "return { name = 'a', route = print, publish = print }",
            "has functions of more than one kind",
        ),
        ("return { name = 'a', publish = print, on_error = 'x' }", "on_error must be \"reject\""),
        (
            "return { name = 'a', publish = print, match = { color = 'x' } }",
            "match.color is unknown; there are exchange, queue,",
        ),
        ("return { name = 'a', publish = print, match = 5 }", "match must be a table, not integer"),
    ] {
        let error = load_error(text);
        let wanted = format!("script test.lua: {reason}");
        assert!(error.starts_with(&wanted), "{text}: {error}");
    }
}

#[test]
fn errors_at_load_name_script_and_line() {
    for (text, reason) in [
        ("local x = \nreturn {", "test.lua:2: "),
        ("local x\nx.y = 5", "test.lua:2: attempt to index nil with 'y'"),
        ("error('stop here')", "test.lua:1: stop here"),
        ("error({})", "test.lua: "),
    ] {
        let error = load_error(text);
        assert!(error.starts_with(&format!("script {reason}")), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_script_of_another_kind_than_configured_is_refused() {
    let options = ScriptOptions { kind: Some(Kind::Auth), ..ScriptOptions::default() };
    let error = load_with(&exchange_script("return 0"), &options).err().expect("refuses");
    assert_eq!(error.to_string(), "script test.lua: is of kind exchange but is configured as auth");
}
