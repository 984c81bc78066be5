//! The plugin through its descriptor, as the broker calls it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use leveret_plugin::host::{self, Action, Permission, PermissionRecord, ResourceKind};
use leveret_plugin::testkit::{self, TestHost};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

struct Fixture {
    host: TestHost,
    auth: Box<dyn host::Auth>,
}

impl Fixture {
    fn new() -> Self {
        let host = TestHost::new();
        let auth = testkit::auth(&PLUGIN, "internal", "{}", &host).unwrap();
        Self { host, auth }
    }

    fn user(&self, name: &str, password_hash: &str) -> UserRecord {
        let user = UserRecord {
            name: name.to_owned(),
            password_hash: password_hash.to_owned(),
            tags: vec!["monitoring".to_owned()],
            ..UserRecord::default()
        };
        self.host.set_user(user.clone());
        user
    }

    fn login(&self, user: &str, password: &str, peer: IpAddr) -> Login {
        let mechanism = "PLAIN";
        let password = password.as_bytes();
        let credentials = Credentials { mechanism, user, password, peer };
        testkit::authenticate(&*self.auth, &credentials)
    }

    fn access(&self, user: &str, vhost: &str, action: Action<'_>) -> Decision {
        testkit::authorise(&*self.auth, &Access { user, vhost, peer: LOOPBACK, action })
    }
}

fn is_allowed(login: &Login, name: &str) -> bool {
    matches!(login, Login::Allow { user, tags } if user == name && *tags == ["monitoring"])
}

#[test]
fn the_right_password_logs_in_with_name_and_tags() {
    let fixture = Fixture::new();
    fixture.user("ann", &hash_password(b"secret"));
    assert!(is_allowed(&fixture.login("ann", "secret", REMOTE), "ann"));
    assert!(is_allowed(&fixture.login("ann", "secret", REMOTE), "ann"));
    assert!(matches!(fixture.login("ann", "Secret", REMOTE), Login::Deny(_)));
    assert!(matches!(fixture.login("bob", "secret", REMOTE), Login::Defer(_)));
}

#[test]
fn many_logins_at_once_are_all_answered() {
    let fixture = Fixture::new();
    fixture.user("ann", &hash_password(b"secret"));
    let password = |n: usize| if n.is_multiple_of(2) { "secret" } else { "wrong" };
    let login = |n| fixture.login("ann", password(n), REMOTE);
    let logins: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|n| scope.spawn(move || login(n))).collect();
        tries.into_iter().map(|login| login.join().unwrap()).collect()
    });
    for (n, login) in logins.into_iter().enumerate() {
        assert_eq!(is_allowed(&login, "ann"), password(n) == "secret");
    }
}

#[test]
fn a_changed_password_holds_at_once() {
    let fixture = Fixture::new();
    fixture.user("ann", &hash_password(b"old"));
    assert!(is_allowed(&fixture.login("ann", "old", REMOTE), "ann"));
    fixture.user("ann", &hash_password(b"new"));
    fixture.auth.changed();
    assert!(matches!(fixture.login("ann", "old", REMOTE), Login::Deny(_)));
    assert!(is_allowed(&fixture.login("ann", "new", REMOTE), "ann"));
    fixture.host.remove_user("ann");
    fixture.auth.changed();
    assert!(matches!(fixture.login("ann", "new", REMOTE), Login::Defer(_)));
}

#[test]
fn a_well_known_password_needs_no_hash() {
    let fixture = Fixture::new();
    fixture.user("guest", "well-known:guest");
    assert!(is_allowed(&fixture.login("guest", "guest", LOOPBACK), "guest"));
    assert!(matches!(fixture.login("guest", "guesT", LOOPBACK), Login::Deny(_)));
    assert!(matches!(fixture.login("guest", "", LOOPBACK), Login::Deny(_)));
}

#[test]
fn a_user_without_a_password_cannot_log_in_here() {
    let fixture = Fixture::new();
    fixture.user("ann", "");
    assert!(matches!(fixture.login("ann", "", LOOPBACK), Login::Defer(_)));
    fixture.user("bob", "plain text");
    assert!(matches!(fixture.login("bob", "plain text", LOOPBACK), Login::Deny(_)));
}

#[test]
fn loopback_users_come_from_loopback_only() {
    let fixture = Fixture::new();
    let mut user = fixture.user("guest", "well-known:guest");
    user.loopback_only = true;
    fixture.host.set_user(user);
    let mapped = |v4: Ipv4Addr| IpAddr::V6(v4.to_ipv6_mapped());
    for peer in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST), mapped(Ipv4Addr::new(127, 9, 9, 9))] {
        assert!(is_allowed(&fixture.login("guest", "guest", peer), "guest"), "{peer}");
    }
    for peer in [REMOTE, mapped(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        assert!(matches!(fixture.login("guest", "guest", peer), Login::Deny(_)), "{peer}");
    }
}

#[test]
fn other_mechanisms_are_left_to_others() {
    let fixture = Fixture::new();
    fixture.user("guest", "well-known:guest");
    let credentials =
        Credentials { mechanism: "EXTERNAL", user: "guest", password: b"guest", peer: LOOPBACK };
    let login = testkit::authenticate(&*fixture.auth, &credentials);
    assert!(matches!(login, Login::Defer(_)));
}

fn resource(name: &str, permission: Permission) -> Action<'_> {
    Action::Resource { kind: ResourceKind::Queue, name, permission }
}

#[test]
fn permissions_are_patterns_in_a_virtual_host() {
    let fixture = Fixture::new();
    let mut user = fixture.user("ann", "");
    user.permissions.push(PermissionRecord {
        vhost: "/".to_owned(),
        configure: "^ann\\.".to_owned(),
        write: ".*".to_owned(),
        read: String::new(),
    });
    fixture.host.set_user(user.clone());
    let topic = Action::Topic { exchange: "t", routing_key: "a.b", permission: Permission::Write };
    let allowed = [
        Action::Access,
        topic,
        resource("ann.q", Permission::Configure),
        resource("anything", Permission::Write),
        resource("", Permission::Read),
    ];
    let denied = [resource("q.ann.", Permission::Configure), resource("ann.q", Permission::Read)];
    for action in allowed {
        assert_eq!(fixture.access("ann", "/", action), Decision::Allow, "{action:?}");
        assert!(matches!(fixture.access("ann", "other", action), Decision::Deny(_)));
        assert!(matches!(fixture.access("bob", "/", action), Decision::Defer(_)));
    }
    for action in denied {
        assert!(matches!(fixture.access("ann", "/", action), Decision::Deny(_)), "{action:?}");
    }
    user.permissions[0].read = "ann".to_owned();
    fixture.host.set_user(user);
    fixture.auth.changed();
    let read = resource("ann.q", Permission::Read);
    assert_eq!(fixture.access("ann", "/", read), Decision::Allow);
}

#[test]
fn a_broken_pattern_denies_and_is_logged() {
    let fixture = Fixture::new();
    let mut user = fixture.user("ann", "");
    user.permissions.push(PermissionRecord {
        vhost: "/".to_owned(),
        configure: "(?=a)".to_owned(),
        ..PermissionRecord::default()
    });
    fixture.host.set_user(user);
    let configure = resource("a", Permission::Configure);
    assert!(matches!(fixture.access("ann", "/", configure), Decision::Deny(_)));
    let lines = fixture.host.lines();
    assert!(lines.iter().any(|line| line.starts_with("warn internal: ")), "{lines:?}");
}
