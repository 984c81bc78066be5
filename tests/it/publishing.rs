//! Returns, confirms, copies and direct replies.

use leveret_plugin::properties::{Property, PropertyValue};
use leveret_plugin::table::ArrayBuilder;
use leveret_plugin::value::Value;

use crate::broker::Broker;
use crate::client::refusal;
use crate::verbs::{DURABLE, NO_ACK};
use crate::wire::{Message, text};

#[test]
fn a_mandatory_message_comes_back_before_its_confirm() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    client.publish("", "nobody", Message::persistent("x").mandatory());
    let returned = client.next();
    assert_eq!(returned.id, (60, 50));
    assert_eq!((refusal(&returned).code, refusal(&returned).text.as_str()), (312, "NO_ROUTE"));
    assert_eq!(returned.body, b"x");
    assert_eq!(client.next().id, (60, 80));
}

#[test]
fn what_nobody_wants_is_confirmed() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    assert!(client.publish_confirmed("amq.fanout", "", Message::persistent("x")));
}

#[test]
fn confirms_of_a_burst_are_few_and_cover_everything_once() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.confirm_select();
    client.queue("q", DURABLE, &[]);
    let mut burst = Vec::new();
    let arguments = crate::wire::Arguments::new().short(0).text("").text("q").octet(0);
    for n in 0..2_000 {
        crate::wire::method(&mut burst, 1, (60, 40), &arguments);
        crate::wire::content(&mut burst, 1, &Message::persistent(format!("{n}")));
    }
    client.write(&burst);
    let frames = client.confirmed_to(2_000);
    assert!(frames < 500, "{frames} frames for 2,000 confirms");
    assert_eq!(client.ready("q"), 2_000);
}

fn keys(names: &[&str]) -> ArrayBuilder {
    let mut array = ArrayBuilder::new();
    names.iter().for_each(|name| array.push(text(name)));
    array
}

#[test]
fn copies_go_to_more_keys_and_blind_ones_are_not_seen() {
    let broker = Broker::start();
    let mut client = broker.client();
    for queue in ["to", "cc", "bcc"] {
        client.queue(queue, 0, &[]);
    }
    let (cc, bcc) = (keys(&["cc", "to"]), keys(&["bcc"]));
    let message = Message::new("x")
        .header("CC", Value::Array(cc.array()))
        .header("BCC", Value::Array(bcc.array()));
    client.publish("", "to", message);
    client.barrier();
    for queue in ["to", "cc", "bcc"] {
        let copy = client.get(queue, true).expect("a copy");
        assert!(copy.properties().header("CC").is_some(), "{queue}");
        assert_eq!(copy.properties().header("BCC"), None, "{queue}");
        assert!(client.get(queue, true).is_none(), "one each: {queue}");
    }
}

#[test]
fn a_reply_goes_straight_to_who_asked() {
    let broker = Broker::start();
    let (mut asker, mut server) = (broker.client(), broker.client());
    server.queue("questions", 0, &[]);
    server.consume("questions", "s", NO_ACK, &[]);
    asker.consume("amq.rabbitmq.reply-to", "r", NO_ACK, &[]);
    let question = Message::new("2+2")
        .with(Property::ReplyTo, PropertyValue::Text(b"amq.rabbitmq.reply-to"))
        .with(Property::CorrelationId, PropertyValue::Text(b"17"));
    asker.publish("", "questions", question);
    let asked = server.take_delivery();
    let reply_to = asked.properties().reply_to().expect("an address").to_owned();
    assert!(reply_to.starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
    server.publish("", &reply_to, Message::new("4").mandatory());
    let answer = asker.take_delivery();
    assert_eq!((answer.text(), answer.consumer.as_str()), ("4", "r"));
    assert!(server.settled().is_empty(), "it was not returned");
    asker.close();
    server.publish("", &reply_to, Message::new("5").mandatory());
    assert_eq!(server.next().id, (60, 50), "nobody is there any more");
}

#[test]
fn a_reply_needs_somebody_who_can_take_it() {
    let broker = Broker::start();
    let mut client = broker.client();
    let question =
        Message::new("x").with(Property::ReplyTo, PropertyValue::Text(b"amq.rabbitmq.reply-to"));
    client.publish("", "q", question);
    let refusal = client.refused();
    assert_eq!(refusal.code, 406);
    assert!(refusal.text.contains("fast reply consumer does not exist"), "{}", refusal.text);
}

#[test]
fn a_user_id_must_be_ones_own() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    let from =
        |user: &str| Message::new("x").with(Property::UserId, PropertyValue::Text(user.as_bytes()));
    client.publish("", "q", from("guest"));
    client.publish("", "q", from("somebody"));
    let refusal = client.refused();
    assert_eq!(refusal.code, 406);
    assert!(refusal.text.contains("user_id property set to 'somebody'"), "{}", refusal.text);
    client.open(1);
    assert_eq!(client.drain("q"), ["x"]);
}

#[test]
fn bodies_of_every_size_arrive_whole() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    client.consume("q", "c", NO_ACK, &[]);
    for size in [0, 1, 4_095, 65_535, 65_536, 131_064, 131_065, 1_000_000, 16_777_216] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        client.publish("", "q", Message::new(&body));
        assert!(client.take_delivery().body == body, "{size} bytes");
    }
    client.publish("", "q", Message::new(vec![0; 16_777_217]));
    assert_eq!(client.refused().code, 406);
}
