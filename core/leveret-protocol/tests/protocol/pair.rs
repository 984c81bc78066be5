//! Client and server, joined by two buffers and one clock.

use std::sync::Arc;

use leveret_protocol::methods::{AMQPClass, channel, connection};
use leveret_protocol::{
    Client, ClientOptions, Connection, Event, Publish, Reply, ServerMessage, ServerOptions,
};

/// What the owner of the server answers on its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) login: bool,
    pub(crate) open: bool,
    pub(crate) channel_open: bool,
    pub(crate) channel_close: bool,
    pub(crate) close: bool,
}

impl Answers {
    pub(crate) const ALL: Self =
        Self { login: true, open: true, channel_open: true, channel_close: true, close: true };
}

/// Both machines and the wires between them.
pub(crate) struct Pair {
    pub(crate) server: Connection,
    pub(crate) client: Client,
    pub(crate) answers: Answers,
    pub(crate) now_ms: u64,
    /// What the server reported, as text.
    pub(crate) events: Vec<String>,
    /// What the client received, as text.
    pub(crate) messages: Vec<String>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(ServerOptions::default(), ClientOptions::default())
    }

    pub(crate) fn with(server: ServerOptions, client: ClientOptions) -> Self {
        Self {
            server: Connection::server(Arc::new(server), 0),
            client: Client::new(client),
            answers: Answers::ALL,
            now_ms: 0,
            events: Vec::new(),
            messages: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// A pair whose connection is open.
    pub(crate) fn open() -> Self {
        Self::open_with(ServerOptions::default(), ClientOptions::default())
    }

    pub(crate) fn open_with(server: ServerOptions, client: ClientOptions) -> Self {
        let mut pair = Self::with(server, client);
        pair.settle();
        assert_eq!(pair.server.state_name(), "running", "{:?}", pair.events);
        pair.forget();
        pair
    }

    /// A pair with channel 1 open.
    pub(crate) fn channel() -> Self {
        let mut pair = Self::open();
        pair.client.open_channel(1);
        pair.settle();
        pair.forget();
        pair
    }

    /// Forgets what was seen so far.
    pub(crate) fn forget(&mut self) {
        self.events.clear();
        self.messages.clear();
    }

    /// Lets bytes flow both ways until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        loop {
            let said = self.client.poll_output(&mut self.to_server);
            if said {
                self.server.received(self.now_ms);
            }
            let heard = self.serve();
            let answered = self.server.poll_output(&mut self.to_client);
            if answered {
                self.server.sent(self.now_ms);
            }
            self.read_messages();
            if !said && !heard && !answered {
                return;
            }
        }
    }

    /// Lets the server read and answer, while the client only listens to nothing.
    pub(crate) fn settle_silently(&mut self) {
        self.client.poll_output(&mut self.to_server);
        while self.serve() {}
        let mut unheard = Vec::new();
        self.server.poll_output(&mut unheard);
    }

    /// Moves the clock, stopping wherever the server wants to be woken.
    pub(crate) fn advance(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(wake) = self.server.poll_timeout().filter(|wake| *wake <= end) {
            self.now_ms = wake.max(self.now_ms);
            self.server.handle_timeout(self.now_ms);
            self.settle();
        }
        self.now_ms = end;
    }

    /// Whether any event was reported.
    fn serve(&mut self) -> bool {
        let input = std::mem::take(&mut self.to_server);
        let mut rest = &input[..];
        let mut any = false;
        while let Some(event) = self.server.next_event(&mut rest, self.now_ms) {
            self.events.push(describe(&event));
            any = true;
            answer(&mut self.server, &event, self.answers, self.now_ms);
        }
        self.to_server = rest.to_vec();
        any
    }

    fn read_messages(&mut self) {
        let input = std::mem::take(&mut self.to_client);
        let mut rest = &input[..];
        while let Some(message) = self.client.next_message(&mut rest) {
            self.messages.push(describe_message(&message));
        }
        self.to_client = rest.to_vec();
    }

    /// Bytes that the server left where they are.
    pub(crate) fn unread(&self) -> usize {
        self.to_server.len()
    }

    /// Checks what was seen since the last look.
    #[track_caller]
    pub(crate) fn expect(&mut self, events: &[&str], messages: &[&str]) {
        assert_eq!(
            (&self.events[..], &self.messages[..]),
            (&strings(events)[..], &strings(messages)[..])
        );
        self.forget();
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// Does what a broker without any rules would do.
pub(crate) fn answer(server: &mut Connection, event: &Event<'_>, answers: Answers, now_ms: u64) {
    match event {
        Event::Login { .. } if answers.login => server.accept_login(),
        Event::Open { .. } if answers.open => server.open_ok(),
        Event::ChannelOpen(channel) if answers.channel_open => server.channel_opened(*channel),
        Event::ChannelClose(channel) if answers.channel_close => server.channel_closed(*channel),
        Event::CloseRequested { .. } if answers.close => server.close_ok(),
        _ => server.received(now_ms),
    }
}

/// An event as one line.
pub(crate) fn describe(event: &Event<'_>) -> String {
    match event {
        Event::Login { mechanism, user, password } => {
            format!("login {mechanism} {user} {}", String::from_utf8_lossy(password))
        }
        Event::Open { vhost } => format!("open {vhost}"),
        Event::ChannelOpen(channel) => format!("{channel} open"),
        Event::ChannelClose(channel) => format!("{channel} close"),
        Event::ChannelCloseOk(channel) => format!("{channel} close-ok"),
        Event::ChannelFailed(channel, reply) => {
            format!("{channel} failed {}", describe_reply(reply))
        }
        Event::Publish(publish) => describe_publish(publish),
        Event::OwnedPublish(publish) => {
            let (run, flags) = (publish.run(), (publish.mandatory, publish.immediate));
            assert_eq!(run.bytes(), publish.bytes);
            describe_content(
                publish.channel,
                run.exchange(),
                run.routing_key(),
                flags,
                &publish.bytes,
            )
        }
        Event::Ack { channel, delivery_tag, multiple } => {
            format!("{channel} ack {delivery_tag} {multiple}")
        }
        Event::Nack { channel, delivery_tag, multiple, requeue } => {
            format!("{channel} nack {delivery_tag} {multiple} {requeue}")
        }
        Event::Reject { channel, delivery_tag, requeue } => {
            format!("{channel} reject {delivery_tag} {requeue}")
        }
        Event::Method { channel, method, arguments } => {
            let (class_id, method_id) = (method.get_amqp_class_id(), method.get_amqp_method_id());
            format!("{channel} method {class_id}.{method_id} {arguments:?}")
        }
        Event::WrongProtocol(peer) => format!("wrong protocol {peer:?}"),
        Event::CloseRequested { code, text } => format!("close requested {code} {text}"),
        Event::Failed(reply) => format!("failed {}", describe_reply(reply)),
        Event::HeartbeatMissed => "heartbeat missed".to_owned(),
        Event::HandshakeTimeout => "handshake timeout".to_owned(),
        Event::Closed { reset, delay_ms } => format!("closed reset={reset} delay={delay_ms}"),
    }
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let mut bytes = Vec::new();
    publish.append_to(&mut bytes);
    assert_eq!(bytes.len(), publish.run_len());
    let flags = (publish.mandatory, publish.immediate);
    describe_content(publish.channel, publish.exchange(), publish.routing_key(), flags, &bytes)
}

fn describe_content(
    channel: u16,
    exchange: &str,
    key: &str,
    flags: (bool, bool),
    run: &[u8],
) -> String {
    let parsed = leveret_protocol::Run::parse(run).expect("a run");
    let (properties, body) = (parsed.properties(), String::from_utf8_lossy(parsed.body()));
    format!("{channel} publish '{exchange}' '{key}' {flags:?} {properties:?} {body:?}")
}

pub(crate) fn describe_reply(reply: &Reply) -> String {
    format!("{} {} {}/{}", reply.code.number(), reply.text, reply.class_id, reply.method_id)
}

/// A message as one line.
pub(crate) fn describe_message(message: &ServerMessage<'_>) -> String {
    match message {
        ServerMessage::Method { channel, method, .. } => describe_method(*channel, method),
        ServerMessage::Header { channel, body_size, properties } => {
            format!("{channel} header {body_size} {properties:?}")
        }
        ServerMessage::Body { channel, part } => {
            format!("{channel} body {}", String::from_utf8_lossy(part))
        }
        ServerMessage::Heartbeat => "heartbeat".to_owned(),
        ServerMessage::ProtocolHeader(header) => format!("header {header:?}"),
        ServerMessage::Garbage => "garbage".to_owned(),
    }
}

fn describe_method(channel: u16, method: &AMQPClass) -> String {
    match method {
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => format!(
            "close {} {} {}/{}",
            close.reply_code, close.reply_text, close.class_id, close.method_id
        ),
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => format!(
            "{channel} close {} {} {}/{}",
            close.reply_code, close.reply_text, close.class_id, close.method_id
        ),
        other => {
            format!("{channel} {}.{}", other.get_amqp_class_id(), other.get_amqp_method_id())
        }
    }
}
