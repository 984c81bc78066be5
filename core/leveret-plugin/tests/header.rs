//! `include/leveret_plugin.h` is what cbindgen makes of the contract. After a change of the
//! contract, `LEVERET_BLESS=1 cargo test -p leveret-plugin --test header` writes it anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use cbindgen::{Builder, Config, DocumentationStyle, ItemType, Language, Style};

/// Begins the header.
const HEAD: &str = "\
/* The contract between the Leveret broker and a plugin, for authors in C.
 * Made by cbindgen from core/leveret-plugin/src/abi; do not edit.
 *
 * A plugin is a shared object that exports one function, leveret_plugin_v1. Build it with
 *   cc -shared -fPIC -O2 -fvisibility=hidden -I DIRECTORY_OF_THIS_HEADER -o libNAME.so NAME.c
 */
#ifndef LEVERET_PLUGIN_H
#define LEVERET_PLUGIN_H";

/// Ends the header: what saves every author a few lines.
const TAIL: &str = r#"
#ifdef __cplusplus
extern "C" {
#endif

/** The only function that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const leveret_descriptor *leveret_plugin_v1(const leveret_host *host);

#ifdef __cplusplus
}
#endif

/** A literal, or an array of characters with a NUL at its end, in a constant initialiser. */
#define LEVERET_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/** Writes a text, cut where it does not fit, to the answer. */
static inline void leveret_say(leveret_answer *answer, const char *text) {
  if (!answer || !answer->text) return;
  uint32_t length = 0;
  while (text[length] && length < answer->capacity) {
    answer->text[length] = (uint8_t)text[length];
    length++;
  }
  answer->length = length;
}

/** Adds a slot to those that take the message. */
static inline void leveret_push(leveret_slots *slots, uint32_t slot) {
  if (slots->len == slots->capacity && (!slots->grow || slots->grow(slots, 1) != LEVERET_OK)) return;
  slots->ptr[slots->len++] = slot;
}

/** The element of an array of structs that may be longer than this header knows. */
#define LEVERET_AT(type, first, index) \
  ((const type *)((const char *)(first) + (size_t)(index) * (first)->size))

/** Whether two texts are equal. */
static inline bool leveret_equal(leveret_bytes a, leveret_bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<PathBuf> {
    ["mod", "exchange", "transform", "auth"]
        .map(|name| root().join(format!("src/abi/{name}.rs")))
        .to_vec()
}

/// `MessageMut` to `message_mut`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Names in Rust and in C of everything that the contract declares, in its order.
fn names() -> Vec<(String, String)> {
    let mut names = Vec::new();
    for source in sources() {
        for line in fs::read_to_string(source).expect("the contract is there").lines() {
            let mut words = line.strip_prefix("pub ").unwrap_or("").split([' ', ':', '=', '<']);
            let (kind, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let in_c = match kind {
                "struct" | "type" => format!("leveret_{}", snake(name)),
                "const" => format!("LEVERET_{name}"),
                _ => continue,
            };
            names.push((name.to_owned(), in_c));
        }
    }
    names
}

fn header() -> String {
    let names = names();
    let mut config = Config {
        language: Language::C,
        header: Some(HEAD.to_owned()),
        trailer: Some(TAIL.to_owned()),
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h", "string.h"].map(str::to_owned).into(),
        no_includes: true,
        usize_is_size_t: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::C99,
        line_length: 100,
        tab_width: 2,
        ..Config::default()
    };
    config.export.rename = names.iter().cloned().collect();
    config.export.item_types = vec![ItemType::Constants, ItemType::Structs, ItemType::Typedefs];
    config.export.include = names.iter().map(|(in_rust, _)| in_rust.clone()).collect();
    config.export.exclude = vec!["ENTRY_SYMBOL".to_owned()];
    let mut builder = Builder::new().with_config(config);
    for source in sources() {
        builder = builder.with_src(source);
    }
    let mut text = Vec::new();
    builder.generate().expect("the contract can be told in C").write(&mut text);
    let mut text = String::from_utf8(text).expect("cbindgen writes UTF-8");
    for (in_rust, in_c) in names {
        text = text.replace(&format!("[`{in_rust}`](super::{in_rust})"), &in_c);
        text = text.replace(&format!("[`{in_rust}`]"), &in_c);
        text = text.replace(&format!("[`{in_rust}::"), &format!("`{in_c}."));
    }
    text.replace("[`", "`").replace("`]", "`")
}

#[test]
fn the_header_is_that_of_the_contract() {
    let path = root().join("include/leveret_plugin.h");
    let made = header();
    if env::var_os("LEVERET_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == made,
        "include/leveret_plugin.h is not that of src/abi: run \
         LEVERET_BLESS=1 cargo test -p leveret-plugin --test header, and look at the difference"
    );
}

/// Compiles a file that includes the header, if there is a compiler.
fn compile(compiler: &str, file: &Path, text: &str) {
    fs::write(file, text).expect("a file can be written");
    let run = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(root().join("include"))
        .arg(file)
        .output();
    match run {
        Ok(run) => assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr)),
        Err(error) => eprintln!("{compiler} is not here, so the header is not compiled: {error}"),
    }
}

#[test]
fn the_header_is_c_and_cpp_and_agrees_about_sizes() {
    use leveret_plugin::abi;
    let sizes = [
        ("leveret_message", size_of::<abi::Message>()),
        ("leveret_slots", size_of::<abi::Slots>()),
        ("leveret_exchange_vtable", size_of::<abi::ExchangeVtable>()),
        ("leveret_transform_vtable", size_of::<abi::TransformVtable>()),
        ("leveret_message_mut", size_of::<abi::MessageMut>()),
        ("leveret_interest", size_of::<abi::Interest>()),
        ("leveret_auth_vtable", size_of::<abi::AuthVtable>()),
        ("leveret_access", size_of::<abi::Access>()),
        ("leveret_reply", size_of::<abi::Reply>()),
        ("leveret_descriptor", size_of::<abi::Descriptor>()),
    ];
    let mut text = "#include <leveret_plugin.h>\n".to_owned();
    for (number, (name, size)) in sizes.iter().enumerate() {
        text += &format!("typedef char check{number}[sizeof({name}) == {size} ? 1 : -1];\n");
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    compile("cc", &directory.join("header.c"), &text);
    compile("c++", &directory.join("header.cpp"), &text);
}
