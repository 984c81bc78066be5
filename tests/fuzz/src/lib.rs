//! Fuzz targets as plain functions: bytes in, a panic if a promise was broken.
//!
//! Promises: no input panics; what is consumed is never given back; a machine that closed says
//! nothing more; what the server writes can be read; a message that came out is a valid run.

use std::sync::Arc;

use leveret_protocol::{
    Client, ClientOptions, Connection, Event, Publish, Run, ServerMessage, ServerOptions, encode,
    properties, table,
};

/// More events than this from one input mean that the machine turns in circles.
const MOST_EVENTS: usize = 100_000;

/// Arbitrary bytes. The first says how they are cut and whether the handshake is already over.
pub fn frames(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else { return };
    let mut owner = if first & 1 == 0 { Owner::new() } else { Owner::open() };
    owner.feed(bytes, usize::from(first >> 1));
    let _ = table::check(bytes);
    let _ = properties::check(bytes);
    let _ = Run::parse(bytes).map(|run| (run.exchange(), run.routing_key(), run.body().len()));
}

/// A sequence of acts, most of them valid, on an open connection. One act is an octet that chooses
/// it and the octets that it takes.
pub fn sequences(data: &[u8]) {
    let mut owner = Owner::open();
    let mut client = Client::new(ClientOptions::default());
    client.poll_output(&mut Vec::new());
    let mut acts = Acts { data };
    let mut stream = Vec::new();
    while let Some(choice) = acts.next() {
        if choice & 0xF == 0xF {
            client.poll_output(&mut stream);
            owner.feed(&std::mem::take(&mut stream), 0);
            owner.command(choice >> 4, acts.small());
        } else {
            acts.perform(&mut client, choice & 0xF, u16::from(choice >> 4));
        }
    }
    client.poll_output(&mut stream);
    // Small pieces of a large stream would only take time.
    owner.feed(&stream, usize::from(data.first().copied().unwrap_or(0)) * 97);
    owner.wait();
}

/// The octets that choose the acts.
struct Acts<'d> {
    data: &'d [u8],
}

impl Acts<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.data.split_first()?;
        self.data = rest;
        Some(*first)
    }

    fn small(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.small()).min(self.data.len());
        let (taken, rest) = self.data.split_at(length);
        self.data = rest;
        taken.to_vec()
    }

    fn perform(&mut self, client: &mut Client, choice: u8, channel: u16) {
        match choice {
            0 | 1 => client.open_channel(channel),
            2 => client.close_channel(channel),
            3 => client.close_ok(channel),
            4 => {
                let (body, piece) = (self.bytes(), usize::from(self.small()));
                client.publish(channel, ("x", "key"), &[0x10, 0, 2], &body, piece);
            }
            5 => {
                let large = vec![7; usize::from(self.small()) * 600];
                client.publish(channel, ("", "q"), &[0, 0], &large, 100_000);
            }
            6 => client.publish_method(channel, "", "q"),
            7 => {
                let (list, size) = (self.bytes(), self.small());
                client.content_header(channel, &list, u64::from(size));
            }
            8 => client.frame(3, channel, &self.bytes()),
            9 => client.ack(channel, u64::from(self.small()), self.small() & 1 == 1),
            10 => self.method(client, channel),
            11 => client.heartbeat(),
            12 => client.frame(self.small(), channel, &self.bytes()),
            13 => client.raw(&self.bytes()),
            _ => client.close(),
        }
    }

    /// A method of a known class, with arguments that may fit.
    fn method(&mut self, client: &mut Client, channel: u16) {
        let (class_id, method_id) = (self.small(), self.small());
        let payload = [&[0, class_id, 0, method_id][..], &self.bytes()].concat();
        client.frame(1, channel, &payload);
    }
}

/// A broker without rules: answers everything, keeps nothing.
struct Owner {
    server: Connection,
    listener: Client,
    now_ms: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    closed: bool,
    events: usize,
}

impl Owner {
    fn new() -> Self {
        let options = ServerOptions { max_message_bytes: 100_000, ..Default::default() };
        let mut listener = Client::new(ClientOptions::default());
        listener.poll_output(&mut Vec::new());
        Self {
            server: Connection::server(Arc::new(options), 0),
            listener,
            now_ms: 0,
            input: Vec::new(),
            output: Vec::new(),
            closed: false,
            events: 0,
        }
    }

    /// With the handshake done and heartbeats on.
    fn open() -> Self {
        let mut owner = Self::new();
        let mut client = Client::new(ClientOptions { heartbeat_secs: 5, ..Default::default() });
        client.start_ok();
        client.tune_ok_and_open();
        let mut bytes = Vec::new();
        client.poll_output(&mut bytes);
        owner.feed(&bytes, 0);
        assert_eq!(owner.server.state_name(), "running");
        owner
    }

    /// Feeds bytes in pieces of `piece` (0 = all at once).
    fn feed(&mut self, bytes: &[u8], piece: usize) {
        let piece = if piece == 0 { bytes.len().max(1) } else { piece };
        for part in bytes.chunks(piece) {
            self.now_ms += 1;
            self.server.received(self.now_ms);
            self.input.extend_from_slice(part);
            self.read();
        }
    }

    fn read(&mut self) {
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        loop {
            let before = rest.len();
            let Some(event) = self.server.next_event(&mut rest, self.now_ms) else { break };
            assert!(rest.len() <= before && input.ends_with(rest));
            self.events += 1;
            assert!(self.events < MOST_EVENTS, "too many events");
            self.answer(&event);
        }
        if !self.closed && !rest.is_empty() && !self.server.is_waiting() {
            assert!(self.server.needed() > rest.len(), "stuck with {} bytes", rest.len());
        }
        self.input = rest.to_vec();
        self.write();
    }

    fn answer(&mut self, event: &Event<'_>) {
        assert!(!self.closed, "an event after the end: {event:?}");
        match event {
            Event::Login { user, .. } if user.is_empty() => self.server.refuse_login(self.now_ms),
            Event::Login { .. } => self.server.accept_login(),
            Event::Open { .. } => self.server.open_ok(),
            Event::ChannelOpen(channel) => self.server.channel_opened(*channel),
            Event::ChannelClose(channel) => self.server.channel_closed(*channel),
            Event::CloseRequested { .. } => self.server.close_ok(),
            Event::Publish(publish) => deliver_both_ways(publish),
            Event::OwnedPublish(publish) => {
                let run = Run::parse(&publish.bytes).expect("a run");
                properties::check(run.properties()).expect("properties that were checked");
            }
            Event::Method { arguments, .. } => {
                table::check(arguments).expect("a table that was checked");
            }
            Event::Closed { .. } => self.closed = true,
            _ => {}
        }
    }

    /// What the server wrote must be whole frames that a client can read.
    fn write(&mut self) {
        if self.server.poll_output(&mut self.output) {
            self.server.sent(self.now_ms);
        }
        let mut rest = &self.output[..];
        while let Some(message) = self.listener.next_message(&mut rest) {
            assert_ne!(message, ServerMessage::Garbage);
        }
        assert!(rest.is_empty(), "half a frame was written");
        self.output.clear();
    }

    /// Does something of its own accord.
    fn command(&mut self, choice: u8, argument: u8) {
        use leveret_protocol::{Reply, ReplyCode};
        let gone = Reply::new(ReplyCode::NotFound, (50, 10), "no queue 'q' in vhost '/'");
        match choice {
            0..10 => self.server.close_channel(u16::from(argument & 0xF), &gone),
            10 => self.server.close(&gone, self.now_ms),
            11 => self.server.pause_liveness(argument & 1 == 1, self.now_ms),
            12 => self.server.channel_closed(u16::from(argument & 0xF)),
            13 => self.server.close_ok(),
            _ => {
                self.now_ms += u64::from(argument) * 100;
                self.server.handle_timeout(self.now_ms);
            }
        }
        self.read();
    }

    /// Lets time pass until the machine wants nothing more.
    fn wait(&mut self) {
        self.server.pause_liveness(false, self.now_ms);
        for _ in 0..100 {
            let Some(wake) = self.server.poll_timeout() else { return };
            self.now_ms = self.now_ms.max(wake);
            self.server.handle_timeout(self.now_ms);
            self.read();
        }
        panic!("a silent peer is never given up");
    }
}

/// A message delivered from the input and from its run gives the same bytes.
fn deliver_both_ways(publish: &Publish<'_>) {
    properties::check(publish.properties()).expect("properties that were checked");
    let mut bytes = Vec::new();
    publish.append_to(&mut bytes);
    let run = Run::parse(&bytes).expect("a run");
    assert_eq!((run.exchange(), run.routing_key()), (publish.exchange(), publish.routing_key()));
    assert_eq!((run.properties(), run.body()), (publish.properties(), publish.body()));
    for frame_max in [0, 4096] {
        let (mut direct, mut stored) = (Vec::new(), Vec::new());
        encode::deliver_publish(&mut direct, 7, "tag", 1, true, publish, frame_max);
        encode::deliver(&mut stored, 7, "tag", 1, true, &run, frame_max);
        assert_eq!(direct, stored);
    }
}
