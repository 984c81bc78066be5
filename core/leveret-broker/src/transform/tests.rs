//! Sets of transforms, which messages concern them, and how verdicts and failures add up.

use std::borrow::Cow;

use leveret_plugin::host::{Failure, OnError, Origin, Verdict};
use leveret_plugin::message::{Message, MessageMut};
use leveret_plugin::properties::{PropertiesEditor, Property, PropertyValue};
use leveret_plugin::value::Value;
use leveret_protocol::ReplyCode;

use super::*;

type Apply = dyn Fn(&mut MessageMut<'_>) -> Result<Verdict, Failure> + Send + Sync;

struct Scripted {
    name: String,
    stages: Vec<Stage>,
    filter: Match,
    on_error: OnError,
    apply: Box<Apply>,
}

impl Transform for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &Origin {
        &Origin::BuiltIn
    }

    fn runs_at(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    fn matches(&self) -> &Match {
        &self.filter
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn apply(&self, _: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
        (self.apply)(message)
    }
}

fn scripted(
    name: &str,
    apply: impl Fn(&mut MessageMut<'_>) -> Result<Verdict, Failure> + Send + Sync + 'static,
) -> Scripted {
    Scripted {
        name: name.to_owned(),
        stages: vec![Stage::Publish, Stage::Deliver],
        filter: Match::default(),
        on_error: OnError::default(),
        apply: Box::new(apply),
    }
}

/// Appends its name to the body.
fn signing(name: &'static str) -> Scripted {
    scripted(name, move |message| {
        message.body.to_mut().extend_from_slice(name.as_bytes());
        Ok(Verdict::Pass)
    })
}

fn attached(transforms: impl IntoIterator<Item = (Scripted, i32)>) -> Transforms {
    let set = Transforms::new();
    for (transform, priority) in transforms {
        set.attach(Attachment::new(Arc::new(transform), priority));
    }
    set
}

const MESSAGE: Message<'static> = Message {
    vhost: "/",
    exchange: "orders",
    routing_key: "orders.eu",
    properties: &[0, 0],
    body: b"",
    mandatory: false,
    redelivered: false,
    user: "wt",
    peer: None,
    queue: "",
};

/// The outcome at publish and the body that goes on.
fn publish(set: &Transforms) -> (Outcome, String) {
    let mut message = MessageMut::new(MESSAGE);
    let outcome = set.load().publish_transforms_for("orders").run(&mut message);
    (outcome, String::from_utf8_lossy(&message.body).into_owned())
}

fn passed(changed: bool, body: &str) -> (Outcome, String) {
    (Outcome::Pass { changed }, body.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn concerns(filter: Match, message: &Message<'_>) -> bool {
    matching::matches(&filter, message)
}

fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn nobody_attached_is_nobody_to_ask() {
    let set = Transforms::new();
    let chain = set.load().publish_transforms_for("orders");
    assert!(chain.is_empty() && !chain.concerns(&MESSAGE));
    assert_eq!(publish(&set), passed(false, ""));
}

#[test]
fn higher_priority_comes_first_then_configuration_order() {
    let set =
        attached([(signing("a"), 0), (signing("b"), 5), (signing("c"), 0), (signing("d"), 5)]);
    assert_eq!(publish(&set), passed(true, "bdac"));
}

#[test]
fn one_call_changes_many_and_moves_the_generation_once() {
    let set = attached([(signing("a"), 0), (signing("b"), 0)]);
    let before = set.generation();
    set.update(|list| {
        list.reverse();
        list.push(Attachment::new(Arc::new(signing("c")), 1));
    });
    assert_eq!(set.generation(), before + 1);
    assert_eq!(publish(&set), passed(true, "cba"));
}

#[test]
fn a_chain_in_use_is_not_changed_by_an_update() {
    let set = attached([(signing("a"), 0)]);
    let chain = set.load().publish_transforms_for("orders");
    assert!(set.detach("a"));
    assert!(!set.detach("a"));
    let mut message = MessageMut::new(MESSAGE);
    assert_eq!(chain.run(&mut message), Outcome::Pass { changed: true });
    assert_eq!(publish(&set), passed(false, ""));
}

#[test]
fn attaching_a_name_again_keeps_its_place() {
    let set = attached([(signing("a"), 0), (signing("b"), 0)]);
    let mut again = signing("a");
    again.apply = Box::new(|message| {
        message.body.to_mut().extend_from_slice(b"A");
        Ok(Verdict::Pass)
    });
    set.attach(Attachment::new(Arc::new(again), 0));
    assert_eq!(publish(&set), passed(true, "Ab"));
    assert_eq!(set.load().attachments().len(), 2);
}

#[test]
fn only_those_of_the_stage_the_exchange_or_the_queue_are_picked() {
    let mut publisher = signing("p");
    publisher.stages = vec![Stage::Publish];
    publisher.filter.exchange = some("ord*");
    let mut deliverer = signing("d");
    deliverer.stages = vec![Stage::Deliver];
    deliverer.filter.queue = some("q");
    let set = attached([(publisher, 0), (deliverer, 0)]).load();
    assert!(!set.publish_transforms_for("orders").is_empty());
    assert!(set.publish_transforms_for("logs").is_empty());
    assert!(!set.deliver_transforms_for("q").is_empty());
    assert!(set.deliver_transforms_for("other").is_empty());
}

#[test]
fn names_fit_whole_or_up_to_a_star() {
    let key = |pattern: &str| Match { routing_key: some(pattern), ..Match::default() };
    assert!(concerns(Match::default(), &MESSAGE));
    assert!(concerns(key("orders.eu"), &MESSAGE));
    assert!(concerns(key("orders.*"), &MESSAGE));
    assert!(concerns(key("*"), &MESSAGE));
    assert!(!concerns(key("orders"), &MESSAGE));
    assert!(!concerns(key("orders.us*"), &MESSAGE));
    assert!(!concerns(key("*.eu"), &MESSAGE));
    assert!(concerns(Match { user: some("wt"), ..Match::default() }, &MESSAGE));
    assert!(!concerns(Match { user: some("w"), ..Match::default() }, &MESSAGE));
    assert!(!concerns(Match { user: some("wt"), ..key("x") }, &MESSAGE));
    assert!(!concerns(Match { queue: some("q"), ..Match::default() }, &MESSAGE));
    assert!(concerns(
        Match { queue: some("q"), ..Match::default() },
        &Message { queue: "q", ..MESSAGE }
    ));
}

#[test]
fn content_type_and_headers_must_be_there_to_fit() {
    let mut editor = PropertiesEditor::new();
    editor.set(Property::ContentType, PropertyValue::Text(b"text/plain")).expect("set");
    editor.set_header("x-trace", Value::I32(1)).expect("set");
    let properties = editor.into_bytes();
    let message = Message { properties: &properties, ..MESSAGE };
    let kind = |pattern: &str| Match { content_type: some(pattern), ..Match::default() };
    let header = |pattern: &str| Match { header: some(pattern), ..Match::default() };
    assert!(concerns(kind("text/plain"), &message));
    assert!(concerns(kind("text/*"), &message));
    assert!(!concerns(kind("application/json"), &message));
    assert!(!concerns(kind("*"), &MESSAGE));
    assert!(concerns(header("x-trace"), &message));
    assert!(concerns(header("x-*"), &message));
    assert!(!concerns(header("x-tr"), &message));
    assert!(!concerns(header("*"), &MESSAGE));
    assert!(!concerns(Match { header: some("y"), ..kind("text/*") }, &message));
    assert!(!concerns(header("x"), &Message { properties: &[0xff], ..MESSAGE }));
}

#[test]
fn a_transform_sees_what_the_one_before_made_of_the_message() {
    let renaming = scripted("rename", |message| {
        message.routing_key = Cow::Owned("renamed".to_owned());
        Ok(Verdict::Pass)
    });
    let mut second = signing("second");
    second.filter.routing_key = some("renamed");
    let mut unconcerned = signing("unconcerned");
    unconcerned.filter.routing_key = some("orders.*");
    let set = attached([(renaming, 2), (second, 1), (unconcerned, 0)]);
    assert_eq!(publish(&set), passed(true, "second"));
}

#[test]
fn dropping_and_rejecting_end_the_chain() {
    let drops = || scripted("drops", |_| Ok(Verdict::Drop("spam".to_owned())));
    let rejects = |code| scripted("rejects", move |_| Ok(Verdict::Reject(code, "no".to_owned())));
    let outcome = |first: Scripted| publish(&attached([(first, 1), (signing("later"), 0)]));
    assert_eq!(outcome(drops()), (Outcome::Drop("spam".to_owned()), String::new()));
    let rejected = |code| (Outcome::Reject(code, "no".to_owned()), String::new());
    assert_eq!(outcome(rejects(406)), rejected(ReplyCode::PreconditionFailed));
    assert_eq!(outcome(rejects(403)), rejected(ReplyCode::AccessRefused));
    assert_eq!(outcome(rejects(7)), rejected(ReplyCode::InternalError));
    assert_eq!(outcome(rejects(200)), rejected(ReplyCode::InternalError));
}

fn failing(on_error: OnError) -> Scripted {
    let fails = scripted("broken", |message| {
        message.body.to_mut().extend_from_slice(b"half done");
        Err(Failure::error("broken.lua:3: oh"))
    });
    Scripted { on_error, ..fails }
}

#[test]
fn a_failure_means_what_on_error_says() {
    let outcome = |on_error| publish(&attached([(signing("a"), 1), (failing(on_error), 0)])).0;
    assert_eq!(
        outcome(OnError::Reject),
        Outcome::Reject(ReplyCode::InternalError, "broken.lua:3: oh".to_owned())
    );
    assert_eq!(outcome(OnError::Drop), Outcome::Drop("transform broken failed".to_owned()));
    assert_eq!(outcome(OnError::Pass), Outcome::Pass { changed: true });
}

#[test]
fn a_failure_that_is_passed_over_leaves_nothing_behind() {
    let broken = || failing(OnError::Pass);
    assert_eq!(publish(&attached([(broken(), 0)])), passed(false, ""));
    let set = attached([(signing("a"), 2), (broken(), 1), (signing("b"), 0)]);
    assert_eq!(publish(&set), passed(true, "ab"));
    publish(&set);
    assert_eq!(set.load().attachments()[1].failures(), 2);
}

#[test]
fn what_cannot_go_on_the_wire_is_a_failure() {
    let long = scripted("long", |message| {
        message.routing_key = Cow::Owned("k".repeat(256));
        Ok(Verdict::Pass)
    });
    let garbage = scripted("garbage", |message| {
        message.properties = Cow::Owned(vec![0xff]);
        Ok(Verdict::Pass)
    });
    let rejected = |text: &str| Outcome::Reject(ReplyCode::InternalError, text.to_owned());
    assert_eq!(
        publish(&attached([(long, 0)])).0,
        rejected("transform long left a routing key of 256 bytes")
    );
    assert_eq!(
        publish(&attached([(garbage, 0)])).0,
        rejected("transform garbage left malformed properties: missing property flags at byte 0")
    );
}
