//! The chain of auth plugins, asked by plugins that answer at once, later, or never.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use leveret_plugin::host::{Credentials, Origin, Permission, ResourceKind};

use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// How a plugin of these tests answers.
#[derive(Clone)]
enum Manner {
    Says(Decision),
    /// Keeps the completion until [`Plugin::answer`].
    Waits,
    /// Drops the completion.
    Forgets,
}

struct Plugin {
    name: &'static str,
    manner: Manner,
    asked: AtomicUsize,
    waiting: Mutex<Vec<Completion<Decision>>>,
}

impl Plugin {
    fn new(name: &'static str, manner: Manner) -> Arc<Self> {
        Arc::new(Self { name, manner, asked: AtomicUsize::new(0), waiting: Mutex::default() })
    }

    fn says(name: &'static str, decision: Decision) -> Arc<Self> {
        Self::new(name, Manner::Says(decision))
    }

    fn answer(&self, decision: Decision) {
        let done = self.waiting.lock().expect("lock").pop().expect("somebody waits");
        done(decision);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn decide(&self, done: Completion<Decision>) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match &self.manner {
            Manner::Says(decision) => done(decision.clone()),
            Manner::Waits => self.waiting.lock().expect("lock").push(done),
            Manner::Forgets => drop(done),
        }
    }
}

impl Auth for Plugin {
    fn name(&self) -> &str {
        self.name
    }

    fn origin(&self) -> &Origin {
        &Origin::BuiltIn
    }

    fn authenticate(&self, credentials: &Credentials<'_>, done: Completion<Login>) {
        let user = credentials.user.to_lowercase();
        self.decide(Box::new(move |decision| {
            done(match decision {
                Decision::Allow => Login::Allow { user, tags: vec!["monitoring".to_owned()] },
                Decision::Deny(reason) => Login::Deny(reason),
                Decision::Defer(reason) => Login::Defer(reason),
            });
        }));
    }

    fn authorise(&self, _: &Access<'_>, done: Completion<Decision>) {
        self.decide(done);
    }

    fn is_lasting(&self) -> bool {
        self.name == "lasting"
    }

    fn changed(&self) {}
}

fn deny() -> Decision {
    Decision::Deny("not today".to_owned())
}

fn defer() -> Decision {
    Decision::Defer("who is that".to_owned())
}

fn chain(plugins: &[&Arc<Plugin>]) -> AuthChain {
    let plugins = plugins.iter().map(|plugin| (*plugin).clone() as Arc<dyn Auth>).collect();
    AuthChain::new(plugins, Duration::from_secs(10))
}

fn write_to(name: &str) -> AccessRequest {
    AccessRequest {
        user: "wt".into(),
        vhost: "/".into(),
        peer: PEER,
        action: ActionRequest::Resource {
            kind: ResourceKind::Exchange,
            name: name.to_owned(),
            permission: Permission::Write,
        },
    }
}

fn attempt() -> LoginAttempt {
    LoginAttempt {
        mechanism: "PLAIN".to_owned(),
        user: "Wt".to_owned(),
        password: b"111111".to_vec(),
        peer: PEER,
    }
}

fn at_once(chain: &AuthChain) -> bool {
    match chain.try_authorise(&write_to("x").as_access()) {
        Answer::Now(allowed) => allowed,
        Answer::Later(_) => panic!("nobody had to wait"),
    }
}

fn later(chain: &AuthChain) -> Pin<Box<dyn Future<Output = bool> + Send>> {
    match chain.try_authorise(&write_to("x").as_access()) {
        Answer::Now(allowed) => panic!("answered {allowed} at once"),
        Answer::Later(answer) => answer,
    }
}

#[test]
fn only_who_let_somebody_in_says_whether_that_lasts() {
    let plugins = [&Plugin::says("lasting", deny()), &Plugin::says("token", deny())];
    let by =
        |backend: &str| Identity { user: "wt".into(), tags: Vec::new(), backend: backend.into() };
    assert!(chain(&plugins).is_lasting(&by("lasting")));
    assert!(!chain(&plugins).is_lasting(&by("token")));
    assert!(!chain(&plugins).is_lasting(&by("gone")));
}

#[test]
fn the_first_that_allows_or_denies_decides() {
    let (yes, no) = (Plugin::says("yes", Decision::Allow), Plugin::says("no", deny()));
    let unsure = Plugin::says("unsure", defer());
    assert!(at_once(&chain(&[&unsure, &yes, &no])));
    assert_eq!(no.asked(), 0);
    assert!(!at_once(&chain(&[&unsure, &no, &yes])));
    assert_eq!(yes.asked(), 1);
}

#[test]
fn all_deferring_and_nobody_to_ask_are_a_no() {
    let unsure = Plugin::says("unsure", defer());
    assert!(!at_once(&chain(&[&unsure, &unsure])));
    assert!(!at_once(&chain(&[])));
}

#[test]
fn a_dropped_completion_is_a_no_even_if_a_later_plugin_would_allow() {
    let (gone, yes) = (Plugin::new("gone", Manner::Forgets), Plugin::says("yes", Decision::Allow));
    assert!(!at_once(&chain(&[&gone, &yes])));
    assert_eq!(yes.asked(), 0);
}

#[tokio::test]
async fn a_late_answer_is_waited_for_and_the_chain_goes_on() {
    let slow = Plugin::new("slow", Manner::Waits);
    let yes = Plugin::says("yes", Decision::Allow);
    let answer = later(&chain(&[&slow, &yes]));
    slow.answer(defer());
    assert!(answer.await);
    assert_eq!((slow.asked(), yes.asked()), (1, 1));

    let answer = later(&chain(&[&slow, &yes]));
    slow.answer(deny());
    assert!(!answer.await);
    assert_eq!(yes.asked(), 1);
}

#[tokio::test]
async fn a_completion_dropped_later_is_a_no() {
    let slow = Plugin::new("slow", Manner::Waits);
    let answer = later(&chain(&[&slow]));
    slow.waiting.lock().expect("lock").clear();
    assert!(!answer.await);
}

#[tokio::test]
async fn no_answer_in_time_is_a_no_for_the_whole_chain() {
    let silent = Plugin::new("silent", Manner::Waits);
    let yes = Plugin::says("yes", Decision::Allow);
    let chain = AuthChain::new(vec![silent, yes.clone()], Duration::ZERO);
    assert!(!later(&chain).await);
    let refusal = chain.authenticate(attempt()).await.expect_err("nobody answered");
    assert_eq!(refusal.0, "backend 'silent' did not answer within 0ns");
    assert_eq!(yes.asked(), 0);
}

#[tokio::test]
async fn a_login_has_the_name_the_plugin_gives_it() {
    let unsure = Plugin::says("unsure", defer());
    let yes = Plugin::says("yes", Decision::Allow);
    let identity = chain(&[&unsure, &yes]).authenticate(attempt()).await.expect("allowed");
    assert_eq!(&*identity.user, "wt");
    assert_eq!(identity.backend, "yes");
    assert!(identity.has_tag("monitoring") && !identity.has_tag("administrator"));
}

#[tokio::test]
async fn a_refused_login_names_the_backend_and_its_reason() {
    let (unsure, no) = (Plugin::says("unsure", defer()), Plugin::says("no", deny()));
    let gone = Plugin::new("gone", Manner::Forgets);
    let refusal = async |plugins: &[&Arc<Plugin>]| {
        chain(plugins).authenticate(attempt()).await.expect_err("refused").0
    };
    assert_eq!(refusal(&[&unsure, &no]).await, "backend 'no' refused: not today");
    assert_eq!(
        refusal(&[&unsure, &unsure]).await,
        "every backend deferred: 'unsure': who is that; 'unsure': who is that"
    );
    assert_eq!(refusal(&[&gone]).await, "backend 'gone' gave no answer");
    assert_eq!(refusal(&[]).await, "there is no auth plugin");
}

#[tokio::test]
async fn authorise_waits_where_it_must() {
    let yes = Plugin::says("yes", Decision::Allow);
    assert!(chain(&[&yes]).authorise(write_to("x")).await);
    assert!(!chain(&[]).authorise(write_to("x")).await);
}

#[test]
fn a_question_keeps_what_it_asks_about() {
    let topic = ActionRequest::Topic {
        exchange: "logs".to_owned(),
        routing_key: "a.b".to_owned(),
        permission: Permission::Read,
    };
    for action in [ActionRequest::Access, topic, write_to("x").action] {
        let request = AccessRequest { action, ..write_to("x") };
        assert_eq!(AccessRequest::from(&request.as_access()), request);
    }
}

#[test]
fn a_password_is_never_shown() {
    assert!(!format!("{:?}", attempt()).contains("111111"));
    assert!(!format!("{:?}", attempt()).contains("49, 49"));
}
