//! Calls into a loaded plugin: panics, growth, changes, and answers that come late.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use leveret_extension::{LibraryOptions, Limits, ManualClock, PendingCounts, Registry};
use leveret_plugin::host::{
    Access, Action, Auth, Credentials, Decision, FailureKind, Level, Login, OnError, Stage,
    Transform, Verdict,
};
use leveret_plugin::message::MessageMut;
use leveret_plugin::properties::Properties;

use crate::kit::*;
use crate::objects::{c, cargo};

struct Loaded {
    registry: Registry,
    host: Arc<TestHost>,
    clock: Arc<ManualClock>,
}

fn fixture() -> Loaded {
    let (host, clock) = (Arc::new(TestHost::default()), Arc::new(ManualClock::default()));
    let limits = Limits { clock: Arc::clone(&clock) as _, ..Limits::default() };
    let mut registry = Registry::new(Arc::clone(&host) as _, limits);
    let options = LibraryOptions { config_json: "{\"a\":1}".into(), ..LibraryOptions::default() };
    registry.load_library(&cargo("leveret-fixture"), &options).expect("loads");
    Loaded { registry, host, clock }
}

#[test]
fn a_panic_in_create_is_a_failure_that_names_type_and_reason() {
    let Loaded { registry, host, .. } = fixture();
    let failure = declare_with(&registry, b"\x01at\x01").err().expect("panics");
    assert_eq!(failure.kind, FailureKind::Error);
    assert_eq!(failure.text, "x-panics: plugin panicked: panic in create");
    let logged = host.lines.lock().iter().any(|(level, text)| {
        *level == Level::Error && text.contains("panic in create") && text.contains("lib.rs:")
    });
    assert!(logged, "the panic of the library goes to the broker's log");
}

#[test]
fn a_panic_in_route_adds_no_slots_and_the_next_message_is_routed() {
    let Loaded { registry, .. } = fixture();
    let exchange = declare(&registry);
    let table = exchange.build(&[binding(4, "k", "q")]).expect("builds");
    let mut slots = vec![9];
    let failure = table.route(&message("panic", &[0, 0], b""), &mut slots).expect_err("panics");
    assert_eq!(failure.text, "x-panics: plugin panicked: panic in route");
    assert_eq!(slots, [9]);
    assert_eq!(route(&*table, "fine"), Ok(vec![4]));
}

#[test]
fn a_panic_in_bind_and_a_refusal_leave_the_table_usable() {
    let Loaded { registry, .. } = fixture();
    let exchange = declare(&registry);
    let refusal = exchange.validate(&binding(0, "never", "q")).expect_err("refuses");
    assert_eq!(refusal.kind, FailureKind::Refused);
    assert_eq!(refusal.text, "the key never is not bound here");
    let mut table = exchange.build(&[]).expect("builds");
    let failure = table.bind(&binding(1, "panic", "q")).expect_err("panics");
    assert_eq!(failure.text, "x-panics: plugin panicked: panic in bind");
    table.bind(&binding(2, "k", "q")).expect("binds");
    assert_eq!(route(&*table, "k"), Ok(vec![2]));
}

#[test]
fn slots_grow_with_what_is_pushed() {
    let Loaded { registry, .. } = fixture();
    let table = declare(&registry).build(&[]).expect("builds");
    let mut slots = Vec::new();
    table.route(&message("many", &[0, 0], b""), &mut slots).expect("routes");
    assert_eq!(slots, (0..1000).collect::<Vec<_>>());
    assert!(!declare(&registry).is_pure());
}

#[test]
fn a_plugin_that_cannot_change_tables_gets_them_built_anew() {
    let mut registry = registry();
    let object = c("fanout.c", "rebuilt.so", &[]);
    registry.load_library(&object, &LibraryOptions::default()).expect("loads");
    let exchange = declare(&registry);
    assert!(exchange.is_pure());
    let old = exchange.build(&[binding(1, "a", "q1"), binding(2, "b", "q2")]).expect("builds");
    let mut new = old.fork().expect("forks");
    new.bind(&binding(3, "c", "q3")).expect("binds");
    new.unbind(&binding(1, "a", "q1")).expect("unbinds");
    assert_eq!(route(&*new, "k"), Ok(vec![2, 3]));
    assert_eq!(route(&*old, "k"), Ok(vec![1, 2]));
}

fn apply(transform: &dyn Transform, key: &str) -> (Result<Verdict, String>, bool) {
    let properties = with_headers(&[]);
    let mut message = MessageMut::new(message(key, &properties, b"body"));
    let verdict = transform.apply(Stage::Deliver, &mut message);
    if verdict == Ok(Verdict::Pass) {
        let view = message.view();
        let header = Properties::parse(view.properties).expect("parses").header("stage");
        assert_eq!(header.and_then(|value| value.as_str()), Some("Deliver"));
        assert_eq!((view.body, view.routing_key), (&b"changed"[..], "changed"));
    }
    (verdict.map_err(|failure| failure.text), message.is_changed())
}

#[test]
fn a_transform_changes_a_message_unless_it_fails() {
    let Loaded { registry, host, .. } = fixture();
    let transform = &*registry.transforms()[0];
    assert_eq!(transform.matches().exchange.as_deref(), Some("x*"));
    assert_eq!(transform.on_error(), OnError::Drop);
    assert!(transform.runs_at(Stage::Publish) && transform.runs_at(Stage::Deliver));
    assert_eq!(apply(transform, "k"), (Ok(Verdict::Pass), true));
    assert_eq!(apply(transform, "drop").0, Ok(Verdict::Drop("not wanted".into())));
    assert_eq!(apply(transform, "reject").0, Ok(Verdict::Reject(403, "not allowed".into())));
    let failed = |text: &str| (Err(text.to_owned()), false);
    assert_eq!(apply(transform, "fail"), failed("changes: it failed"));
    assert_eq!(apply(transform, "panic"), failed("changes: plugin panicked: panic in apply"));
    let lines = host.lines.lock();
    assert!(lines.contains(&(Level::Info, "started with {\"a\":1}".into())), "{lines:?}");
}

fn login(auth: &dyn Auth, user: &str, mechanism: &str) -> Receiver<Login> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let credentials = Credentials { mechanism, user, password: b"secret", peer };
    auth.authenticate(&credentials, Box::new(move |login| drop(sender.send(login))));
    receiver
}

#[test]
fn an_auth_plugin_answers_at_once_or_from_another_thread() {
    let Loaded { registry, .. } = fixture();
    let auth = &*registry.auths()[0];
    let allowed = Login::Allow { user: "ANN".into(), tags: vec!["tag".into()] };
    assert_eq!(login(auth, "ann", "PLAIN").try_recv(), Ok(allowed));
    let deferred = Login::Defer("somebody else".into());
    assert_eq!(login(auth, "defer", "PLAIN").try_recv(), Ok(deferred));
    let other = Login::Defer("not one of its mechanisms".into());
    assert_eq!(login(auth, "ann", "EXTERNAL").try_recv(), Ok(other));
    assert_eq!(login(auth, "thread", "PLAIN").recv(), Ok(Login::Deny("thread".into())));
    assert_eq!(registry.pending_counts(), PendingCounts::default());
}

#[test]
fn a_panic_in_an_auth_plugin_denies() {
    let Loaded { registry, .. } = fixture();
    let auth = &*registry.auths()[0];
    let denied = Login::Deny("answers: plugin panicked: panic in authenticate".into());
    assert_eq!(login(auth, "panic", "PLAIN").try_recv(), Ok(denied));
    let panicked = Decision::Deny("answers: plugin panicked: panic in authorise".into());
    for (user, wanted) in [
        ("panic", panicked),
        ("guest", Decision::Allow),
        ("ann", Decision::Deny("only guest".into())),
    ] {
        let (sender, receiver) = mpsc::sync_channel(1);
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let access = Access { user, vhost: "/", peer, action: Action::Access };
        auth.authorise(&access, Box::new(move |decision| drop(sender.send(decision))));
        assert_eq!(receiver.try_recv(), Ok(wanted));
    }
}

#[test]
fn an_answer_that_comes_in_time_counts_and_one_that_comes_late_does_not() {
    let Loaded { registry, clock, .. } = fixture();
    let auth = &*registry.auths()[0];
    let first = login(auth, "late", "PLAIN");
    assert!(first.try_recv().is_err());
    assert_eq!(registry.pending_counts().waiting, 1);
    auth.changed();
    assert_eq!(first.try_recv(), Ok(Login::Allow { user: "late".into(), tags: vec![] }));
    let second = login(auth, "late", "PLAIN");
    clock.advance(Duration::from_secs(31));
    registry.expire_pending();
    assert!(second.recv().is_err(), "given up: the completion is dropped, which refuses");
    auth.changed();
    let counts = PendingCounts { waiting: 0, stray: 1, expired: 1 };
    assert_eq!(registry.pending_counts(), counts);
}
