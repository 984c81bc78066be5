//! Acks, rejections, requeueing, recovery, and what basic.get counts.

use crate::broker::Broker;
use crate::client::Client;

fn with_messages(count: u32) -> (Broker, Client) {
    let broker = Broker::start();
    let mut client = broker.client();
    client.queue("q", 0, &[]);
    (0..count).for_each(|n| client.publish("", "q", &*n.to_string()));
    (broker, client)
}

#[test]
fn get_says_how_many_are_left() {
    let (_broker, mut client) = with_messages(3);
    let left: Vec<_> = (0..3).map(|_| client.get("q", true).expect("one").left).collect();
    assert_eq!(left, [2, 1, 0]);
    assert!(client.get("q", true).is_none());
}

#[test]
fn requeued_messages_return_to_their_places() {
    let (_broker, mut client) = with_messages(6);
    let tags: Vec<_> = (0..4).map(|_| client.get("q", false).expect("one").tag).collect();
    client.ack(tags[1], false);
    client.nack(tags[3], false, true);
    client.nack(tags[0], false, true);
    client.nack(tags[2], false, true);
    let all: Vec<_> = std::iter::from_fn(|| client.get("q", true)).collect();
    let texts: Vec<_> = all.iter().map(|one| one.text()).collect();
    assert_eq!(texts, ["0", "2", "3", "4", "5"]);
    let redelivered: Vec<_> = all.iter().map(|one| one.redelivered).collect();
    assert_eq!(redelivered, [true, true, true, false, false]);
}

#[test]
fn nack_of_tag_zero_with_multiple_is_everything() {
    let (_broker, mut client) = with_messages(5);
    (0..5).for_each(|_| drop(client.get("q", false)));
    client.nack(0, true, true);
    assert_eq!(client.drain("q"), ["0", "1", "2", "3", "4"]);
}

#[test]
fn rejected_messages_are_gone_or_back() {
    let (_broker, mut client) = with_messages(2);
    for requeue in [false, true] {
        let tag = client.get("q", false).expect("one").tag;
        let bits = crate::wire::Arguments::new().longlong(tag).octet(requeue.into());
        client.send((60, 90), &bits);
    }
    assert_eq!(client.drain("q"), ["1"]);
}

#[test]
fn recover_requeues_everything_unacked() {
    let (_broker, mut client) = with_messages(3);
    client.consume("q", "c", 0, &[]);
    assert_eq!(client.texts(3), ["0", "1", "2"]);
    client.recover();
    let again = client.deliveries(3);
    assert!(again.iter().all(|one| one.redelivered));
    assert_eq!(again.iter().map(|one| one.tag).collect::<Vec<_>>(), [4, 5, 6]);
    let texts: Vec<_> = again.iter().map(|one| one.text()).collect();
    assert_eq!(texts, ["0", "1", "2"]);
}

#[test]
fn an_unknown_delivery_tag_closes_the_channel() {
    let (_broker, mut client) = with_messages(1);
    let tag = client.get("q", false).expect("one").tag;
    client.ack(tag, false);
    client.ack(tag, false);
    let refusal = client.refused();
    assert_eq!(refusal.code, 406);
    assert!(refusal.text.starts_with("PRECONDITION_FAILED - unknown delivery tag 1"));
}

#[test]
fn closing_a_channel_requeues_what_it_held() {
    let (_broker, mut client) = with_messages(2);
    client.open(2);
    client.get("q", false);
    let bye = crate::wire::Arguments::new().short(200).text("").long(0);
    client.call((20, 40), &bye, (20, 41));
    client.channel = 1;
    assert_eq!(client.drain("q"), ["0", "1"]);
}

#[test]
fn a_transaction_takes_effect_at_its_commit() {
    let (_broker, mut client) = with_messages(1);
    client.queue("out", 0, &[]);
    client.tx(10);
    let tag = client.get("q", false).expect("one").tag;
    client.publish("", "out", "a");
    client.publish("", "out", "b");
    client.ack(tag, false);
    assert_eq!(client.ready("out"), 0, "nothing before the commit");
    client.tx(20);
    assert_eq!(client.drain("out"), ["a", "b"]);
    client.recover();
    assert_eq!(client.ready("q"), 0, "the ack is final");
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_nothing() {
    let (_broker, mut client) = with_messages(1);
    client.queue("out", 0, &[]);
    client.tx(10);
    let tag = client.get("q", false).expect("one").tag;
    client.publish("", "out", "a");
    client.ack(tag, false);
    client.tx(30);
    client.tx(20);
    assert_eq!(client.ready("out"), 0);
    client.ack(tag, false);
    client.tx(20);
    assert!(client.settled().is_empty(), "the tag is still known");
}
