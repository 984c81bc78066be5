//! Property lists: round trips, edits, and bytes that are none.

use proptest::prelude::*;

use super::*;

/// What a property list says, in a form that is easy to compare.
type Model = Vec<Option<Vec<u8>>>;

fn model(bytes: &[u8]) -> Model {
    let list = Properties::parse(bytes).unwrap();
    Property::ALL.map(|property| list.raw(property).map(<[u8]>::to_vec)).to_vec()
}

fn value(property: Property, text: &[u8]) -> PropertyValue<'_> {
    match property {
        Property::Headers => PropertyValue::Headers(b"\x01av\x00".get(..0).unwrap_or(text)),
        Property::DeliveryMode | Property::Priority => PropertyValue::Octet(text.len() as u8),
        Property::Timestamp => PropertyValue::Timestamp(text.len() as u64),
        _ => PropertyValue::Text(text),
    }
}

fn edits() -> impl Strategy<Value = Vec<(usize, Option<Vec<u8>>)>> {
    let text = prop::option::of(prop::collection::vec(any::<u8>(), 0..12));
    prop::collection::vec((0..COUNT, text), 0..40)
}

proptest! {
    #[test]
    fn edits_do_what_they_say_and_nothing_else(edits in edits()) {
        let mut editor = PropertiesEditor::new();
        for (index, text) in edits {
            let property = Property::ALL[index];
            let mut expected = model(editor.as_bytes());
            match &text {
                Some(text) => {
                    let value = value(property, text);
                    editor.set(property, value).unwrap();
                    expected[index] = Some(match value {
                        PropertyValue::Text(text) => text.to_vec(),
                        PropertyValue::Octet(octet) => vec![octet],
                        PropertyValue::Timestamp(secs) => secs.to_be_bytes().to_vec(),
                        PropertyValue::Headers(pairs) => pairs.to_vec(),
                    });
                }
                None => {
                    editor.remove(property).unwrap();
                    expected[index] = None;
                }
            }
            prop_assert_eq!(model(editor.as_bytes()), expected);
        }
    }

    #[test]
    fn any_bytes_are_properties_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(list) = Properties::parse(&bytes) {
            for property in Property::ALL {
                prop_assert_eq!(list.raw(property).is_some(), list.has(property));
            }
        }
        let mut masked = bytes;
        if let Some(low) = masked.get_mut(1) {
            *low &= !3;
        }
        let _ = Properties::parse(&masked);
    }
}

#[test]
fn every_property_is_found_under_its_name() {
    let mut editor = PropertiesEditor::new();
    for property in Property::ALL {
        editor.set(property, value(property, property.name().as_bytes())).unwrap();
        assert_eq!(Property::from_name(property.name()), Some(property));
    }
    editor.set_header("h", Value::I32(7)).unwrap();
    let bytes = editor.into_bytes();
    let list = Properties::parse(&bytes).unwrap();
    assert_eq!(list.content_type(), Some("content_type"));
    assert_eq!(list.content_encoding(), Some("content_encoding"));
    assert_eq!(list.header("h"), Some(Value::I32(7)));
    assert_eq!(list.delivery_mode(), Some(13));
    assert_eq!(list.priority(), Some(8));
    assert_eq!(list.correlation_id(), Some("correlation_id"));
    assert_eq!(list.reply_to(), Some("reply_to"));
    assert_eq!(list.expiration(), Some("expiration"));
    assert_eq!(list.message_id(), Some("message_id"));
    assert_eq!(list.timestamp(), Some(9));
    assert_eq!(list.type_name(), Some("type"));
    assert_eq!(list.user_id(), Some("user_id"));
    assert_eq!(list.app_id(), Some("app_id"));
    assert_eq!(list.cluster_id(), Some("cluster_id"));
}

#[test]
fn headers_are_set_and_removed() {
    let mut editor = PropertiesEditor::new();
    editor.set_header("a", Value::Text(b"1")).unwrap();
    editor.set_header("b", Value::Bool(true)).unwrap();
    editor.remove_header("a").unwrap();
    editor.remove_header("missing").unwrap();
    let list = Properties::parse(editor.as_bytes()).unwrap();
    assert_eq!(list.headers().iter().collect::<Vec<_>>(), [(&b"b"[..], Value::Bool(true))]);
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    let mut editor = PropertiesEditor::new();
    assert!(editor.set(Property::Priority, PropertyValue::Text(b"1")).is_err());
    assert!(editor.set(Property::Type, PropertyValue::Octet(1)).is_err());
    assert!(editor.set(Property::Type, PropertyValue::Text(&[b'a'; 256])).is_err());
    assert!(editor.set(Property::Headers, PropertyValue::Headers(b"\x01a")).is_err());
    assert_eq!(editor.as_bytes(), [0, 0]);
}

#[test]
fn unknown_flags_are_malformed() {
    assert!(Properties::parse(&[0, 1, 0, 0]).is_err());
    assert!(Properties::parse(&[0, 2]).is_err());
    assert!(Properties::parse(&[0]).is_err());
    assert!(Properties::parse(&[0, 0, 0]).is_err());
    assert!(Properties::parse(&[0x20, 0, 0, 0, 0, 1]).is_err());
}
