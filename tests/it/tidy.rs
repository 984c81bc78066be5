//! The shape of the repository: what CONTRIBUTING.md promises, as tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::{self, Manifest};
use crate::source::Source;

/// The top level is fixed; besides these there may be `docs` and what begins with a dot.
const TOP_LEVEL: [&str; 7] =
    ["Cargo.toml", "core", "plugins", "scripts", "config", "tests", "examples"];

/// Which crate of `core/` may be built with which other crates of ours.
const ARROWS: [(&str, &[&str]); 6] = [
    ("leveret-protocol", &[]),
    ("leveret-store", &[]),
    ("leveret-plugin", &[]),
    ("leveret-broker", &["leveret-protocol", "leveret-store", "leveret-plugin"]),
    ("leveret-extension", &["leveret-plugin"]),
    ("leveret-server", &["*"]),
];

/// Crates that carry the weight: each is a direct dependency of something in `core/`, and used.
const PILLARS: [&str; 6] =
    ["tokio", "mlua", "libloading", "amq-protocol", "figment", "tracing-subscriber"];

/// Lines of a file, not counting the tests at its bottom.
const FILE_LINES: usize = 400;
const FILE_LINES_HARD: usize = 800;
/// Files that are longer today. The numbers may only shrink.
const LONG_FILES: &[(&str, usize)] = &[];

/// Lines of a function.
const FUNCTION_LINES: usize = 70;
/// Functions that are longer today. The numbers may only shrink.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[
    ("tests/bench/yardstick/src/durability.rs", "check", 79),
    ("tests/bench/yardstick/src/load.rs", "measure", 72),
    ("tests/bench/yardstick/src/load.rs", "backlog", 74),
    ("tests/bench/yardstick/src/relay.rs", "converse", 72),
];

/// Where `unsafe` may be written: the host of plugins, and the two sides of the C ABI.
const UNSAFE: [&str; 4] =
    ["core/leveret-extension/", "core/leveret-plugin/", "tests/", "examples/"];

/// What a crate of `core/` must not know: ARCHITECTURE.md's invariants, as words in its code.
const ABSENT: [(&str, &[&str]); 4] = [
    ("leveret-protocol", &["tokio::", "Instant::now", "SystemTime::now", "std::net::Tcp"]),
    ("leveret-store", &["amq_protocol", "tokio::", "exchange"]),
    ("leveret-plugin", &["tokio::", "amq_protocol", "serde"]),
    ("leveret-broker", &["tokio::net", "std::net::Tcp", "serde_json", "argon2"]),
];

/// Keys that nothing reads yet, because what they configure is not there yet.
const UNREAD_KEYS: [&str; 2] = ["management.bind", "management.port"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<Source> {
    Source::all(&root(), &["core", "plugins", "tests", "examples"], &["rs"])
}

/// Fails with one line per thing that is wrong, so that one run shows all of them.
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn the_top_level_is_the_fixed_one() {
    let mut found = Vec::new();
    for name in TOP_LEVEL.iter().filter(|name| !root().join(name).exists()) {
        found.push(format!("{name} is missing"));
    }
    for entry in fs::read_dir(root()).expect("the repository").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let may_be = name.starts_with('.') || name == "docs" || name == "target";
        if entry.path().is_dir() && !may_be && !TOP_LEVEL.contains(&name.as_str()) {
            found.push(format!("{name}/ has no place here"));
        }
    }
    none(&found, "the top level");
}

#[test]
fn no_crate_has_a_new_arrow() {
    let manifests = manifest::all(&root());
    let ours: Vec<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let mut found = Vec::new();
    for manifest in &manifests {
        let allowed = arrows(manifest, &manifests);
        let ours = manifest.dependencies.iter().filter(|name| ours.contains(&name.as_str()));
        for name in ours.filter(|name| !allowed.contains(name) && !allowed.contains(&"*".into())) {
            found.push(format!("{} -> {name}", manifest.name));
        }
    }
    none(&found, "arrows that are not in the table");
}

/// The crates of ours that this one may be built with.
fn arrows(manifest: &Manifest, all: &[Manifest]) -> Vec<String> {
    let plugin = "leveret-plugin".to_owned();
    let folder = &manifest.folder;
    if let Some((_, targets)) = ARROWS.iter().find(|(name, _)| *name == manifest.name) {
        return targets.iter().map(|name| (*name).to_owned()).collect();
    }
    if folder.starts_with("plugins") || folder.starts_with("examples") {
        let inner = all.iter().find(|other| Some(other.folder.as_path()) == folder.parent());
        let inner = inner.filter(|_| folder.ends_with("so")).map(|other| other.name.clone());
        return [plugin].into_iter().chain(inner).collect();
    }
    if folder.starts_with("core") { Vec::new() } else { vec!["*".to_owned()] }
}

#[test]
fn every_crate_of_core_is_in_the_table_and_named_as_its_folder() {
    let mut found = Vec::new();
    for manifest in manifest::all(&root()) {
        if !manifest.folder.starts_with("core") {
            continue;
        }
        if manifest.folder != Path::new("core").join(&manifest.name) {
            found.push(format!("{} in {}", manifest.name, manifest.folder.display()));
        }
        if !ARROWS.iter().any(|(name, _)| *name == manifest.name) {
            found.push(format!("{} has no row of arrows", manifest.name));
        }
    }
    none(&found, "crates of core/");
}

#[test]
fn no_crate_knows_what_it_must_not() {
    let mut found = Vec::new();
    for (name, words) in ABSENT {
        for source in Source::all(&root().join("core").join(name), &["src"], &["rs"]) {
            if source.path.contains("test") {
                continue;
            }
            for (number, code) in source.code() {
                let known = words.iter().filter(|word| code.contains(**word));
                found.extend(known.map(|word| format!("{name}/{}:{number}: {word}", source.path)));
            }
        }
    }
    none(&found, "crates that know too much");
}

#[test]
fn the_pillars_are_direct_dependencies_in_use() {
    let manifests = manifest::all(&root());
    let core = manifests.iter().filter(|manifest| manifest.folder.starts_with("core"));
    let core: Vec<&Manifest> = core.collect();
    let uses = |manifest: &Manifest, pillar: &str| {
        let path = format!("{}::", pillar.replace('-', "_"));
        let sources = Source::all(&root().join(&manifest.folder), &["src"], &["rs"]);
        let mut lines = sources.iter().flat_map(Source::code);
        lines.any(|(_, code)| code.contains(&path))
    };
    let mut found = Vec::new();
    for pillar in PILLARS {
        let mut direct =
            core.iter().filter(|manifest| manifest.dependencies.iter().any(|name| name == pillar));
        if !direct.any(|manifest| uses(manifest, pillar)) {
            found.push(pillar.to_owned());
        }
    }
    none(&found, "not a direct dependency in use of any crate in core/");
}

#[test]
fn files_stay_short() {
    let mut found = Vec::new();
    let known: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    for source in rust_files() {
        let lines = source.lines_without_tests();
        let is_test = source.path.ends_with("tests.rs") || source.path.contains("/tests/");
        let limit = known.get(source.path.as_str()).copied().unwrap_or(if is_test {
            FILE_LINES_HARD
        } else {
            FILE_LINES
        });
        if lines > limit || lines > FILE_LINES_HARD {
            found.push(format!("{}: {lines} lines, at most {limit}", source.path));
        } else if limit > FILE_LINES && !is_test && lines + 20 < limit {
            found.push(format!("{}: {lines} lines now, lower the {limit}", source.path));
        }
    }
    none(&found, "files to split");
}

#[test]
fn functions_stay_short() {
    let mut found = Vec::new();
    for source in rust_files() {
        for (name, lines) in source.functions() {
            let is_it = |row: &&(&str, &str, usize)| row.0 == source.path && row.1 == name;
            let limit = LONG_FUNCTIONS.iter().find(is_it).map_or(FUNCTION_LINES, |row| row.2);
            if lines > limit {
                found.push(format!("{}: {name}: {lines} lines, at most {limit}", source.path));
            } else if limit > FUNCTION_LINES && lines + 5 < limit {
                found.push(format!("{}: {name}: {lines} lines, lower the {limit}", source.path));
            }
        }
    }
    none(&found, "functions to split");
}

#[test]
fn every_file_begins_with_what_it_is() {
    let sources = rust_files();
    let bare = sources.iter().filter(|source| !source.text.starts_with("//!"));
    let bare: Vec<String> = bare.map(|source| source.path.clone()).collect();
    none(&bare, "no `//!` on line 1");
}

#[test]
fn nothing_is_left_to_do() {
    // In two pieces, or this file would find itself.
    let words = [concat!("to", "do!("), concat!("db", "g!("), concat!("unimple", "mented!(")];
    let marks = [concat!("FIX", "ME"), concat!("XX", "X:"), concat!("#[ign", "ore")];
    let mut found = Vec::new();
    for source in rust_files() {
        let macros = source.code().filter(|(_, code)| words.iter().any(|word| code.contains(word)));
        found.extend(macros.map(|(number, _)| format!("{}:{number}", source.path)));
        let lines = (1..).zip(source.text.lines());
        let marked = lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
        found.extend(marked.map(|(number, _)| format!("{}:{number}", source.path)));
    }
    none(&found, "unfinished");
}

#[test]
fn unsafe_code_is_where_it_may_be_and_says_why() {
    let mut found = Vec::new();
    for source in rust_files() {
        let lines: Vec<&str> = source.text.lines().collect();
        let may = UNSAFE.iter().any(|prefix| source.path.starts_with(prefix));
        for (number, code) in source.code() {
            let opens = code.contains("unsafe {") || code.contains("unsafe impl");
            let near = &lines[number.saturating_sub(12)..number];
            let explained = || {
                near.iter().any(|line| line.contains("SAFETY:"))
                    || lines[..number].iter().any(|line| line.contains("SAFETY of every block"))
            };
            if opens && !(may && explained()) {
                found.push(format!("{}:{number}", source.path));
            }
        }
    }
    none(&found, "unsafe in the wrong place, or without `// SAFETY:` above it");
}

#[test]
fn the_first_line_of_an_example_is_its_command() {
    let commands = ["python3 ", "cargo ", "cc ", "leveret ", "sh ", "pip ", "LEVERET_", "target/"];
    let mut found = Vec::new();
    for source in Source::all(&root(), &["examples"], &["py", "rs", "c", "lua", "sh"]) {
        let is_module = source.path.contains("/src/")
            && !source.path.ends_with("/lib.rs")
            && !source.path.ends_with("/main.rs");
        let line = source.text.lines().next().unwrap_or_default();
        let line = line.trim_start_matches(['/', '!', '#', '-', '*', ' ', '$', '`']);
        if !is_module && !commands.iter().any(|command| line.starts_with(command)) {
            found.push(format!("{}: {line}", source.path));
        }
    }
    none(&found, "no command on line 1");
}

#[test]
fn every_key_of_the_configuration_is_read_somewhere() {
    let file = fs::read_to_string(root().join("config/leveret.toml")).expect("config/leveret.toml");
    let sources = Source::all(&root(), &["core/leveret-server/src"], &["rs"]);
    let reads = |key: &str| {
        let field = format!(".{key}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        sources
            .iter()
            .filter(|source| !source.path.contains("/config/"))
            .any(|source| source.code().any(|(_, code)| code.split(&field).skip(1).any(ends)))
    };
    let mut section = String::new();
    let mut found = Vec::new();
    for line in file.lines().map(|line| line.trim_start_matches("# ")) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
            && !UNREAD_KEYS.contains(&format!("{section}.{key}").as_str())
            && !reads(key)
        {
            found.push(format!("{section}.{key}"));
        }
    }
    none(&found, "keys that nothing in leveret-server reads");
}

/// What the documents put in backticks and looks like a path is one.
#[test]
fn files_named_in_the_documents_exist() {
    let extensions = [".rs", ".py", ".lua", ".toml", ".md", ".h", ".c"];
    let mut found = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap_or_default();
        if text.is_empty() {
            found.push(format!("{document} is missing"));
        }
        let quoted = text.split('`').skip(1).step_by(2);
        let is_path = |word: &&str| {
            let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
            let is_inside = TOP_LEVEL.iter().any(|top| word.starts_with(&format!("{top}/")));
            is_plain && (is_inside || extensions.iter().any(|end| word.ends_with(end)))
        };
        for word in quoted.filter(is_path).filter(|word| word.contains('/')) {
            if !root().join(word).exists() {
                found.push(format!("{document}: {word}"));
            }
        }
    }
    none(&found, "named but not there");
}

#[test]
fn one_command_runs_the_gating_tests() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let gate = fs::read_to_string(root().join(".ci/run")).unwrap_or_default();
    assert!(root().join("tests/run").exists(), "tests/run is missing");
    assert!(readme.contains("python3 tests/run"), "README.md does not name the command");
    assert!(gate.contains("tests/run"), ".ci/run does not call tests/run");
}
