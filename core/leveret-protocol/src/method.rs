//! Every method of AMQP 0-9-1 and RabbitMQ's additions: which there are, what their arguments look
//! like, who may send them.
//!
//! Arguments are checked here field by field. Only then are they decoded, by `amq-protocol`, and
//! with every field table cut out: that crate recurses into tables without a limit and spends 32
//! bytes per byte of them.

use std::ops::Range;

use amq_protocol::protocol::{AMQPClass, parse_class};

use crate::cursor::{Cursor, ReadError};
use crate::table;

/// Class and method number.
pub(crate) type MethodId = (u16, u16);

pub(crate) const CONNECTION_START_OK: MethodId = (10, 11);
pub(crate) const CONNECTION_TUNE_OK: MethodId = (10, 31);
pub(crate) const CONNECTION_OPEN: MethodId = (10, 40);
pub(crate) const CONNECTION_CLOSE: MethodId = (10, 50);
pub(crate) const CONNECTION_CLOSE_OK: MethodId = (10, 51);
pub(crate) const CONNECTION_UPDATE_SECRET: MethodId = (10, 70);
pub(crate) const CHANNEL_OPEN: MethodId = (20, 10);
pub(crate) const CHANNEL_CLOSE: MethodId = (20, 40);
pub(crate) const CHANNEL_CLOSE_OK: MethodId = (20, 41);
pub(crate) const BASIC_CANCEL_OK: MethodId = (60, 31);
pub(crate) const BASIC_PUBLISH: MethodId = (60, 40);
pub(crate) const BASIC_QOS: MethodId = (60, 10);
pub(crate) const BASIC_ACK: MethodId = (60, 80);
pub(crate) const BASIC_REJECT: MethodId = (60, 90);
pub(crate) const BASIC_NACK: MethodId = (60, 120);

/// What is known of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) id: MethodId,
    /// One letter per field: `o` octet, `b` octet of bits, `w` u16, `l` u32, `q` u64, `s` short
    /// string, `S` long string, `F` field table.
    fields: &'static str,
    /// Whether an open channel takes it from a client.
    pub(crate) from_client: bool,
}

const fn client(class_id: u16, method_id: u16, fields: &'static str) -> Spec {
    Spec { id: (class_id, method_id), fields, from_client: true }
}

const fn other(class_id: u16, method_id: u16, fields: &'static str) -> Spec {
    Spec { id: (class_id, method_id), fields, from_client: false }
}

/// Every method, in ascending order of its number.
#[rustfmt::skip]
static METHODS: [Spec; 67] = [
    // connection: start, start-ok, secure, secure-ok, tune, tune-ok, open, open-ok, close, close-ok,
    // blocked, unblocked, update-secret, update-secret-ok. Channel 0 decides about them itself.
    other(10, 10, "ooFSS"), other(10, 11, "FsSs"), other(10, 20, "S"), other(10, 21, "S"),
    other(10, 30, "wlw"), other(10, 31, "wlw"), other(10, 40, "ssb"), other(10, 41, "s"),
    other(10, 50, "wsww"), other(10, 51, ""), other(10, 60, "s"), other(10, 61, ""),
    other(10, 70, "Ss"), other(10, 71, ""),
    // channel: open, open-ok, flow, flow-ok, close, close-ok.
    client(20, 10, "s"), other(20, 11, "S"), client(20, 20, "b"), other(20, 21, "b"),
    client(20, 40, "wsww"), client(20, 41, ""),
    // access: request, request-ok.
    client(30, 10, "sb"), other(30, 11, "w"),
    // exchange: declare, delete, bind, unbind. unbind-ok is 51, not 41.
    client(40, 10, "wssbF"), other(40, 11, ""), client(40, 20, "wsb"), other(40, 21, ""),
    client(40, 30, "wsssbF"), other(40, 31, ""), client(40, 40, "wsssbF"), other(40, 51, ""),
    // queue: declare, bind, purge, delete, unbind. unbind has no bits.
    client(50, 10, "wsbF"), other(50, 11, "sll"), client(50, 20, "wsssbF"), other(50, 21, ""),
    client(50, 30, "wsb"), other(50, 31, "l"), client(50, 40, "wsb"), other(50, 41, "l"),
    client(50, 50, "wsssF"), other(50, 51, ""),
    // basic: qos, consume, cancel, publish, return, deliver, get, get-ok, get-empty, ack, reject,
    // recover-async, recover, recover-ok, nack.
    client(60, 10, "lwb"), other(60, 11, ""), client(60, 20, "wssbF"), other(60, 21, "s"),
    client(60, 30, "sb"), client(60, 31, "s"), client(60, 40, "wssb"), other(60, 50, "wsss"),
    other(60, 60, "sqbss"), client(60, 70, "wsb"), other(60, 71, "qbssl"), other(60, 72, "s"),
    client(60, 80, "qb"), client(60, 90, "qb"), client(60, 100, "b"), client(60, 110, "b"),
    other(60, 111, ""), client(60, 120, "qb"),
    // confirm: select. tx: select, commit, rollback.
    client(85, 10, "b"), other(85, 11, ""),
    client(90, 10, ""), other(90, 11, ""), client(90, 20, ""), other(90, 21, ""),
    client(90, 30, ""), other(90, 31, ""),
    // Sentinel, so that the array's length is checked by the test of its order.
    other(u16::MAX, u16::MAX, ""),
];

/// A method frame's payload, split: which method, and its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method<'b> {
    pub(crate) spec: &'static Spec,
    /// The whole payload, ids included.
    payload: &'b [u8],
}

/// Arguments that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A short string is not UTF-8.
    NotUtf8,
    /// Anything else.
    Arguments,
}

impl From<ReadError> for Malformed {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotUtf8 => Self::NotUtf8,
            ReadError::UnexpectedEnd => Self::Arguments,
        }
    }
}

/// The method with this number.
pub(crate) fn find(id: MethodId) -> Option<&'static Spec> {
    METHODS.binary_search_by_key(&id, |spec| spec.id).ok().and_then(|index| METHODS.get(index))
}

impl<'b> Method<'b> {
    /// Splits a payload of which the first four bytes are known to be there; `Err` names the
    /// number nobody knows.
    pub(crate) fn split(payload: &'b [u8]) -> Result<Self, MethodId> {
        let mut cursor = Cursor::new(payload);
        let id = (cursor.u16().unwrap_or(0), cursor.u16().unwrap_or(0));
        find(id).map(|spec| Self { spec, payload }).ok_or(id)
    }

    /// The arguments as they came.
    pub(crate) fn arguments(&self) -> &'b [u8] {
        self.payload.get(4..).unwrap_or_default()
    }

    /// Checks every field and that nothing follows the last one. Returns where the pairs of the
    /// method's field table lie in the payload.
    pub(crate) fn check(&self) -> Result<Option<Range<usize>>, Malformed> {
        let mut cursor = Cursor::new(self.arguments());
        let mut table_at = None;
        for field in self.spec.fields.bytes() {
            match field {
                b'o' | b'b' => cursor.take(1).map(|_| ())?,
                b'w' => cursor.take(2).map(|_| ())?,
                b'l' => cursor.take(4).map(|_| ())?,
                b'q' => cursor.take(8).map(|_| ())?,
                b's' => cursor.short_str().map(|_| ())?,
                b'S' => cursor.long_bytes().map(|_| ())?,
                _ => {
                    let pairs = cursor.long_bytes()?;
                    table::check(pairs).map_err(|_| Malformed::Arguments)?;
                    let end = self.payload.len() - cursor.rest().len();
                    table_at = Some(end - pairs.len()..end);
                }
            }
        }
        if cursor.is_empty() { Ok(table_at) } else { Err(Malformed::Arguments) }
    }

    /// Checks and decodes: the method with an empty table, and the table's pairs.
    pub(crate) fn decode(&self) -> Result<(AMQPClass, &'b [u8]), Malformed> {
        let Some(table_at) = self.check()? else {
            return Ok((parse(self.payload)?, &[]));
        };
        let pairs = self.payload.get(table_at.clone()).unwrap_or_default();
        let before = self.payload.get(..table_at.start - 4).unwrap_or_default();
        let after = self.payload.get(table_at.end..).unwrap_or_default();
        Ok((parse(&[before, &[0; 4], after].concat())?, pairs))
    }
}

/// What [`Method::check`] lets pass `amq-protocol` can decode; if not, the arguments are to blame.
fn parse(payload: &[u8]) -> Result<AMQPClass, Malformed> {
    parse_class(payload).map(|(_, method)| method).map_err(|_| Malformed::Arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::protocol::queue;
    use proptest::prelude::*;

    /// Arguments of a method whose fields are all zero or empty.
    fn empty(spec: &Spec) -> Vec<u8> {
        let mut payload = [spec.id.0.to_be_bytes(), spec.id.1.to_be_bytes()].concat();
        for field in spec.fields.bytes() {
            let width = match field {
                b'o' | b'b' | b's' => 1,
                b'w' => 2,
                b'q' => 8,
                _ => 4,
            };
            payload.extend(std::iter::repeat_n(0, width));
        }
        payload
    }

    #[test]
    fn methods_are_in_order_and_each_is_there_once() {
        assert!(METHODS.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert_eq!(find((60, 40)).map(|spec| spec.id), Some(BASIC_PUBLISH));
        assert_eq!(find((60, 41)), None);
    }

    #[test]
    fn every_method_that_passes_our_check_is_one_that_the_decoder_knows() {
        for spec in METHODS.iter().take(METHODS.len() - 1) {
            let payload = empty(spec);
            let method = Method::split(&payload).expect("known");
            let (class, table) = method.decode().expect("well formed");
            let decoded = (class.get_amqp_class_id(), class.get_amqp_method_id());
            assert_eq!((decoded, table), (spec.id, &[][..]));
        }
    }

    #[test]
    fn every_method_is_refused_when_cut_or_followed_by_more() {
        for spec in METHODS.iter().take(METHODS.len() - 1) {
            let mut payload = empty(spec);
            for end in 4..payload.len() {
                let cut = Method::split(&payload[..end]).expect("known");
                assert_eq!(cut.check(), Err(Malformed::Arguments), "{:?}", spec.id);
            }
            payload.push(0);
            let longer = Method::split(&payload).expect("known");
            assert_eq!(longer.check(), Err(Malformed::Arguments), "{:?}", spec.id);
        }
    }

    #[test]
    fn a_table_is_cut_out_and_returned_as_it_came() {
        let table = [1, b'a', b'L', 0, 0, 0, 0, 0, 0, 0, 1, 1, b'a', b'V'];
        let head = [0, 50, 0, 10, 0, 0, 1, b'q', 0b10, 0, 0, 0, table.len() as u8];
        let payload = [&head[..], &table].concat();
        let (class, pairs) = Method::split(&payload).expect("known").decode().expect("fine");
        assert_eq!(pairs, table);
        let AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) = class else {
            panic!("not queue.declare: {class:?}");
        };
        assert_eq!((declare.queue.as_str(), declare.durable), ("q", true));
    }

    #[test]
    fn short_strings_must_be_utf8_but_keys_of_tables_need_not() {
        let payload = [0, 50, 0, 10, 0, 0, 1, 0xFF, 0, 0, 0, 0, 0];
        let method = Method::split(&payload).expect("known");
        assert_eq!(method.check(), Err(Malformed::NotUtf8));
        let payload = [0, 50, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0xFF, b'V'];
        assert!(Method::split(&payload).expect("known").decode().is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_arguments_never_panic_and_checked_ones_decode(
            index in 0..METHODS.len() - 1,
            arguments in prop::collection::vec(0..6u8, 0..60),
        ) {
            let (class_id, method_id) = METHODS[index].id;
            let mut payload = [class_id.to_be_bytes(), method_id.to_be_bytes()].concat();
            payload.extend(arguments);
            let method = Method::split(&payload).expect("known");
            prop_assert_eq!(method.decode().is_ok(), method.check().is_ok());
        }
    }
}
