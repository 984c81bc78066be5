//! The suite on the four plugins as they are linked in: through their descriptors.

use leveret_conformance::{Kind, run};
use leveret_plugin::abi::Descriptor;
use leveret_plugin::testkit::{self, TestHost};

fn check(kind: Kind, plugin: &'static Descriptor) {
    let exchange_type = testkit::exchange_type(plugin, kind.name(), "{}", &TestHost::new());
    assert_eq!(exchange_type.name(), kind.name());
    run(kind, &*exchange_type);
}

#[test]
fn direct() {
    check(Kind::Direct, &leveret_direct::PLUGIN);
}

#[test]
fn fanout() {
    check(Kind::Fanout, &leveret_fanout::PLUGIN);
}

#[test]
fn topic() {
    check(Kind::Topic, &leveret_topic::PLUGIN);
}

#[test]
fn headers() {
    check(Kind::Headers, &leveret_headers::PLUGIN);
}

#[test]
#[should_panic(expected = "instead of")]
fn the_suite_notices_a_wrong_exchange() {
    let direct = testkit::exchange_type(&leveret_direct::PLUGIN, "direct", "{}", &TestHost::new());
    run(Kind::Topic, &*direct);
}
