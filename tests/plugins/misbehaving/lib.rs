//! A plugin that does what plugins should not, for the tests of the loader.

use std::sync::{Mutex, PoisonError};

use leveret_plugin::host::{
    Access, Credentials, Decision, Declaration, Failure, Login, Match, OnError, Stage, Verdict,
};
use leveret_plugin::{
    Auth, Binding, Broker, Completion, Draft, ExchangeType, Later, Message, Outcome, Slots,
    Transform, Value,
};

/// Panics when an exchange is declared with arguments, and when a key says so.
pub struct Panics;

impl ExchangeType for Panics {
    const NAME: &'static str = "x-panics";
    type Table = Vec<u32>;

    fn new(_: &str, declaration: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> {
        assert!(declaration.arguments.is_empty(), "panic in create");
        Ok(Self)
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        if binding.key == "never" {
            return Err(Failure::refused("the key never is not bound here"));
        }
        Ok(())
    }

    fn bind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        assert!(binding.key != "panic", "panic in bind");
        table.push(binding.slot);
    }

    fn unbind(&self, table: &mut Self::Table, binding: &Binding<'_>) {
        table.retain(|slot| *slot != binding.slot);
    }

    fn route(&self, table: &Self::Table, message: &Message<'_>, slots: &mut Slots<'_>) {
        for slot in table {
            slots.push(*slot);
        }
        match message.routing_key {
            "panic" => panic!("panic in route"),
            "many" => (0..1000).for_each(|slot| slots.push(slot)),
            _ => {}
        }
    }
}

/// Changes every part of a message, then does what its routing key says.
pub struct Changes;

impl Transform for Changes {
    const NAME: &'static str = "changes";
    const STAGES: &'static [Stage] = &[Stage::Publish, Stage::Deliver];

    fn new(config: &str, broker: &Broker) -> Result<Self, Failure> {
        broker.info(&format!("started with {config}"));
        if config.contains("refuse") {
            return Err(Failure::refused("the configuration says refuse"));
        }
        Ok(Self)
    }

    fn matches(&self) -> Match {
        Match { exchange: Some("x*".into()), ..Match::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Drop
    }

    fn apply(&self, stage: Stage, message: &mut Draft<'_>) -> Result<Verdict, Failure> {
        let key = message.view().routing_key.to_owned();
        message.set_header("stage", Value::Text(format!("{stage:?}").as_bytes()))?;
        message.set_body(b"changed")?;
        message.set_routing_key("changed")?;
        match key.as_str() {
            "panic" => panic!("panic in apply"),
            "fail" => Err(Failure::error("it failed")),
            "drop" => Ok(Verdict::Drop("not wanted".into())),
            "reject" => Ok(Verdict::Reject(403, "not allowed".into())),
            _ => Ok(Verdict::Pass),
        }
    }
}

/// Answers as the name of the user says.
#[derive(Default)]
pub struct Answers {
    kept: Mutex<Vec<Completion<Login>>>,
}

impl Answers {
    fn keep(&self, later: Later<'_, Login>) -> Outcome<Login> {
        let (pending, completion) = later.begin();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(completion);
        pending
    }
}

impl Auth for Answers {
    const NAME: &'static str = "answers";

    fn new(_: &str, _: &Broker) -> Result<Self, Failure> {
        Ok(Self::default())
    }

    fn authenticate(&self, asked: &Credentials<'_>, later: Later<'_, Login>) -> Outcome<Login> {
        match asked.user {
            "late" => self.keep(later),
            "thread" => {
                let (pending, completion) = later.begin();
                std::thread::spawn(move || completion.complete(Login::Deny("thread".into())));
                pending
            }
            "panic" => panic!("panic in authenticate"),
            "defer" => Login::Defer("somebody else".into()).into(),
            user => Login::Allow { user: user.to_uppercase(), tags: vec!["tag".into()] }.into(),
        }
    }

    fn authorise(&self, access: &Access<'_>, _: Later<'_, Decision>) -> Outcome<Decision> {
        match access.user {
            "panic" => panic!("panic in authorise"),
            "guest" => Decision::Allow.into(),
            _ => Decision::Deny("only guest".into()).into(),
        }
    }

    /// Answers what waits.
    fn changed(&self) {
        for completion in self.kept.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            completion.complete(Login::Allow { user: "late".into(), tags: Vec::new() });
        }
    }
}

leveret_plugin::plugin! {
    name: "fixture",
    exchanges: [Panics],
    transforms: [Changes],
    auths: [Answers],
}

leveret_plugin::export!(PLUGIN);
