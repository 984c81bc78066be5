//! Scripts that declare themselves pure are held to it.

use crate::kit::*;

fn pure_script(route: &str) -> String {
    exchange_script(route).replace("name = 'x-test'", "name = 'x-test', pure = true")
}

#[test]
fn purity_is_what_the_script_declares() {
    for (text, pure) in [(pure_script("return 0"), true), (exchange_script("return 0"), false)] {
        assert_eq!(declare(&load(&text).expect("loads")).is_pure(), pure);
    }
}

#[test]
fn what_depends_on_more_than_the_key_is_refused_at_load() {
    for (body, what) in [
        ("return msg.headers.x", "msg.headers"),
        ("return #msg:body()", "msg.body"),
        ("return msg.body_size", "msg.body_size"),
        ("return msg.properties.priority", "msg.properties"),
        ("return msg.user == 'x' and 1 or 0", "msg.user"),
        ("return msg.mandatory and 1 or 0", "msg.mandatory"),
        ("return math.random(2)", "math.random"),
        ("return leveret.random(2)", "leveret.random"),
        ("return os.time()", "os.time"),
        ("return os.clock()", "os.clock"),
        ("pcall(function() return msg.user end) return 0 * msg.body_size", "msg.body_size"),
    ] {
        let text = load_error(&pure_script(body));
        let wanted =
            format!("script test.lua:6: {what} may not be used: the script declares pure = true");
        assert_eq!(text, wanted, "{body}");
    }
}

#[test]
fn what_the_load_cannot_see_is_refused_when_it_happens() {
    let text = pure_script("if key == 'rare' then return msg.body_size end return 0");
    let registry = load(&text).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "common"), Ok(vec![0]));
    let failure = route(&*table, "rare").expect_err("is impure");
    assert_eq!(
        failure.text,
        "test.lua:6: msg.body_size may not be used: the script declares pure = true"
    );
}

#[test]
fn chance_at_the_top_of_the_script_is_refused() {
    let text = load_error(&format!("local seed = math.random()\n{}", pure_script("return 0")));
    assert!(text.starts_with("script test.lua:1: math.random may not be used"), "{text}");
}

#[test]
fn a_counter_is_noticed_at_load() {
    let text = load_error(&pure_script("ex.n = (ex.n or 0) + 1 return ex.n"));
    assert!(
        text.contains("declares pure = true but routes the same key to [1] and then to [2]"),
        "{text}"
    );
}

#[test]
fn the_exchange_and_the_vhost_may_be_read() {
    let text = pure_script("return #msg.exchange + #msg.vhost + #msg.routing_key");
    let registry = load(&text).expect("loads");
    let table = declare(&registry).build(&[]).expect("builds");
    assert_eq!(route(&*table, "key"), Ok(vec![5]));
}

#[test]
fn a_pure_script_that_cannot_cope_with_the_trial_still_loads() {
    let script = "local X = { name = 'x', pure = true }
        function X.new(args) return { n = args.n + 1 } end
        function X.bind() end
        function X.route(ex) return ex.n end
        return X";
    assert!(load(script).is_ok());
}
