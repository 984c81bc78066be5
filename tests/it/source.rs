//! Source files as the tidy tests look at them: lines, functions, code without comments.
//!
//! Relies on rustfmt: the brace that closes an item stands below the item's first character.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the repository.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    /// All files below `folders` with one of `extensions`, in the order of their paths.
    pub(crate) fn all(root: &Path, folders: &[&str], extensions: &[&str]) -> Vec<Self> {
        let mut paths = Vec::new();
        for folder in folders {
            collect(&root.join(folder), &mut paths);
        }
        paths.sort();
        let wanted = |path: &PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        };
        paths.into_iter().filter(wanted).filter_map(|path| Self::read(root, &path)).collect()
    }

    fn read(root: &Path, path: &Path) -> Option<Self> {
        let relative = path.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
        Some(Self { path: relative, text: fs::read_to_string(path).ok()? })
    }

    /// Lines up to the tests at the bottom of the file.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_tests =
            |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {");
        lines.windows(2).position(is_tests).unwrap_or(lines.len())
    }

    /// Name and length in lines of every function.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut functions = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &&str| {
                let inner = line.trim_start();
                line.len() - inner.len() == indent && (inner == "}" || inner == "},")
            };
            let opens = lines[start..].iter().position(|line| line.ends_with(['{', ';', '}']));
            let is_block = opens.is_some_and(|open| lines[start + open].ends_with('{'));
            if is_block && let Some(length) = lines[start..].iter().position(closes) {
                functions.push((name, length + 1));
            }
        }
        functions
    }

    /// The lines with what is in comments and strings taken out, numbered from 1.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, String)> {
        (1..).zip(self.text.lines()).map(|(number, line)| (number, code_of(line)))
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// The name of the function that begins on this line.
fn function_name(line: &str) -> Option<String> {
    let words = line.trim_start();
    let before = words.split("fn ").next()?;
    let is_modifier = |word: &str| {
        ["pub", "const", "async", "unsafe", "extern", "\"C\"", "\"C-unwind\"", "default"]
            .contains(&word)
            || word.starts_with("pub(")
            || ["crate)", "super)"].contains(&word)
    };
    if !before.split_whitespace().all(is_modifier) {
        return None;
    }
    let name = words.strip_prefix(before)?.strip_prefix("fn ")?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(name[..end].to_owned())
}

fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut in_string = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => in_string = !in_string,
            '\'' if !in_string && chars.peek() == Some(&'"') => {
                chars.next();
            }
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            c if !in_string => code.push(c),
            _ => {}
        }
    }
    code
}

#[test]
fn functions_are_measured_from_signature_to_brace() {
    let text = "impl X {\n    pub(crate) fn one(\n        a: u8,\n    ) -> u8 {\n        if a {\n    \
                        }\n        a\n    }\n    fn decl();\n}\nfn two() {}\n";
    let source = Source { path: String::new(), text: text.to_owned() };
    assert_eq!(source.functions(), [("one".to_owned(), 5)]);
}

#[test]
fn code_is_what_is_no_comment_and_no_string() {
    assert_eq!(code_of(r#"let a = "unsafe // \" x"; // unsafe"#), "let a = ; ");
    assert_eq!(code_of("let q = '\"'; unsafe {"), "let q = '; unsafe {");
}
