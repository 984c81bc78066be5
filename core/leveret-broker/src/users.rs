//! The records of users and their permissions. Auth plugins read and judge them; nothing here
//! hashes a password or matches a name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_plugin::host::{PermissionRecord, UserRecord};
use parking_lot::RwLock;

/// The name of the account that exists when nobody configured any.
pub const GUEST: &str = "guest";

/// All users, by name, and a number that changes whenever one of them does.
#[derive(Debug, Default)]
pub struct Users {
    by_name: RwLock<HashMap<String, Arc<UserRecord>>>,
    epoch: AtomicU64,
}

impl Users {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// The users that were configured or stored; where there are none, guest alone.
    pub fn with_records(records: impl IntoIterator<Item = UserRecord>) -> Self {
        let users = Self::new();
        users.put_all(records);
        if users.is_empty() {
            users.put(guest());
        }
        users
    }

    /// The record of a user.
    pub fn get(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.by_name.read().get(name).cloned()
    }

    /// Adds or replaces a user; returns the record that was there before.
    pub fn put(&self, record: UserRecord) -> Option<Arc<UserRecord>> {
        let old = self.by_name.write().insert(record.name.clone(), Arc::new(record));
        self.bump();
        old
    }

    /// Adds or replaces several users, as one change.
    pub fn put_all(&self, records: impl IntoIterator<Item = UserRecord>) {
        let records = records.into_iter().map(|record| (record.name.clone(), Arc::new(record)));
        self.by_name.write().extend(records);
        self.bump();
    }

    /// Removes a user; returns the record that was there.
    pub fn remove(&self, name: &str) -> Option<Arc<UserRecord>> {
        let old = self.by_name.write().remove(name)?;
        self.bump();
        Some(old)
    }

    /// Takes away what anybody may do in a virtual host that is gone; returns the users whose
    /// records changed, as they are now.
    pub fn forget_vhost(&self, vhost: &str) -> Vec<Arc<UserRecord>> {
        let mut changed = Vec::new();
        for record in self.by_name.write().values_mut() {
            if record.permissions.iter().any(|permission| permission.vhost == vhost) {
                Arc::make_mut(record).permissions.retain(|permission| permission.vhost != vhost);
                changed.push(record.clone());
            }
        }
        if !changed.is_empty() {
            self.bump();
        }
        changed
    }

    /// Every user, in the order of the names.
    pub fn list(&self) -> Vec<Arc<UserRecord>> {
        let mut records: Vec<_> = self.by_name.read().values().cloned().collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.by_name.read().is_empty()
    }

    /// A number that grows with every change. Read it before asking what it guards: an answer
    /// kept under an older number is worth nothing.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// The account of a broker nobody configured: everything on `/`, from loopback addresses only.
pub(crate) fn guest() -> UserRecord {
    UserRecord {
        name: GUEST.to_owned(),
        password_hash: format!("well-known:{GUEST}"),
        tags: vec!["administrator".to_owned()],
        loopback_only: true,
        permissions: vec![all_of("/")],
    }
}

/// Every permission on everything in `vhost`.
pub(crate) fn all_of(vhost: &str) -> PermissionRecord {
    let everything = || ".*".to_owned();
    PermissionRecord {
        vhost: vhost.to_owned(),
        configure: everything(),
        write: everything(),
        read: everything(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserRecord {
        UserRecord { name: name.to_owned(), ..UserRecord::default() }
    }

    #[test]
    fn guest_exists_only_where_nobody_else_does() {
        let users = Users::with_records([]);
        let record = users.get("guest").expect("guest");
        assert_eq!(record.password_hash, "well-known:guest");
        assert_eq!(record.tags, ["administrator"]);
        assert!(record.loopback_only);
        assert_eq!(record.permissions, [all_of("/")]);
        assert!(Users::with_records([user("wt")]).get("guest").is_none());
    }

    #[test]
    fn every_change_and_nothing_else_moves_the_epoch() {
        let users = Users::new();
        let start = users.epoch();
        assert!(users.put(user("wt")).is_none());
        assert_eq!(users.epoch(), start + 1);
        assert!(users.put(user("wt")).is_some());
        assert_eq!(users.epoch(), start + 2);
        assert!(users.get("nobody").is_none());
        assert!(users.remove("nobody").is_none());
        assert_eq!(users.epoch(), start + 2);
        assert!(users.remove("wt").is_some());
        assert_eq!(users.epoch(), start + 3);
    }

    #[test]
    fn a_deleted_virtual_host_takes_its_permissions_along() {
        let users = Users::new();
        users.put(UserRecord { permissions: vec![all_of("/"), all_of("v")], ..user("both") });
        users.put(UserRecord { permissions: vec![all_of("/")], ..user("other") });
        let before = users.epoch();
        let changed = users.forget_vhost("v");
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].permissions, [all_of("/")]);
        assert_eq!(users.get("both").expect("both").permissions, [all_of("/")]);
        assert_eq!(users.epoch(), before + 1);
        assert!(users.forget_vhost("v").is_empty());
        assert_eq!(users.epoch(), before + 1);
    }

    #[test]
    fn users_are_listed_by_name() {
        let users = Users::with_records([user("b"), user("a"), user("c")]);
        let names: Vec<_> = users.list().iter().map(|record| record.name.clone()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
