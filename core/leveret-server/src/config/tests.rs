//! The layers together, the shipped file, and what people get wrong.

use std::collections::BTreeSet;
use std::fs;

use figment::value::Value;
use tempfile::TempDir;

use super::*;
use crate::exit::ExitCode;

const SHIPPED: &str = include_str!("../../../../config/leveret.toml");

/// A directory with `leveret.toml` in it, and sources that name it.
fn sources(text: &str) -> (TempDir, Sources) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("leveret.toml");
    fs::write(&file, text).expect("write");
    (directory, Sources { file: Some(file), ..Sources::default() })
}

fn with_data_dir(mut sources: Sources) -> Sources {
    sources.flags.push(flag("--data-dir", "data_dir", "/data"));
    sources
}

fn flag(name: &str, key: &str, value: &str) -> Flag {
    Flag { name: name.to_owned(), key: key.to_owned(), value: FlagValue::Text(value.to_owned()) }
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn loaded(sources: Sources) -> Config {
    load(&with_data_dir(sources)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(sources: Sources) -> StartError {
    load(&with_data_dir(sources)).err().expect("must be refused")
}

/// What is said about a file, without its directory.
fn said(text: &str) -> String {
    let (directory, sources) = sources(text);
    let error = refused(sources);
    assert_eq!(error.code, ExitCode::Config);
    error.message.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn the_shipped_file_says_exactly_the_defaults() {
    let (_directory, sources) = sources(SHIPPED);
    let expected = Config { data_dir: "/data".into(), ..Config::default() };
    assert!(loaded(sources) == expected, "config/leveret.toml differs from the defaults");
}

/// Active or in a comment: every key is in the shipped file, below a comment that explains it.
#[test]
fn the_shipped_file_explains_every_key() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    let mut section = String::new();
    let mut explained = BTreeSet::new();
    for (index, line) in lines.iter().enumerate() {
        let bare = line.trim_start_matches("# ");
        if let Some(name) = bare.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = bare.split_once(" = ")
            && index > 0
            && lines[index - 1].starts_with("# ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            explained.insert(keys::join(&section, key));
        }
    }
    let lists = ["users", "plugins", "scripts"].map(str::to_owned);
    let expected: BTreeSet<String> = keys::all()
        .into_iter()
        .filter(|key| !lists.contains(key))
        .chain(table_keys("users", &whole_user()))
        .chain(table_keys(
            "users.permissions",
            &Value::serialize(Permissions::default()).expect(""),
        ))
        .chain(table_keys("plugins", &whole_plugin()))
        .chain(table_keys("scripts", &whole_script()))
        .filter(|key| key != "users.permissions")
        .collect();
    assert_eq!(explained, expected);
}

fn table_keys(table: &str, value: &Value) -> Vec<String> {
    let fields = value.as_dict().expect("a table");
    fields.keys().map(|field| keys::join(table, field)).collect()
}

fn whole_user() -> Value {
    let user = User {
        name: String::new(),
        password_hash: None,
        password_file: None,
        tags: Vec::new(),
        loopback_only: false,
        permissions: Vec::new(),
    };
    Value::serialize(user).expect("a user")
}

fn whole_plugin() -> Value {
    let plugin = Plugin {
        path: PathBuf::new(),
        replace: false,
        sha256: None,
        required: true,
        config: Default::default(),
    };
    Value::serialize(plugin).expect("a plugin")
}

fn whole_script() -> Value {
    let script = Script {
        path: PathBuf::new(),
        replace: false,
        on_error: None,
        timeout_ms: None,
        memory_bytes: None,
        config: Default::default(),
    };
    Value::serialize(script).expect("a script")
}

/// The commented lists are as right as the active keys: uncommented, they load.
#[test]
fn the_commented_lists_of_the_shipped_file_load() {
    let from = SHIPPED.find("# [[users]]").expect("the lists");
    let is_setting = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let bare = SHIPPED[from..].lines().map(|line| line.trim_start_matches("# "));
    let text: Vec<&str> =
        bare.filter(is_setting).filter(|line| !line.starts_with("password_file")).collect();
    let (directory, sources) = sources(&text.join("\n"));
    let config = loaded(sources);
    assert_eq!((config.users.len(), config.plugins.len(), config.scripts.len()), (1, 1, 1));
    assert_eq!(config.users[0].permissions, [Permissions::default()]);
    assert_eq!(config.scripts[0].path, directory.path().join("shard.lua"));
}

#[test]
fn each_layer_overrides_the_one_before() {
    let (directory, mut sources) =
        sources("[amqp]\nport = 1\nchannel_max = 1\nheartbeat_secs = 1\nbacklog = 1");
    let drop_ins = directory.path().join("conf.d");
    fs::create_dir(&drop_ins).expect("create");
    let text = "[amqp]\nchannel_max = 2\nheartbeat_secs = 2\nbacklog = 2";
    fs::write(drop_ins.join("50.toml"), text).expect("write");
    fs::write(drop_ins.join("ignored.txt"), "[amqp]\nport = 9").expect("write");
    sources.environment =
        vec![variable("LEVERET_AMQP__HEARTBEAT_SECS", "3"), variable("LEVERET_AMQP__BACKLOG", "3")];
    sources.flags = vec![flag("--set", "amqp.backlog", "4")];
    let amqp = loaded(sources).amqp;
    let found = (amqp.port, amqp.channel_max, amqp.heartbeat_secs, amqp.backlog, amqp.frame_max);
    assert_eq!(found, (1, 2, 3, 4, 131_072));
}

#[test]
fn users_of_drop_ins_are_added_and_plain_lists_replaced() {
    let user = |name| format!("[[users]]\nname = '{name}'\npassword_hash = '$argon2id$x'\n");
    let (directory, sources) = sources(&format!("vhosts = ['a']\n{}", user("one")));
    let drop_ins = directory.path().join("conf.d");
    fs::create_dir(&drop_ins).expect("create");
    fs::write(drop_ins.join("1.toml"), format!("vhosts = ['b']\n{}", user("two"))).expect("write");
    let config = loaded(sources);
    assert_eq!(config.vhosts, ["b"]);
    let names: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn text_of_the_environment_takes_the_type_of_its_key() {
    let environment = vec![
        variable("LEVERET_COMPATIBILITY__VERSION", "3.13.9"),
        variable("LEVERET_COMPATIBILITY__PRODUCT", "007"),
        variable("LEVERET_PLUGIN_DIRS", "/a, /b"),
        variable("LEVERET_LIMITS__MAX_MESSAGE_BYTES", "1 MiB"),
        variable("LEVERET_LOG", "debug"),
        variable("LEVERET_AUTH__GUEST", "false"),
        variable("LEVERET_TEST_ANYTHING", "is not ours"),
        variable("HOME", "/home/x"),
    ];
    let config = loaded(Sources { environment, ..Sources::default() });
    assert_eq!(config.compatibility.version, "3.13.9");
    assert_eq!(config.compatibility.product, "007");
    assert_eq!(config.plugin_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(config.limits.max_message_bytes, 1 << 20);
    assert_eq!(config.log.filter, "debug");
    assert!(!config.auth.guest);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_what_was_meant() {
    assert_eq!(
        said("[amqp]\nport = 1\nhartbeat_secs = 2"),
        "leveret.toml:3: amqp.hartbeat_secs is no key; did you mean `amqp.heartbeat_secs`?"
    );
    assert_eq!(said("[ampq]\nport = 1"), "leveret.toml:1: ampq is no key; did you mean `amqp`?");
    assert_eq!(
        said("[[users]]\nname = 'x'\npassword = 'x'"),
        "leveret.toml:3: users[1].password is no key; here may stand `name`, `password_hash`, \
         `password_file`, `tags`, `loopback_only` or `permissions`"
    );
}

#[test]
fn an_unknown_variable_or_flag_is_named_too() {
    let environment = vec![variable("LEVERET_AMQP__PROT", "1")];
    let error = refused(Sources { environment, ..Sources::default() });
    assert_eq!(error.message, "LEVERET_AMQP__PROT: amqp.prot is no key; did you mean `amqp.port`?");
    let flags = vec![flag("--set", "frame_max", "1")];
    let error = refused(Sources { flags, ..Sources::default() });
    assert_eq!(error.message, "--set: frame_max is no key; did you mean `amqp.frame_max`?");
}

#[test]
fn a_wrong_type_says_what_is_there_and_what_must_be() {
    let range = "but must be a whole number from 0 to 65535";
    assert_eq!(
        said("[amqp]\nport = 'x'"),
        format!("leveret.toml:2: amqp.port is the text \"x\", {range}")
    );
    assert_eq!(
        said("[amqp]\nport = 70000"),
        format!("leveret.toml:2: amqp.port is 70000, {range}")
    );
    assert_eq!(said("amqp = 1"), "leveret.toml:1: amqp is 1, but must be a table of keys");
    assert_eq!(
        said("plugin_dirs = 'x'"),
        "leveret.toml:1: plugin_dirs is the text \"x\", but must be a list such as [\"one\", \"two\"]"
    );
    assert_eq!(
        said("[auth]\nguest = 'no'"),
        "leveret.toml:2: auth.guest is the text \"no\", but must be true or false"
    );
    assert_eq!(
        said("[log]\nformat = 'xml'"),
        "leveret.toml:2: log.format is \"xml\", but must be \"auto\", \"human\" or \"json\""
    );
    assert_eq!(
        said("[limits]\nmax_message_bytes = 'big'"),
        "leveret.toml:2: limits.max_message_bytes is the text \"big\", but must be a number of \
         bytes such as 4194304 or \"4 MiB\""
    );
    assert_eq!(
        said("[amqp]\nbind = 'localhost'"),
        "leveret.toml:2: amqp.bind is no IP address; write one such as \"127.0.0.1\" or \"::\""
    );
    assert_eq!(said("[[plugins]]\nreplace = true"), "leveret.toml:1: plugins[1] `path` is missing");
}

#[test]
fn a_value_that_makes_no_sense_says_why() {
    assert_eq!(
        said("[amqp]\nframe_max = 100"),
        "leveret.toml:2: amqp.frame_max is 100, but must be from 4096 to 16777216"
    );
    assert!(said("[compatibility]\nversion = '4'").contains("three numbers"));
    assert!(said("[compatibility]\nunknown_exchange_type = 404").contains("406 or 503"));
    assert!(said("[auth]\nchain = []").contains("nobody could log in"));
    assert!(said("[log]\nfilter = 'a=loud'").starts_with("leveret.toml:2: log.filter cannot be"));
    assert!(said("[[users]]\nname = 'wt'").contains("`leveret hash-password`"));
    assert!(
        said("[[users]]\nname = 'wt'\npassword_hash = 'x'")
            .starts_with("leveret.toml:3: users[1].password_hash is no argon2id hash")
    );
    let user = "[[users]]\nname = 'wt'\npassword_hash = '$argon2id$x'\n";
    assert!(said(&format!("{user}{user}")).contains("has `wt` twice"));
    assert!(
        said(&format!("{user}[[users.permissions]]\nvhost = 'x'"))
            .starts_with("leveret.toml:5: users[1].permissions[1].vhost is \"x\", which is no")
    );
    assert!(
        said(&format!("{user}[[users.permissions]]\nread = '('"))
            .starts_with("leveret.toml:5: users[1].permissions[1].read is no regular expression")
    );
    assert!(said("[[plugins]]\npath = 'x'\nsha256 = 'y'").contains("64 hexadecimal digits"));
}

#[test]
fn a_missing_file_and_a_broken_one_are_named() {
    let file = Some(PathBuf::from("/nowhere/leveret.toml"));
    let error = refused(Sources { file, ..Sources::default() });
    assert_eq!(error.code, ExitCode::NoInput);
    assert!(error.message.contains("/nowhere/leveret.toml: no such file"), "{error}");
    let message = said("[amqp\nport = 1");
    assert!(message.starts_with("configuration file leveret.toml: "), "{message}");
    assert!(message.contains("line 1"), "{message}");
}

#[test]
fn the_environment_may_name_the_file() {
    let (_directory, sources) = sources("[amqp]\nport = 7");
    let file = sources.file.expect("a file").display().to_string();
    let environment = vec![variable("LEVERET_CONFIG", &file)];
    assert_eq!(loaded(Sources { environment, ..Sources::default() }).amqp.port, 7);
}

#[test]
fn configuration_of_a_plugin_becomes_json() {
    let text = "[[plugins]]\npath = 'x'\nconfig = { n = 1, list = ['a'], deep = { b = true } }\n\
                [[plugins]]\npath = 'y'";
    let (_directory, sources) = sources(text);
    let plugins = loaded(sources).plugins;
    assert_eq!(plugins[0].config_json(), r#"{"deep":{"b":true},"list":["a"],"n":1}"#);
    assert_eq!(plugins[1].config_json(), "");
}

#[test]
fn what_nobody_can_use_is_warned_of() {
    let mut config = Config::default();
    assert!(config.warnings().is_empty());
    config.amqp.bind = "0.0.0.0".parse().expect("an address");
    assert!(config.warnings()[0].contains("nobody can log in from elsewhere"));
}

proptest::proptest! {
    /// Whatever is in the file or a flag, the answer is a configuration or an error, no panic.
    #[test]
    fn no_text_is_too_strange(text in ".{0,200}", key in "[a-z.\\[0-9]{0,20}", value in ".{0,30}") {
        let (_directory, mut sources) = sources(&text);
        sources.flags = vec![flag("--set", &key, &value)];
        let _ = load(&sources);
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let _ = position::line_of(&text, &path);
    }
}
