//! Looks at the file of a shared object before any of its code can run.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::LoadError;

/// Checks the file and gives its absolute path.
pub(crate) fn check(path: &Path, sha256: Option<&str>) -> Result<PathBuf, LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let real = fs::canonicalize(path).map_err(unreadable)?;
    let metadata = fs::metadata(&real).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(LoadError::NotAFile { path: path.to_owned() });
    }
    check_owner(path, &metadata)?;
    if let Some(expected) = sha256 {
        check_digest(path, expected, &digest(&real).map_err(unreadable)?)?;
    }
    Ok(real)
}

/// Nobody but root and the broker's own user may change the file.
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), LoadError> {
    let ours = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    let shown = path.display();
    let (reason, remedy) = if owner != 0 && owner != ours {
        (format!("belongs to user {owner}"), format!("run: chown {ours} {shown}"))
    } else if metadata.mode() & 0o002 != 0 {
        ("may be written by everybody".into(), format!("run: chmod o-w {shown}"))
    } else {
        return Ok(());
    };
    Err(LoadError::Untrusted { path: path.to_owned(), reason, remedy })
}

fn check_digest(path: &Path, expected: &str, found: &str) -> Result<(), LoadError> {
    if expected.trim().eq_ignore_ascii_case(found) {
        return Ok(());
    }
    let (expected, found) = (expected.trim().to_owned(), found.to_owned());
    Err(LoadError::Digest { path: path.to_owned(), expected, found })
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hasher.update(&chunk[..length]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
