//! What is wrong with a configuration, in words: where, which key, what, and what to do.

use std::fs;

use figment::error::{Actual, Kind};
use figment::value::Value;
use figment::{Figment, Metadata, Source};

use super::check::Finding;
use super::{keys, position};
use crate::exit::StartError;

/// Words for an error of extraction.
pub(super) fn describe(figment: &Figment, error: figment::Error) -> StartError {
    let mut path = error.path;
    let what = match &error.kind {
        Kind::UnknownField(name, siblings) => {
            // The error's path ends with the unknown key, or with its section, depending on how
            // serde came upon it.
            if path.last() == Some(name) {
                path.pop();
            }
            let what = unknown_key(&path.join("."), name, siblings);
            path.push(name.clone());
            what
        }
        Kind::MissingField(name) => format!("`{name}` is missing"),
        Kind::DuplicateField(name) => format!("`{name}` is there twice"),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("is {}, but must be {}", found(actual), wanted(expected))
        }
        Kind::UnknownVariant(name, variants) => {
            format!("is \"{name}\", but must be {}", list(variants, "\""))
        }
        Kind::Message(text) if text == "invalid IP address syntax" => {
            "is no IP address; write one such as \"127.0.0.1\" or \"::\"".to_owned()
        }
        other => format!("is wrong: {other}"),
    };
    report(figment, error.metadata.as_ref(), &path, &what)
}

/// Words for a value that has the right type but makes no sense.
pub(super) fn locate(figment: &Figment, finding: &Finding) -> StartError {
    let path: Vec<String> = finding.key.split('.').map(str::to_owned).collect();
    report(figment, None, &path, &finding.what)
}

fn report(figment: &Figment, known: Option<&Metadata>, path: &[String], what: &str) -> StartError {
    let key = if path.is_empty() { String::new() } else { format!("{} ", display_key(path)) };
    let origin = origin(figment, path).or(known).map(|metadata| place(metadata, path));
    let origin = origin.map(|place| format!("{place}: ")).unwrap_or_default();
    StartError::config(format!("{origin}{key}{what}"))
}

/// Where the value at `path`, or what encloses it, was set.
fn origin<'f>(figment: &'f Figment, path: &[String]) -> Option<&'f Metadata> {
    let mut value = figment.find_value("").ok()?;
    for part in path {
        let inner = match &value {
            Value::Dict(_, dict) => dict.get(part).cloned(),
            Value::Array(_, items) => part.parse().ok().and_then(|i: usize| items.get(i).cloned()),
            _ => None,
        };
        let Some(inner) = inner else { break };
        value = inner;
    }
    figment.get_metadata(value.tag())
}

fn place(metadata: &Metadata, path: &[String]) -> String {
    let Some(Source::File(file)) = &metadata.source else { return metadata.name.to_string() };
    let text = fs::read_to_string(file).unwrap_or_default();
    match position::line_of(&text, path) {
        Some(line) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    }
}

/// `users.1.name` as people count: `users[2].name`.
fn display_key(path: &[String]) -> String {
    let mut key = String::new();
    for part in path {
        match part.parse::<usize>() {
            Ok(index) => key.push_str(&format!("[{}]", index + 1)),
            Err(_) => key = keys::join(&key, part),
        }
    }
    key
}

fn unknown_key(section: &str, name: &str, siblings: &[&str]) -> String {
    match keys::suggest(section, name, siblings) {
        Some(meant) => format!("is no key; did you mean `{meant}`?"),
        None => format!("is no key; here may stand {}", list(siblings, "`")),
    }
}

fn list(names: &[&str], quote: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{quote}{name}{quote}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn found(actual: &Actual) -> String {
    match actual {
        Actual::Str(text) => format!("the text \"{text}\""),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        Actual::Float(number) => number.to_string(),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// Serde's names of types, in words.
fn wanted(expected: &str) -> String {
    let range = |max: u64| format!("a whole number from 0 to {max}");
    match expected {
        "u16" => range(u64::from(u16::MAX)),
        "u32" => range(u64::from(u32::MAX)),
        "u64" => "a whole number, not negative".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "path string" => "text in quotes".to_owned(),
        "a sequence" => "a list such as [\"one\", \"two\"]".to_owned(),
        "IP address" => "an IP address in quotes".to_owned(),
        other if other.starts_with("struct ") => "a table of keys".to_owned(),
        other => other.to_owned(),
    }
}
