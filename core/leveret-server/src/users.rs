//! From `[[users]]` of the configuration to the records that the broker keeps.

use std::fs;
use std::path::Path;

use leveret_plugin::host::{PermissionRecord, UserRecord};

use crate::config::{Config, Permissions, User};
use crate::exit::{ExitCode, StartError};

/// Makes a password hash in PHC form.
type Hasher = fn(&[u8]) -> String;

/// The account of the tutorials. Its password is public, so that it needs no hashing, and so
/// that it may come from this machine only.
const GUEST: &str = "guest";

/// The records of all configured users, guest among them where it is allowed.
///
/// # Errors
/// When a password file cannot be read or is empty.
pub fn records(config: &Config) -> Result<Vec<UserRecord>, StartError> {
    records_with(config, leveret_internal::hash_password)
}

fn records_with(config: &Config, hash: Hasher) -> Result<Vec<UserRecord>, StartError> {
    let mut records = Vec::with_capacity(config.users.len() + 1);
    if config.auth.guest && config.users.iter().all(|user| user.name != GUEST) {
        records.push(guest(&config.vhosts));
    }
    for user in &config.users {
        records.push(record(user, hash)?);
    }
    Ok(records)
}

fn guest(vhosts: &[String]) -> UserRecord {
    let permissions = vhosts.iter().map(|vhost| {
        permission_record(&Permissions { vhost: vhost.clone(), ..Permissions::default() })
    });
    UserRecord {
        name: GUEST.to_owned(),
        password_hash: format!("well-known:{GUEST}"),
        tags: vec!["administrator".to_owned()],
        loopback_only: true,
        permissions: permissions.collect(),
    }
}

fn record(user: &User, hash: Hasher) -> Result<UserRecord, StartError> {
    let password_hash = match (&user.password_hash, &user.password_file) {
        (Some(password_hash), _) => password_hash.clone(),
        (None, Some(file)) => hash(read_password(&user.name, file)?.as_bytes()),
        (None, None) => String::new(),
    };
    Ok(UserRecord {
        name: user.name.clone(),
        password_hash,
        tags: user.tags.clone(),
        loopback_only: user.loopback_only,
        permissions: user.permissions.iter().map(permission_record).collect(),
    })
}

fn permission_record(permissions: &Permissions) -> PermissionRecord {
    PermissionRecord {
        vhost: permissions.vhost.clone(),
        configure: permissions.configure.clone(),
        write: permissions.write.clone(),
        read: permissions.read.clone(),
    }
}

/// The first line of the file, so that an editor's newline is no part of the password.
fn read_password(user: &str, file: &Path) -> Result<String, StartError> {
    let about = || format!("password_file of user `{user}`, {}", file.display());
    let text = fs::read_to_string(file)
        .map_err(|error| StartError::unreadable(format!("cannot read {}", about()), &error))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(StartError::new(
            ExitCode::Data,
            format!("{} has no password on its first line", about()),
        ));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(password: &[u8]) -> String {
        String::from_utf8_lossy(password).chars().rev().collect()
    }

    fn user(name: &str) -> User {
        User {
            name: name.to_owned(),
            password_hash: None,
            password_file: None,
            tags: Vec::new(),
            loopback_only: false,
            permissions: vec![Permissions::default()],
        }
    }

    fn names(config: &Config) -> Vec<String> {
        let records = records_with(config, reverse).expect("records");
        records.into_iter().map(|record| record.name).collect()
    }

    #[test]
    fn guest_is_there_from_loopback_unless_switched_off_or_configured() {
        let mut config = Config::default();
        let guest = records_with(&config, reverse).expect("records").remove(0);
        assert!(guest.loopback_only);
        assert_eq!(guest.password_hash, "well-known:guest");
        assert_eq!(guest.permissions[0].vhost, "/");
        config.auth.guest = false;
        assert!(names(&config).is_empty());
        config.auth.guest = true;
        config.users = vec![user("guest")];
        assert_eq!(names(&config), ["guest"]);
    }

    #[test]
    fn a_password_file_gives_its_first_line() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("password");
        fs::write(&file, "111111\n").expect("write");
        let config = Config {
            users: vec![User { password_file: Some(file), ..user("wt") }],
            ..Config::default()
        };
        let records = records_with(&config, |p| format!("<{}>", p.len())).expect("records");
        assert_eq!(records[1].password_hash, "<6>");
    }

    #[test]
    fn a_missing_or_empty_password_file_is_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let missing = directory.path().join("missing");
        let error = record(&User { password_file: Some(missing), ..user("wt") }, reverse)
            .expect_err("missing file");
        assert_eq!(error.code, ExitCode::NoInput);
        assert!(error.message.contains("`wt`") && error.message.contains("missing"), "{error}");
        let empty = directory.path().join("empty");
        fs::write(&empty, "\n").expect("write");
        let error = record(&User { password_file: Some(empty), ..user("wt") }, reverse)
            .expect_err("empty file");
        assert_eq!(error.code, ExitCode::Data);
    }
}
