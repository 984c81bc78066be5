//! Deaths and what they leave behind.

use leveret_plugin::value::Value::{I32, I64, Text, Timestamp};
use proptest::prelude::*;

use super::*;

const DEATH: Death<'static> = Death {
    queue: "q",
    reason: Reason::Expired,
    exchange: "x",
    routing_key: "k",
    key_replaced: false,
    time_secs: 1_700_000_000,
};

fn with_headers(pairs: &[(&str, Value<'_>)]) -> Vec<u8> {
    let headers: TableBuilder = pairs.iter().copied().collect();
    let mut editor = PropertiesEditor::new();
    let headers = PropertyValue::Headers(headers.table().as_bytes());
    editor.set(Property::Headers, headers).expect("headers");
    editor.into_bytes()
}

fn list(values: &[Value<'_>]) -> Vec<u8> {
    let mut array = ArrayBuilder::new();
    values.iter().for_each(|value| array.push(*value));
    array.into_bytes()
}

fn view(bytes: &[u8]) -> Properties<'_> {
    Properties::parse(bytes).expect("properties")
}

/// Queue, reason and count of each entry.
fn history(bytes: &[u8]) -> Vec<(String, String, i64)> {
    let string = |value: Option<Value<'_>>| {
        value.and_then(|value| value.as_str()).expect("string").to_owned()
    };
    let deaths = history_of(&view(bytes).headers()).expect("x-death");
    let entries = deaths.iter().map(|entry| {
        let Value::Table(entry) = entry else { panic!("no table") };
        let Some(I64(count)) = entry.get("count") else { panic!("no count") };
        (string(entry.get("queue")), string(entry.get("reason")), count)
    });
    entries.collect()
}

fn entry(queue: &str, reason: &str, count: i64) -> (String, String, i64) {
    (queue.to_owned(), reason.to_owned(), count)
}

#[test]
fn the_first_death_is_recorded_with_rabbitmqs_types() {
    let mut editor = PropertiesEditor::new();
    editor.set(Property::Expiration, PropertyValue::Text(b"100")).expect("set");
    editor.set(Property::MessageId, PropertyValue::Text(b"m")).expect("set");
    let after = rewrite(editor.as_bytes(), &DEATH);
    let properties = view(&after);
    assert!(!properties.has(Property::Expiration));
    assert_eq!(properties.message_id(), Some("m"));

    let names: Vec<_> = properties.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            &b"x-death"[..],
            b"x-first-death-exchange",
            b"x-first-death-queue",
            b"x-first-death-reason",
            b"x-last-death-exchange",
            b"x-last-death-queue",
            b"x-last-death-reason",
        ]
    );
    assert_eq!(properties.header("x-first-death-exchange"), Some(Text(b"x")));
    assert_eq!(properties.header("x-last-death-reason"), Some(Text(b"expired")));

    let keys = list(&[Text(b"k")]);
    let deaths = history_of(&properties.headers()).expect("x-death");
    let Some(Value::Table(entry)) = deaths.iter().next() else { panic!("no table") };
    assert_eq!(
        entry.iter().collect::<Vec<_>>(),
        [
            (&b"original-expiration"[..], Text(b"100")),
            (b"count", I64(1)),
            (b"reason", Text(b"expired")),
            (b"queue", Text(b"q")),
            (b"time", Timestamp(1_700_000_000)),
            (b"exchange", Text(b"x")),
            (b"routing-keys", Value::Array(Array::new(&keys))),
        ]
    );
}

#[test]
fn a_second_death_of_the_same_kind_is_counted_and_moves_to_the_front() {
    let rejected = Death { queue: "r", reason: Reason::Rejected, ..DEATH };
    let once = rewrite(&[0, 0], &DEATH);
    let twice = rewrite(&once, &rejected);
    assert_eq!(history(&twice), [entry("r", "rejected", 1), entry("q", "expired", 1)]);
    let later = Death { time_secs: 1_800_000_000, exchange: "other", ..DEATH };
    let thrice = rewrite(&twice, &later);
    assert_eq!(history(&thrice), [entry("q", "expired", 2), entry("r", "rejected", 1)]);

    let headers = view(&thrice).headers();
    assert_eq!(headers.get("x-first-death-queue"), Some(Text(b"q")));
    assert_eq!(headers.get("x-last-death-exchange"), Some(Text(b"other")));
    let Some(Value::Table(newest)) = history_of(&headers).expect("x-death").iter().next() else {
        panic!("no table")
    };
    assert_eq!(newest.get("time"), Some(Timestamp(1_700_000_000)));
    assert_eq!(newest.get("exchange"), Some(Text(b"x")));
}

#[test]
fn the_same_queue_for_another_reason_is_another_entry() {
    let once = rewrite(&[0, 0], &DEATH);
    let twice = rewrite(&once, &Death { reason: Reason::MaxLength, ..DEATH });
    assert_eq!(history(&twice), [entry("q", "maxlen", 1), entry("q", "expired", 1)]);
    let limit = rewrite(&[0, 0], &Death { reason: Reason::DeliveryLimit, ..DEATH });
    assert_eq!(history(&limit), [entry("q", "delivery_limit", 1)]);
}

#[test]
fn other_headers_stay_and_are_sorted() {
    let before = with_headers(&[("z", I32(1)), ("a", Text(b"\xff")), ("x-retry", Value::U8(3))]);
    let after = rewrite(&before, &DEATH);
    let headers = view(&after).headers();
    assert_eq!(headers.get("z"), Some(I32(1)));
    assert_eq!(headers.get("a"), Some(Text(b"\xff")));
    assert_eq!(headers.get("x-retry"), Some(Value::U8(3)));
    let names: Vec<_> = headers.iter().map(|(name, _)| name.to_vec()).collect();
    assert!(names.is_sorted());
}

#[test]
fn bcc_is_never_shown_and_cc_only_while_it_routes() {
    let (cc, bcc) = (list(&[Text(b"c1"), Text(b"c2")]), list(&[Text(b"b")]));
    let array = |bytes| Value::Array(Array::new(bytes));
    let before = with_headers(&[("CC", array(&cc)), ("BCC", array(&bcc))]);
    let kept = rewrite(&before, &DEATH);
    let headers = view(&kept).headers();
    assert_eq!(headers.get("CC"), Some(array(&cc)));
    assert_eq!(headers.get("BCC"), None);

    let replaced = rewrite(&before, &Death { key_replaced: true, ..DEATH });
    let headers = view(&replaced).headers();
    assert_eq!((headers.get("CC"), headers.get("BCC")), (None, None));
    let Some(Value::Table(newest)) = history_of(&headers).expect("x-death").iter().next() else {
        panic!("no table")
    };
    let keys = list(&[Text(b"k"), Text(b"c1"), Text(b"c2")]);
    assert_eq!(newest.get("routing-keys"), Some(array(&keys)));
}

#[test]
fn a_history_without_counts_is_counted() {
    let old = [("queue", Text(b"q")), ("reason", Text(b"expired"))];
    let old: TableBuilder = old.into_iter().collect();
    let deaths = list(&[Value::Table(old.table()), Value::Table(old.table()), I32(5)]);
    let before = with_headers(&[("x-death", Value::Array(Array::new(&deaths)))]);
    let after = rewrite(&before, &DEATH);
    let entries: Vec<_> = history_of(&view(&after).headers()).expect("x-death").iter().collect();
    assert_eq!(entries.len(), 2);
    let Value::Table(newest) = entries[0] else { panic!("no table") };
    assert_eq!(newest.get("count"), Some(I64(3)));
    assert_eq!(entries[1], I32(5));
    assert_eq!(view(&after).header("x-first-death-queue"), None);
}

#[test]
fn a_history_that_is_none_is_begun_anew() {
    let before = with_headers(&[("x-death", Text(b"boo")), ("x-first-death-queue", Text(b"fake"))]);
    let after = rewrite(&before, &DEATH);
    assert_eq!(history(&after), [entry("q", "expired", 1)]);
    assert_eq!(view(&after).header("x-first-death-queue"), Some(Text(b"q")));
}

#[test]
fn a_circle_nobody_rejected_in_is_a_cycle() {
    let expired = rewrite(&[0, 0], &DEATH);
    assert!(is_cycle(&expired, "q"));
    assert!(!is_cycle(&expired, "other"));
    assert!(!is_cycle(&[0, 0], "q"));
    let overflowed =
        rewrite(&expired, &Death { queue: "other", reason: Reason::MaxLength, ..DEATH });
    assert!(is_cycle(&overflowed, "q"));
}

#[test]
fn a_rejection_since_the_last_visit_breaks_the_circle() {
    let rejected = Death { queue: "work", reason: Reason::Rejected, ..DEATH };
    let retry = Death { queue: "wait", ..DEATH };
    let mut properties = vec![0, 0];
    for round in 1..=3 {
        properties = rewrite(&properties, &rejected);
        assert!(!is_cycle(&properties, "wait"), "round {round}");
        properties = rewrite(&properties, &retry);
        assert!(!is_cycle(&properties, "work"), "round {round}");
        assert_eq!(
            history(&properties),
            [entry("wait", "expired", round), entry("work", "rejected", round)]
        );
    }
    assert!(!is_cycle(&rewrite(&[0, 0], &Death { queue: "work", ..rejected }), "work"));
    assert!(is_cycle(&properties, "wait"));
}

#[test]
fn a_rejection_before_the_last_visit_does_not_break_it() {
    let rejected = rewrite(&[0, 0], &Death { queue: "r", reason: Reason::Rejected, ..DEATH });
    assert!(is_cycle(&rewrite(&rejected, &DEATH), "q"));
}

fn any_death() -> impl Strategy<Value = (String, Reason, bool)> {
    let reason = prop::sample::select(vec![
        Reason::Expired,
        Reason::Rejected,
        Reason::MaxLength,
        Reason::DeliveryLimit,
    ]);
    ("[a-c]", reason, any::<bool>())
}

proptest! {
    #[test]
    fn bytes_that_are_no_properties_come_back(bytes: Vec<u8>) {
        let after = rewrite(&bytes, &DEATH);
        prop_assert!(Properties::view(&bytes).is_ok() || after == bytes);
        is_cycle(&after, "q");
    }

    #[test]
    fn the_history_is_the_deaths_by_queue_and_reason(
        deaths in prop::collection::vec(any_death(), 0..20),
    ) {
        let mut properties = vec![0, 0];
        let mut model: Vec<(String, String, i64)> = Vec::new();
        for (queue, reason, key_replaced) in &deaths {
            let death = Death { queue, reason: *reason, key_replaced: *key_replaced, ..DEATH };
            properties = rewrite(&properties, &death);
            let place = model.iter().position(|(q, r, _)| q == queue && r == reason.name());
            let count = place.map_or(0, |place| model.remove(place).2);
            model.insert(0, entry(queue, reason.name(), count + 1));
            prop_assert_eq!(&history(&properties), &model);
            let naive = model.iter().position(|(q, ..)| q == "a").is_some_and(|place| {
                model[..=place].iter().all(|(_, reason, _)| reason != "rejected")
            });
            prop_assert_eq!(is_cycle(&properties, "a"), naive);
        }
    }
}
