//! The scripts of `examples/` load, so that what authors copy works.

use std::path::{Path, PathBuf};

use leveret_extension::{ScriptOptions, ScriptSource};
use leveret_plugin::host::{Stage, Verdict};
use leveret_plugin::message::MessageMut;

use crate::kit::*;

fn scripts() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let folders = ["lua-auth", "lua-exchange", "lua-transform"].map(|name| examples.join(name));
    let files = folders.iter().flat_map(|folder| folder.read_dir().expect("is there"));
    let mut scripts: Vec<PathBuf> = files
        .map(|file| file.expect("can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "lua"))
        .collect();
    scripts.sort();
    scripts
}

#[test]
fn every_example_loads_as_what_it_is() {
    let mut registry = registry();
    for path in scripts() {
        let source = ScriptSource::File(path);
        registry.load_script(&source, &ScriptOptions::default()).expect("loads");
    }
    assert_eq!(names(&registry.auths(), |one| one.name()), ["tenants"]);
    assert_eq!(names(&registry.exchange_types(), |one| one.name()), ["x-prefix"]);
    assert_eq!(names(&registry.transforms(), |one| one.name()), ["mask-card"]);

    let table = declare(&registry)
        .build(&[binding(0, "eu.", "q0"), binding(1, "", "q1"), binding(2, "as.", "q2")])
        .expect("builds");
    assert_eq!(route(&*table, "eu.fr"), Ok(vec![0, 1]));

    let card = br#"{"card":"4111111111111111"}"#;
    let mut payment = MessageMut::new(message("", &[0, 0], card));
    let verdict = registry.transforms()[0].apply(Stage::Publish, &mut payment);
    assert_eq!(verdict, Ok(Verdict::Pass));
    assert_eq!(&*payment.body, br#"{"card":"****1111"}"#);
}
