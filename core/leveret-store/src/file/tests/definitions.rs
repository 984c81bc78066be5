//! The file of definitions.

use std::fs;

use super::*;

fn put(store: &FileStore, changes: &[(&str, Option<&str>)]) {
    let changes = changes
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(|value| value.to_owned().into())));
    block_on(store.meta().put_all(changes.collect())).expect("puts");
}

fn entries(dir: &Dir) -> Vec<(String, String)> {
    let list = dir.store().meta().list("");
    let text = |bytes: bytes::Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    list.into_iter().map(|(key, _, value)| (key, text(value))).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn a_change_of_several_is_there_whole_or_not_at_all_wherever_the_file_ends() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    put(&store, &[("a", Some("1")), ("b", Some("1"))]);
    put(&store, &[("a", Some("2")), ("b", None), ("c", Some("2"))]);
    drop(store);
    let path = dir.temp.path().join("definitions");
    let whole = fs::read(&path).expect("there");
    let states =
        [vec![], vec![pair("a", "1"), pair("b", "1")], vec![pair("a", "2"), pair("c", "2")]];
    let mut state = 2;
    for size in (64 + 64..whole.len()).rev() {
        fs::write(&path, &whole[..size]).expect("written");
        let found = entries(&dir);
        if found != states[state] {
            state -= 1;
        }
        assert_eq!(found, states[state], "cut at {size}");
        assert_eq!(entries(&dir), states[state], "cut at {size}: the second time");
    }
    assert_eq!(state, 0);
}

#[test]
fn a_flipped_bit_costs_one_change_and_the_file_is_set_aside() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    for key in ["a", "b", "c", "d", "e"] {
        put(&store, &[(key, Some("value"))]);
    }
    drop(store);
    let path = dir.temp.path().join("definitions");
    let whole = fs::read(&path).expect("there");
    // Behind the last frame nothing says that it was durable.
    for at in 0..whole.len() - 80 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).expect("written");
        let store = dir.store();
        assert!(store.definitions_report().is_damaged(), "at {at}");
        drop(store);
        let found = entries(&dir);
        assert!(found.len() >= 4, "at {at}: {found:?}");
        assert!(found.iter().all(|(_, value)| value == "value"));
        let aside = dir.temp.path().join("definitions.damaged");
        assert_eq!(fs::read(&aside).expect("a copy"), bytes, "at {at}");
        fs::remove_file(aside).expect("removable");
    }
}

#[test]
fn a_file_mostly_out_of_date_is_written_anew_and_revisions_go_on() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    let value = "x".repeat(10_000);
    for _ in 0..400 {
        put(&store, &[("a", Some(&value))]);
    }
    put(&store, &[("b", Some("1"))]);
    put(&store, &[("b", None)]);
    let size = || fs::metadata(dir.temp.path().join("definitions")).expect("there").len();
    assert!(size() < 1_200_000, "{}", size());
    drop(store);
    let store = dir.store();
    let revision = block_on(store.meta().put_all(vec![("b".into(), Some("2".into()))]));
    assert_eq!(revision.expect("puts").0, 403);
}

#[test]
fn a_rewritten_file_that_is_damaged_in_the_middle_is_not_cut_there() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    let value = "x".repeat(100_000);
    let path = dir.temp.path().join("definitions");
    let size = || fs::metadata(&path).expect("there").len();
    let mut largest = 0;
    for number in (0..30).cycle() {
        put(&store, &[(&format!("k{number}"), Some(&value))]);
        if size() < largest {
            break;
        }
        largest = size();
    }
    drop(store);
    // The first of its frames has about ten of the thirty.
    let mut bytes = fs::read(&path).expect("there");
    bytes[70] ^= 1;
    fs::write(&path, bytes).expect("written");
    let store = dir.store();
    let found = store.meta().list("").len();
    assert!((15..30).contains(&found), "{found}");
}
