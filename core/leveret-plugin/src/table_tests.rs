//! Tables: round trips, edits, and bytes that are no table.

use proptest::prelude::*;

use super::*;

/// A value that owns what it holds, to draw from.
#[derive(Clone, Debug)]
enum Own {
    Plain(Vec<u8>),
    Table(Vec<(Vec<u8>, Own)>),
    Array(Vec<Own>),
}

impl Own {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(bytes) => out.extend(bytes),
            Self::Table(pairs) => Value::Table(Table::new(&encode_pairs(pairs))).encode(out),
            Self::Array(values) => {
                let mut inner = Vec::new();
                values.iter().for_each(|value| value.encode(&mut inner));
                Value::Array(Array::new(&inner)).encode(out);
            }
        }
    }
}

fn encode_pairs(pairs: &[(Vec<u8>, Own)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        out.push(name.len() as u8);
        out.extend(name);
        value.encode(&mut out);
    }
    out
}

fn plain() -> impl Strategy<Value = Own> {
    let sized = |tag: u8, length: usize| {
        prop::collection::vec(any::<u8>(), length)
            .prop_map(move |payload| Own::Plain([vec![tag], payload].concat()))
    };
    let long = |tag: u8| {
        prop::collection::vec(any::<u8>(), 0..20).prop_map(move |payload| {
            let length = (payload.len() as u32).to_be_bytes().to_vec();
            Own::Plain([vec![tag], length, payload].concat())
        })
    };
    prop_oneof![
        sized(b'V', 0),
        (0..2u8).prop_map(|v| Own::Plain(vec![b't', v])),
        sized(b'b', 1),
        sized(b'B', 1),
        sized(b's', 2),
        sized(b'u', 2),
        sized(b'I', 4),
        sized(b'i', 4),
        sized(b'f', 4),
        sized(b'D', 5),
        sized(b'l', 8),
        sized(b'd', 8),
        sized(b'T', 8),
        long(b'S'),
        long(b'x'),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..6)
}

fn pairs() -> impl Strategy<Value = Vec<(Vec<u8>, Own)>> {
    let value = plain().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec((name(), inner.clone()), 0..4).prop_map(Own::Table),
            prop::collection::vec(inner, 0..4).prop_map(Own::Array),
        ]
    });
    prop::collection::vec((name(), value), 0..8)
}

proptest! {
    #[test]
    fn what_is_read_is_written_back_byte_for_byte(pairs in pairs()) {
        let bytes = encode_pairs(&pairs);
        let table = Table::parse(&bytes).unwrap();
        let mut again = Vec::new();
        for (name, value) in table.iter() {
            again.push(name.len() as u8);
            again.extend(name);
            value.encode(&mut again);
        }
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn an_edit_leaves_other_pairs_as_they_are(pairs in pairs(), name in name(), n: i32) {
        let bytes = encode_pairs(&pairs);
        let others = |bytes: &[u8]| {
            Table::new(bytes)
                .pairs()
                .filter(|pair| pair.name != name)
                .map(|pair| bytes[pair.start..pair.end].to_vec())
                .collect::<Vec<_>>()
        };
        let mut builder = TableBuilder::from(Table::new(&bytes));
        builder.set(&name, Value::I32(n)).unwrap();
        prop_assert_eq!(builder.table().get(&name), Some(Value::I32(n)));
        prop_assert_eq!(builder.table().iter().filter(|pair| pair.0 == name).count(), 1);
        prop_assert_eq!(others(&builder.clone().into_bytes()), others(&bytes));
        builder.remove(&name);
        prop_assert_eq!(builder.table().get(&name), None);
        prop_assert_eq!(others(&builder.clone().into_bytes()), others(&bytes));
        prop_assert!(Table::parse(&builder.into_bytes()).is_ok());
    }

    #[test]
    fn any_bytes_are_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let walked = Table::new(&bytes).pairs().last().map_or(0, |pair| pair.end);
        if Table::parse(&bytes).is_ok() {
            prop_assert_eq!(walked, bytes.len());
        }
        let _ = Array::new(&bytes).iter().count();
        let _ = Value::parse(&bytes);
    }

    #[test]
    fn a_table_that_is_cut_off_is_malformed(pairs in pairs(), cut in 1..9usize) {
        let mut bytes = encode_pairs(&pairs);
        let last = Table::new(&bytes).pairs().last().map_or(0, |pair| pair.end - pair.start);
        prop_assume!(last > cut);
        bytes.truncate(bytes.len() - cut);
        prop_assert!(Table::parse(&bytes).is_err());
    }
}

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..levels {
        let mut outer = Vec::new();
        Value::Array(Array::new(&bytes)).encode(&mut outer);
        bytes = outer;
    }
    bytes
}

#[test]
fn nesting_is_bounded() {
    assert!(Array::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(Array::parse(&nested(MAX_DEPTH + 1)).map_err(|e| e.what), Err("nested too deeply"));
    assert!(Array::parse(&nested(1_000)).is_err());
}

#[test]
fn a_nested_length_may_not_reach_out_of_its_table() {
    let mut bytes = b"\x01aF\x00\x00\x00\x03\x01bt".to_vec();
    assert!(Table::parse(&bytes).is_err());
    bytes.push(1);
    assert!(Table::parse(&bytes).is_err());
}

#[test]
fn old_letters_of_rabbitmq_are_read() {
    let table = Table::parse(b"\x01aL\xff\xff\xff\xff\xff\xff\xff\xff\x01bs\xff\xfe").unwrap();
    assert_eq!(table.get("a"), Some(Value::I64(-1)));
    assert_eq!(table.get("b"), Some(Value::I16(-2)));
}

#[test]
fn values_are_the_same_across_types() {
    let yes = [
        (Value::I8(1), Value::I64(1)),
        (Value::U8(200), Value::I16(200)),
        (Value::I32(1), Value::F64(1.0)),
        (Value::Timestamp(5), Value::U32(5)),
        (Value::Text(b"a"), Value::Binary(b"a")),
        (Value::Void, Value::Void),
    ];
    let no = [
        (Value::I32(1), Value::Text(b"1")),
        (Value::Bool(true), Value::I32(1)),
        (Value::I64(i64::MAX), Value::F64(i64::MAX as f64)),
        (Value::I32(1), Value::F64(1.5)),
        (Value::F64(f64::NAN), Value::F64(f64::NAN)),
        (Value::Void, Value::Text(b"")),
    ];
    for (a, b) in yes {
        assert!(a.same(&b) && b.same(&a), "{a:?} {b:?}");
    }
    for (a, b) in no {
        assert!(!a.same(&b) && !b.same(&a), "{a:?} {b:?}");
    }
}

#[test]
fn a_long_name_is_refused() {
    let mut builder = TableBuilder::new();
    assert!(builder.set([b'a'; 256], Value::Void).is_err());
    assert!(builder.set([b'a'; 255], Value::Void).is_ok());
}
