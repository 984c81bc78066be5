//! Which crates there are and what each depends on, read from the manifests.

use std::fs;
use std::path::{Path, PathBuf};

/// One crate of this repository.
pub(crate) struct Manifest {
    /// Its folder, relative to the repository; empty for the root package.
    pub(crate) folder: PathBuf,
    /// Name of the package.
    pub(crate) name: String,
    /// Names of what it is built with; what only its tests need is not here.
    pub(crate) dependencies: Vec<String>,
}

impl Manifest {
    fn read(root: &Path, folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(root.join(folder).join("Cargo.toml")).ok()?;
        let mut manifest =
            Self { folder: folder.to_path_buf(), name: String::new(), dependencies: Vec::new() };
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
                if let Some(name) = section.strip_prefix("dependencies.") {
                    manifest.dependencies.push(name.to_owned());
                }
            } else if let Some((key, value)) = line.split_once('=') {
                manifest.take(section, key.trim(), value.trim());
            }
        }
        (!manifest.name.is_empty()).then_some(manifest)
    }

    fn take(&mut self, section: &str, key: &str, value: &str) {
        let is_target = section.starts_with("target.") && section.ends_with(".dependencies");
        match section {
            "package" if key == "name" => self.name = value.trim_matches('"').to_owned(),
            "dependencies" | "build-dependencies" => self.dependencies.push(crate_of(key, value)),
            _ if is_target => self.dependencies.push(crate_of(key, value)),
            _ => {}
        }
    }
}

/// `serde.workspace`, or a new name with `package = "..."` in its table.
fn crate_of(key: &str, value: &str) -> String {
    let renamed = value.split("package = \"").nth(1).and_then(|rest| rest.split('"').next());
    renamed.unwrap_or_else(|| key.split('.').next().unwrap_or(key)).to_owned()
}

/// All crates below the repository, the root package among them.
pub(crate) fn all(root: &Path) -> Vec<Manifest> {
    let mut manifests = Vec::new();
    collect(root, Path::new(""), &mut manifests);
    manifests
}

fn collect(root: &Path, folder: &Path, manifests: &mut Vec<Manifest>) {
    manifests.extend(Manifest::read(root, folder));
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_hidden = name.to_string_lossy().starts_with('.');
        if !is_hidden && name != "target" && entry.path().is_dir() {
            collect(root, &folder.join(name), manifests);
        }
    }
}
