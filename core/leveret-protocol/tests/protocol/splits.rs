//! However the bytes of a stream are cut, the same things happen.

use std::sync::Arc;

use leveret_protocol::{Client, ClientOptions, Connection, ServerOptions};
use proptest::prelude::*;

use crate::pair::{Answers, answer, describe};

/// Something that a client does on one of three channels.
#[derive(Clone, Debug)]
enum Act {
    Publish { channel: u16, body: Vec<u8>, piece: usize, headers: bool },
    Interleaved { first: Vec<u8>, second: Vec<u8> },
    Ack(u16, u64, bool),
    Declare(u16),
    Reopen(u16),
    Heartbeat,
}

fn act() -> impl Strategy<Value = Act> {
    let channel = 1..4_u16;
    let body = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (60_000..140_000_usize).prop_map(|length| vec![b'L'; length]),
    ];
    prop_oneof![
        4 => (channel.clone(), body, prop_oneof![Just(131_000), 1..200_usize], any::<bool>())
            .prop_map(|(channel, body, piece, headers)| {
                let piece = piece.max(body.len() / 20).min(131_000);
                Act::Publish { channel, body, piece, headers }
            }),
        1 => (prop::collection::vec(any::<u8>(), 0..9), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(first, second)| Act::Interleaved { first, second }),
        2 => (channel.clone(), any::<u64>(), any::<bool>())
            .prop_map(|(channel, tag, multiple)| Act::Ack(channel, tag, multiple)),
        1 => channel.clone().prop_map(Act::Declare),
        1 => channel.prop_map(Act::Reopen),
        1 => Just(Act::Heartbeat),
    ]
}

/// The bytes of a client that shakes hands, opens three channels and acts.
fn stream(acts: &[Act]) -> Vec<u8> {
    let mut client = Client::new(ClientOptions::default());
    client.start_ok();
    client.tune_ok_and_open();
    (1..4).for_each(|channel| client.open_channel(channel));
    for act in acts {
        perform(&mut client, act);
    }
    client.close();
    let mut bytes = Vec::new();
    client.poll_output(&mut bytes);
    bytes
}

fn perform(client: &mut Client, act: &Act) {
    match act {
        Act::Publish { channel, body, piece, headers } => {
            let properties: &[u8] =
                if *headers { b"\x30\x00\x00\x00\x00\x03\x01kV\x02" } else { &[0, 0] };
            client.publish(*channel, ("exchange", "routing.key"), properties, body, *piece);
        }
        Act::Interleaved { first, second } => {
            client.publish_method(1, "", "first");
            client.publish_method(2, "", "second");
            client.content_header(1, &[0, 0], first.len() as u64);
            client.content_header(2, &[0, 0], second.len() as u64);
            first.chunks(2).for_each(|part| client.frame(3, 1, part));
            second.chunks(3).for_each(|part| client.frame(3, 2, part));
        }
        Act::Ack(channel, tag, multiple) => client.ack(*channel, *tag, *multiple),
        Act::Declare(channel) => {
            let payload = b"\x00\x32\x00\x0a\x00\x00\x01q\x02\x00\x00\x00\x03\x01aV";
            client.frame(1, *channel, payload);
        }
        Act::Reopen(channel) => {
            client.close_channel(*channel);
            client.open_channel(*channel);
        }
        Act::Heartbeat => client.heartbeat(),
    }
}

/// Feeds the stream in pieces that end at `cuts`; returns events and what the server wrote.
fn feed(bytes: &[u8], cuts: &[usize]) -> (Vec<String>, Vec<u8>) {
    let mut server = Connection::server(Arc::new(ServerOptions::default()), 0);
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        // As a reader does it: what was not consumed stays in front of what comes.
        let mut input = bytes.get(start..end).unwrap_or_default();
        let before = input.len();
        while let Some(event) = server.next_event(&mut input, 0) {
            events.push(describe(&event));
            answer(&mut server, &event, Answers::ALL, 0);
            server.poll_output(&mut output);
        }
        if !input.is_empty() {
            assert!(server.needed() > input.len(), "{} of {}", server.needed(), input.len());
        }
        start += before - input.len();
    }
    (events, output)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_a_stream_gives_the_same_events_and_answers(
        acts in prop::collection::vec(act(), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let bytes = stream(&acts);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let whole = feed(&bytes, &[]);
        prop_assert!(whole.0.last().unwrap().starts_with("closed reset=false"));
        prop_assert_eq!(feed(&bytes, &cuts), whole);
    }

    #[test]
    fn a_stream_may_come_octet_by_octet(acts in prop::collection::vec(act(), 0..3)) {
        let acts: Vec<Act> = acts.into_iter()
            .filter(|act| !matches!(act, Act::Publish { body, .. } if body.len() > 1_000))
            .collect();
        let bytes = stream(&acts);
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(feed(&bytes, &cuts), feed(&bytes, &[]));
    }
}
