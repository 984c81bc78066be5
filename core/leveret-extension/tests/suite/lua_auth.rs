//! Auth scripts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{self, Receiver};

use leveret_extension::Registry;
use leveret_plugin::host::{
    Access, Action, Auth, Credentials, Decision, Login, Permission, ResourceKind,
};

use crate::kit::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const SCRIPT: &str = "
local A = { name = 'test', mechanisms = { 'PLAIN' } }
function A.authenticate(req, cfg)
    if req.user == 'loop' then while true do end end
    if req.user == 'error' then error('bad') end
    if req.user == 'admin' then return leveret.allow { user = 'root', tags = { 'administrator' } } end
    if req.password == 'secret' and req.peer == '127.0.0.1' then return leveret.allow end
    if req.password == '' then return leveret.defer('no password') end
    return leveret.deny('bad credentials')
end
function A.authorise(user, a, cfg)
    local seen = table.concat({ user.name, a.vhost, a.op, a.kind, a.name, a.routing_key or '-', a.peer }, ' ')
    return leveret.deny(seen)
end
return A";

fn login(auth: &dyn Auth, mechanism: &str, user: &str, password: &str) -> Receiver<Login> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let credentials = Credentials { mechanism, user, password: password.as_bytes(), peer: PEER };
    auth.authenticate(&credentials, Box::new(move |login| drop(sender.send(login))));
    receiver
}

fn decide(auth: &dyn Auth, action: Action<'_>) -> Decision {
    let (sender, receiver) = mpsc::sync_channel(1);
    let access = Access { user: "ann", vhost: "/", peer: PEER, action };
    auth.authorise(&access, Box::new(move |decision| drop(sender.send(decision))));
    receiver.recv().expect("answers")
}

fn loaded(text: &str) -> Registry {
    load(text).expect("loads")
}

#[test]
fn logins_are_allowed_denied_and_deferred() {
    let registry = loaded(SCRIPT);
    let auth = &*registry.auths()[0];
    let allow = |user: &str, tags: &[&str]| Login::Allow {
        user: user.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    for (user, password, wanted) in [
        ("ann", "secret", allow("ann", &[])),
        ("admin", "x", allow("root", &["administrator"])),
        ("ann", "", Login::Defer("no password".into())),
        ("ann", "wrong", Login::Deny("bad credentials".into())),
        ("error", "x", Login::Deny("test.lua:5: bad".into())),
    ] {
        assert_eq!(login(auth, "PLAIN", user, password).recv(), Ok(wanted));
    }
    let other = Login::Defer("not one of its mechanisms".into());
    assert_eq!(login(auth, "EXTERNAL", "ann", "secret").recv(), Ok(other));
}

#[test]
fn every_question_of_authorisation_reaches_the_script() {
    let registry = loaded(SCRIPT);
    let auth = &*registry.auths()[0];
    let queue = Action::Resource {
        kind: ResourceKind::Queue,
        name: "q",
        permission: Permission::Configure,
    };
    let topic =
        Action::Topic { exchange: "logs", routing_key: "a.b", permission: Permission::Write };
    for (action, seen) in [
        (Action::Access, "ann / access vhost / - 127.0.0.1"),
        (queue, "ann / configure queue q - 127.0.0.1"),
        (topic, "ann / write topic logs a.b 127.0.0.1"),
    ] {
        assert_eq!(decide(auth, action), Decision::Deny(seen.into()));
    }
}

#[test]
fn a_script_that_never_answers_denies_and_does_not_hold_the_caller() {
    let registry = loaded(SCRIPT);
    let auth = &*registry.auths()[0];
    let stuck = login(auth, "PLAIN", "loop", "x");
    assert!(stuck.try_recv().is_err(), "the script has a tenth of a second yet");
    let allowed = Login::Allow { user: "ann".into(), tags: vec![] };
    assert_eq!(login(auth, "PLAIN", "ann", "secret").recv(), Ok(allowed));
    let denied = Login::Deny("test.lua:4: ran for longer than 100 ms".into());
    assert_eq!(stuck.recv(), Ok(denied));
}

#[test]
fn what_a_script_has_no_function_for_is_deferred() {
    let registry = loaded("return { name = 'a', authorise = function() return leveret.allow end }");
    let auth = &*registry.auths()[0];
    let deferred = Login::Defer("it does not authenticate".into());
    assert_eq!(login(auth, "PLAIN", "ann", "x").recv(), Ok(deferred));
    assert_eq!(decide(auth, Action::Access), Decision::Allow);
}

#[test]
fn anything_but_a_verdict_denies() {
    for returned in ["true", "nil", "leveret.pass", "{}"] {
        let text = format!("return {{ name = 'a', authorise = function() return {returned} end }}");
        let registry = loaded(&text);
        let decision = decide(&*registry.auths()[0], Action::Access);
        assert!(matches!(decision, Decision::Deny(_)), "{returned}: {decision:?}");
    }
}
