//! Plugins that misbehave, and all that crosses the contract, there and back.

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::collections::SlotBag;
use crate::host::{
    Action, Declaration, FailureKind, Match, OnError, Permission, PermissionRecord, Stage,
    UserRecord, Verdict,
};
use crate::message::{Message, MessageMut};
use crate::properties::{Property, PropertyValue};
use crate::value::Value;
use crate::{Auth, Binding, Broker, Draft, ExchangeType, Later, Outcome, Slots, Transform};

const PEER: IpAddr = IpAddr::V6(Ipv6Addr::new(1, 2, 3, 4, 5, 6, 7, 8));

/// Panics where its arguments or keys say so.
struct Moody;

impl ExchangeType for Moody {
    const NAME: &'static str = "moody";
    type Table = SlotBag;

    fn new(config: &str, declaration: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        assert_ne!(config, "panic", "a bad day");
        if declaration.arguments.is_empty() {
            return Ok(Self);
        }
        Err(Failure::refused(format!("no arguments in {}", declaration.vhost)))
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        if binding.key == "no" {
            return Err(Failure::refused("é".repeat(1000)));
        }
        Ok(())
    }

    fn bind(&self, table: &mut SlotBag, binding: &Binding<'_>) {
        assert_ne!(binding.key, "panic");
        table.add(binding.slot);
    }

    fn unbind(&self, table: &mut SlotBag, binding: &Binding<'_>) {
        table.remove(binding.slot);
    }

    fn route(&self, table: &SlotBag, message: &Message<'_>, slots: &mut Slots<'_>) {
        assert_ne!(message.routing_key, "panic", "route panicked");
        slots.extend_from_slice(&table.slots());
    }
}

/// Does what the routing key says.
struct Puppet;

impl Transform for Puppet {
    const NAME: &'static str = "puppet";
    const STAGES: &'static [Stage] = &[Stage::Deliver];

    fn new(config: &str, broker: &Broker) -> Result<Self, Failure> {
        broker.warn(config);
        Ok(Self)
    }

    fn matches(&self) -> Match {
        Match { queue: Some("q*".into()), header: Some(String::new()), ..Match::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Drop
    }

    fn apply(&self, _: Stage, message: &mut Draft<'_>) -> Result<Verdict, Failure> {
        match message.view().routing_key {
            "drop" => return Ok(Verdict::Drop("enough".into())),
            "reject" => return Ok(Verdict::Reject(403, "never".into())),
            "fail" => return Err(Failure::error("cannot")),
            "bad" => {
                let properties = message.set_properties(&[1]);
                let key = message.set_routing_key(&"k".repeat(256));
                return Ok(Verdict::Drop(format!("{} {}", properties.is_err(), key.is_err())));
            }
            "panic" => panic!("puppet panicked"),
            _ => {}
        }
        let body = message.view().body.to_ascii_uppercase();
        message.set_body(&body)?;
        message.set_routing_key("new")?;
        message.set_header("added", Value::I64(1))?;
        message.remove_header("old")?;
        assert_eq!(message.view().header("added"), Some(Value::I64(1)));
        Ok(Verdict::Pass)
    }
}

/// Answers in all the ways there are; reads users.
struct Oracle(Broker);

impl Auth for Oracle {
    const NAME: &'static str = "oracle";

    fn new(_: &str, broker: &Broker) -> Result<Self, Failure> {
        Ok(Self(*broker))
    }

    fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        later: Later<'_, Login>,
    ) -> Outcome<Login> {
        assert_eq!(credentials.peer, PEER);
        let (outcome, completion) = later.begin();
        match self.0.user(credentials.user) {
            None => drop(completion),
            Some(user) => {
                let tags = vec![user.password_hash, format!("{:?}", user.permissions)];
                let login = Login::Allow { user: user.name, tags };
                std::thread::spawn(move || completion.complete(login));
            }
        }
        outcome
    }

    fn authorise(&self, access: &Access<'_>, _: Later<'_, Decision>) -> Outcome<Decision> {
        assert_ne!(access.user, "panic", "oracle panicked");
        Decision::Defer(format!("{access:?}")).into()
    }
}

crate::plugin! {
    name: "misfits",
    exchanges: [Moody],
    transforms: [Puppet],
    auths: [Oracle],
}

#[test]
fn panics_and_refusals_of_an_exchange_are_failures() {
    let panics = exchange_type(&PLUGIN, "moody", "panic", &TestHost::new());
    let failure = Exchange::of(&*panics, &[]).err().expect("it panics");
    assert!(failure.text.contains("a bad day"), "{}", failure.text);
    let failure = Exchange::declare(&PLUGIN, "moody", &[("a", Value::Void)]).err();
    assert_eq!(failure, Some(Failure::refused("no arguments in /")));

    let mut moody = Exchange::declare(&PLUGIN, "moody", &[]).unwrap();
    moody.bind(1, "yes", &[]).unwrap();
    let refused = moody.bind(2, "no", &[]).unwrap_err();
    assert_eq!((refused.kind, refused.text.len()), (FailureKind::Refused, 512));
    assert_eq!(moody.bind(3, "panic", &[]).unwrap_err().kind, FailureKind::Error);
    assert_eq!(moody.route(&Publish::key("panic")).unwrap_err().kind, FailureKind::Error);
    assert_eq!(moody.route(&Publish::key("calm")).unwrap(), [1]);
}

#[test]
fn a_transform_says_what_it_is_concerned_with() {
    let host = TestHost::new();
    let puppet = transform(&PLUGIN, "puppet", "hello", &host).unwrap();
    assert_eq!(host.lines(), ["warn puppet: hello"]);
    assert!(puppet.runs_at(Stage::Deliver) && !puppet.runs_at(Stage::Publish));
    assert_eq!(puppet.on_error(), OnError::Drop);
    assert_eq!(puppet.matches(), &Puppet.matches());
}

#[test]
fn a_transform_changes_drops_rejects_and_fails() {
    let puppet = transform(&PLUGIN, "puppet", "", &TestHost::new()).unwrap();
    let apply = |key: &str| {
        let publish = Publish::key(key);
        puppet.apply(Stage::Deliver, &mut MessageMut::new(publish.message()))
    };
    assert_eq!(apply("drop"), Ok(Verdict::Drop("enough".into())));
    assert_eq!(apply("reject"), Ok(Verdict::Reject(403, "never".into())));
    assert_eq!(apply("fail"), Err(Failure::error("cannot")));
    assert_eq!(apply("panic"), Err(Failure::error("puppet panicked")));
    assert_eq!(apply("bad"), Ok(Verdict::Drop("true true".into())));

    let publish = Publish::key("k")
        .header("old", Value::Void)
        .property(Property::AppId, PropertyValue::Text(b"app"))
        .body("body");
    let mut message = MessageMut::new(publish.message());
    assert_eq!(puppet.apply(Stage::Deliver, &mut message), Ok(Verdict::Pass));
    let now = message.view();
    assert_eq!((now.routing_key, now.body), ("new", &b"BODY"[..]));
    assert_eq!(now.properties().app_id(), Some("app"));
    let headers: Vec<_> = now.properties().headers().iter().collect();
    assert_eq!(headers, [(&b"added"[..], Value::I64(1))]);
}

#[test]
fn an_auth_plugin_answers_later_from_its_own_thread() {
    let host = TestHost::new();
    let permissions = vec![PermissionRecord { vhost: "v".into(), ..Default::default() }];
    let tags = vec!["hash".to_owned(), format!("{permissions:?}")];
    host.set_user(UserRecord {
        name: "ann".into(),
        password_hash: "hash".into(),
        permissions,
        ..UserRecord::default()
    });
    let oracle = auth(&PLUGIN, "oracle", "{}", &host).unwrap();
    let login = |user| {
        let credentials = Credentials { mechanism: "PLAIN", user, password: b"p", peer: PEER };
        authenticate(&*oracle, &credentials)
    };
    assert_eq!(login("ann"), Login::Allow { user: "ann".into(), tags });
    assert_eq!(login("bob"), Login::Deny("the plugin gave no answer".into()));
}

#[test]
fn questions_about_access_arrive_whole() {
    let oracle = auth(&PLUGIN, "oracle", "{}", &TestHost::new()).unwrap();
    let topic = Action::Topic { exchange: "t", routing_key: "a.b", permission: Permission::Read };
    for action in [Action::Access, topic] {
        let access = Access { user: "ann", vhost: "v", peer: PEER, action };
        assert_eq!(authorise(&*oracle, &access), Decision::Defer(format!("{access:?}")));
    }
    let access = Access { user: "panic", vhost: "v", peer: PEER, action: Action::Access };
    assert!(
        matches!(authorise(&*oracle, &access), Decision::Deny(reason) if reason.contains("oracle panicked"))
    );
}
