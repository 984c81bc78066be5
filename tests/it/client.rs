//! A client without opinions: one socket, one answer at a time, everything that comes is kept.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use leveret_plugin::properties::Properties;

use crate::broker::PATIENCE;
use crate::wire::{self, Arguments, Id, Message, Reader, Value};

/// A method that came, with its content if it has one.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) channel: u16,
    pub(crate) id: Id,
    pub(crate) arguments: Vec<u8>,
    pub(crate) properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// Code and text of a close or a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) text: String,
}

/// basic.deliver or basic.get-ok.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) consumer: String,
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: String,
    pub(crate) key: String,
    /// Messages left, of basic.get-ok.
    pub(crate) left: u32,
    pub(crate) properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    pub(crate) fn properties(&self) -> Properties<'_> {
        Properties::parse(&self.properties).expect("properties")
    }

    fn delivered(incoming: Incoming) -> Self {
        let mut reader = Reader(&incoming.arguments);
        let consumer = reader.text();
        let (tag, redelivered) = (reader.longlong(), reader.octet() == 1);
        let (exchange, key) = (reader.text(), reader.text());
        let (properties, body) = (incoming.properties, incoming.body);
        Self { consumer, tag, redelivered, exchange, key, left: 0, properties, body }
    }

    fn got(incoming: Incoming) -> Self {
        let mut reader = Reader(&incoming.arguments);
        let (tag, redelivered) = (reader.longlong(), reader.octet() == 1);
        let (exchange, key, left) = (reader.text(), reader.text(), reader.long());
        let (properties, body) = (incoming.properties, incoming.body);
        Self { consumer: String::new(), tag, redelivered, exchange, key, left, properties, body }
    }
}

/// One connection; what it does, it does on `channel`.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    at: usize,
    parked: VecDeque<Incoming>,
    pub(crate) channel: u16,
}

impl Client {
    /// Logs in and opens channel 1.
    pub(crate) fn connect(port: u16, user: &str, password: &str) -> Result<Self, Refusal> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        stream.write_all(b"AMQP\x00\x00\x09\x01").expect("it reads");
        let mut client =
            Self { stream, input: Vec::new(), at: 0, parked: VecDeque::new(), channel: 0 };
        client.log_in(user, password)?;
        client.open(1);
        Ok(client)
    }

    fn log_in(&mut self, user: &str, password: &str) -> Result<(), Refusal> {
        self.expect((10, 10));
        let capabilities = wire::table(&[
            ("consumer_cancel_notify", Value::Bool(true)),
            ("authentication_failure_close", Value::Bool(true)),
            ("connection.blocked", Value::Bool(true)),
        ]);
        let start_ok = Arguments::new()
            .table(&[("capabilities", Value::Table(capabilities.table()))])
            .text("PLAIN")
            .long_text(&["\0", user, "\0", password].concat())
            .text("en_US");
        self.send((10, 11), &start_ok);
        let answer = self.next();
        if answer.id == (10, 50) {
            return Err(refusal(&answer));
        }
        assert_eq!(answer.id, (10, 30));
        self.send((10, 31), &Arguments::new().short(2047).long(131_072).short(0));
        self.call((10, 40), &Arguments::new().text("/").text("").octet(0), (10, 41));
        Ok(())
    }

    /// Opens a channel, which is then the one in use.
    pub(crate) fn open(&mut self, channel: u16) {
        self.channel = channel;
        self.call((20, 10), &Arguments::new().text(""), (20, 11));
    }

    /// Sends a method.
    pub(crate) fn send(&mut self, id: Id, arguments: &Arguments) {
        let mut out = Vec::new();
        wire::method(&mut out, self.channel, id, arguments);
        self.write(&out);
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker reads");
    }

    /// Sends a method and waits for its answer; the arguments of that.
    pub(crate) fn call(&mut self, id: Id, arguments: &Arguments, ok: Id) -> Vec<u8> {
        self.send(id, arguments);
        self.expect(ok).arguments
    }

    /// The next thing of this kind on this channel; everything else is kept.
    pub(crate) fn expect(&mut self, id: Id) -> Incoming {
        self.expect_any(&[id])
    }

    pub(crate) fn expect_any(&mut self, ids: &[Id]) -> Incoming {
        let channel = self.channel;
        let fits = |one: &Incoming| one.channel == channel && ids.contains(&one.id);
        if let Some(place) = self.parked.iter().position(fits) {
            return self.parked.remove(place).expect("it is there");
        }
        loop {
            let one = self.read();
            if fits(&one) {
                return one;
            }
            let closed = matches!(one.id, (10, 50) | (20, 40));
            assert!(!closed, "waited for {ids:?}: {:?}", refusal(&one));
            self.parked.push_back(one);
        }
    }

    /// The next thing that comes.
    pub(crate) fn next(&mut self) -> Incoming {
        self.parked.pop_front().unwrap_or_else(|| self.read())
    }

    /// What has come and was not asked for, in order, after an answer that comes behind it all.
    pub(crate) fn settled(&mut self) -> Vec<Incoming> {
        self.barrier();
        self.parked.drain(..).collect()
    }

    /// Returns when the broker has handled what was sent before.
    pub(crate) fn barrier(&mut self) {
        self.call((20, 20), &Arguments::new().octet(1), (20, 21));
    }

    /// Waits until the broker closes channel or connection, and agrees.
    pub(crate) fn refused(&mut self) -> Refusal {
        loop {
            let one = self.next();
            match one.id {
                (20, 40) => self.send((20, 41), &Arguments::new()),
                (10, 50) => {
                    self.channel = 0;
                    self.send((10, 51), &Arguments::new());
                }
                _ => continue,
            }
            return refusal(&one);
        }
    }

    /// Closes the connection as one should.
    pub(crate) fn close(mut self) {
        self.channel = 0;
        let arguments = Arguments::new().short(200).text("bye").long(0);
        self.call((10, 50), &arguments, (10, 51));
    }

    fn read(&mut self) -> Incoming {
        let (kind, channel, payload) = self.frame();
        assert_eq!(kind, 1, "a method on channel {channel}");
        let mut reader = Reader(&payload);
        let id = (reader.short(), reader.short());
        let (properties, body) = match id {
            (60, 50 | 60 | 71) => self.content(channel),
            _ => (Vec::new(), Vec::new()),
        };
        Incoming { channel, id, arguments: reader.0.to_vec(), properties, body }
    }

    fn content(&mut self, channel: u16) -> (Vec<u8>, Vec<u8>) {
        let (kind, on, header) = self.frame();
        assert_eq!((kind, on), (2, channel), "a content header follows");
        let mut reader = Reader(&header);
        reader.long();
        let size = reader.longlong() as usize;
        let mut body = Vec::with_capacity(size);
        while body.len() < size {
            let (kind, on, part) = self.frame();
            assert_eq!((kind, on), (3, channel), "a body frame follows");
            body.extend(part);
        }
        (reader.0.to_vec(), body)
    }

    fn frame(&mut self) -> (u8, u16, Vec<u8>) {
        self.fill(7);
        let head: [u8; 7] = self.input[self.at..self.at + 7].try_into().expect("seven bytes");
        let [kind, c0, c1, l0, l1, l2, l3] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        self.fill(length + 8);
        let payload = self.input[self.at + 7..self.at + 7 + length].to_vec();
        assert_eq!(self.input[self.at + 7 + length], 0xCE, "frames end so");
        self.at += length + 8;
        (kind, u16::from_be_bytes([c0, c1]), payload)
    }

    fn fill(&mut self, wanted: usize) {
        let mut chunk = [0; 65_536];
        while self.input.len() - self.at < wanted {
            self.input.drain(..std::mem::take(&mut self.at));
            let count = self.stream.read(&mut chunk).expect("the broker answers in time");
            assert_ne!(count, 0, "the broker closed the socket");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    pub(crate) fn take_delivery(&mut self) -> Delivery {
        Delivery::delivered(self.expect((60, 60)))
    }

    /// A delivery that has come, or comes within the time of one round trip.
    pub(crate) fn delivery_if_any(&mut self) -> Option<Delivery> {
        if !self.parked.iter().any(|one| one.id == (60, 60)) {
            self.barrier();
        }
        let place = self.parked.iter().position(|one| one.id == (60, 60))?;
        self.parked.remove(place).map(Delivery::delivered)
    }

    /// Forgets what has come and was not asked for.
    pub(crate) fn forget(&mut self) {
        self.parked.clear();
    }

    pub(crate) fn get(&mut self, queue: &str, no_ack: bool) -> Option<Delivery> {
        let arguments = Arguments::new().short(0).text(queue).octet(no_ack.into());
        self.send((60, 70), &arguments);
        let answer = self.expect_any(&[(60, 71), (60, 72)]);
        (answer.id == (60, 71)).then(|| Delivery::got(answer))
    }

    pub(crate) fn publish(&mut self, exchange: &str, key: &str, message: impl Into<Message>) {
        let message = message.into();
        let mut out = Vec::with_capacity(message.body.len() + 256);
        let arguments =
            Arguments::new().short(0).text(exchange).text(key).octet(message.mandatory.into());
        wire::method(&mut out, self.channel, (60, 40), &arguments);
        wire::content(&mut out, self.channel, &message);
        self.write(&out);
    }
}

/// Code and text of a close or a return.
pub(crate) fn refusal(incoming: &Incoming) -> Refusal {
    let mut reader = Reader(&incoming.arguments);
    Refusal { code: reader.short(), text: reader.text() }
}
