//! What may not be opened, and that the refusal says why.

use std::fs;

use super::*;
use crate::{Epoch, OpenError};

#[test]
fn a_second_opener_is_refused_and_told_who_has_the_directory() {
    let dir = Dir::new(1 << 20, 0);
    let writer = dir.writer();
    let refused = FileStore::open(dir.temp.path(), dir.options.clone()).map(drop);
    let error = refused.expect_err("locked").to_string();
    let pid = format!("is in use by process {}: stop it, or choose another", std::process::id());
    assert!(error.contains(&pid), "{error}");
    drop(writer);
    FileStore::open(dir.temp.path(), dir.options.clone()).expect("free again");
}

#[test]
fn a_file_is_not_taken_for_a_directory() {
    let dir = Dir::new(1 << 20, 0);
    let file = dir.temp.path().join("file");
    fs::write(&file, "text").expect("written");
    let refused = FileStore::open(&file, dir.options.clone()).map(drop);
    assert!(matches!(refused, Err(OpenError::NotADirectory { .. })), "{refused:?}");
    let below = FileStore::open(file.join("below"), dir.options).map(drop);
    assert!(matches!(below, Err(OpenError::NotADirectory { .. })), "{below:?}");
}

/// A header as a later version would write it.
fn make_newer(path: &std::path::Path) {
    let mut bytes = fs::read(path).expect("there");
    bytes[8..12].copy_from_slice(&9_u32.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_later_format_is_refused_with_what_to_do_and_left_alone() {
    for name in ["log/0000000001.segment", "definitions"] {
        let dir = Dir::new(1 << 20, 0);
        append(&mut *dir.writer(), one(1, b"kept"));
        let path = dir.temp.path().join(name);
        make_newer(&path);
        let before = fs::read(&path).expect("there");
        let error = FileStore::open(dir.temp.path(), dir.options.clone()).map(drop);
        let error = error.expect_err("newer").to_string();
        let what_to_do = "has format version 9, this program knows versions up to 1: start the";
        assert!(error.contains(what_to_do), "{error}");
        assert_eq!(fs::read(&path).expect("there"), before);
    }
}

#[test]
fn a_store_may_go_before_the_writer_and_its_log_is_closed_once() {
    let dir = Dir::new(1 << 20, 0);
    let mut writer = dir.writer();
    append(&mut *writer, one(1, b"kept"));
    block_on(writer.close()).expect("closes");
    let opened = dir.open();
    assert!(opened.recovered.clean);
    drop(opened);
    assert!(!dir.open().recovered.clean, "the last stop was not clean");
}

#[test]
fn epochs_grow_over_restarts() {
    let dir = Dir::new(1 << 20, 0);
    let mut last = Epoch(0);
    for _ in 0..3 {
        let store = dir.store();
        let lease = block_on(store.ownership().acquire("/", "test")).expect("free");
        assert!(lease.epoch() > last);
        last = lease.epoch();
        drop(store.log().open(last).expect("opens"));
    }
}

#[test]
fn a_directory_below_others_that_do_not_exist_is_made() {
    let dir = Dir::new(1 << 20, 0);
    let below = dir.temp.path().join("a/b/c");
    drop(FileStore::open(&below, dir.options).expect("opens"));
    assert!(below.join("definitions").is_file() && below.join("log").is_dir());
}

#[test]
fn files_with_other_names_in_the_log_are_left_alone() {
    let dir = Dir::new(1 << 20, 0);
    append(&mut *dir.writer(), one(1, b"kept"));
    let log = dir.temp.path().join("log");
    for name in ["0.segment", "99999999999.segment", "9999999999.segment", "notes.txt"] {
        fs::write(log.join(name), "not ours").expect("written");
    }
    let (found, report) = dir.recover();
    assert_eq!((found.len(), report.is_damaged(), report.torn_bytes), (1, false, 0));
    assert_eq!(fs::read(log.join("notes.txt")).expect("there"), b"not ours");
}
