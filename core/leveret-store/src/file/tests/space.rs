//! Full and failing disks.

use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::{AppendError, MetaError};

#[test]
fn a_full_disk_refuses_messages_takes_settles_and_recovers_alone() {
    let dir = Dir::new(1 << 20, 4096);
    let mut writer = dir.writer();
    for seq in 1..=10 {
        append(&mut *writer, one(seq, &[1; 500]));
    }
    dir.disk.set_space(Some(100));
    let refused = block_on(writer.append(one(11, &[2; 500])));
    assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
    for seq in 1..=9 {
        append(&mut *writer, settle(seq, seq));
    }
    let refused = block_on(writer.append(one(12, &[2; 500])));
    assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
    dir.disk.set_space(None);
    // The reserve is asked for again only now and then.
    let mut taken = false;
    while !taken {
        taken = block_on(writer.append(one(13, &[3; 500]))).is_ok();
    }
    drop(writer);
    let (found, report) = dir.recover();
    let seqs: Vec<_> = found.into_keys().map(|(_, seq)| seq).collect();
    assert_eq!((seqs, report.torn_bytes, report.is_damaged()), (vec![10, 13], 0, false));
}

#[test]
fn a_batch_that_does_not_fit_leaves_no_part_behind_wherever_the_disk_is_full() {
    for space in 0..200 {
        let dir = Dir::new(1 << 20, 0);
        let mut writer = dir.writer();
        append(&mut *writer, one(1, b"first"));
        dir.disk.set_space(Some(space));
        let refused = block_on(writer.append(one(2, &[0; 200])));
        assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
        dir.disk.set_space(None);
        append(&mut *writer, one(3, b"third"));
        drop(writer);
        let (found, report) = dir.recover();
        let seqs: Vec<_> = found.into_keys().map(|(_, seq)| seq).collect();
        assert_eq!((seqs, report.torn_bytes), (vec![1, 3], 0));
    }
}

#[test]
fn a_full_disk_at_the_end_of_a_segment_lets_the_segment_grow() {
    let dir = Dir::new(1024, 0);
    let mut writer = dir.writer();
    append(&mut *writer, one(1, &[0; 900]));
    dir.disk.set_space(Some(60));
    for seq in 2..=3 {
        let refused = block_on(writer.append(one(seq, &[0; 100])));
        assert!(matches!(refused, Err(AppendError::Full)), "{refused:?}");
    }
    dir.disk.set_space(None);
    append(&mut *writer, one(4, &[0; 100]));
    drop(writer);
    let seqs: Vec<_> = dir.recover().0.into_keys().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [1, 4]);
}

#[test]
fn after_a_failed_sync_nothing_is_confirmed_any_more() {
    let dir = Dir::new(1 << 20, 0);
    let mut writer = dir.writer();
    append(&mut *writer, one(1, b"durable"));
    dir.disk.switches().fail_sync.store(true, SeqCst);
    let failed = block_on(writer.append(one(2, b"who knows")));
    assert!(matches!(failed, Err(AppendError::Failed(_))), "{failed:?}");
    dir.disk.switches().fail_sync.store(false, SeqCst);
    let failed = block_on(writer.append(one(3, b"too late")));
    assert!(matches!(failed, Err(AppendError::Failed(_))), "{failed:?}");
    assert!(block_on(writer.close()).is_err());
    let opened = dir.open();
    assert!(!opened.recovered.clean);
    let bodies: Vec<_> = opened.recovered.messages.map(|message| message.bytes).collect();
    assert!(bodies == ["durable"] || bodies == ["durable", "who knows"]);
}

#[test]
fn after_a_failed_write_only_the_whole_batches_come_back() {
    let dir = Dir::new(1 << 20, 0);
    let mut writer = dir.writer();
    append(&mut *writer, one(1, b"durable"));
    dir.disk.switches().fail_write.store(true, SeqCst);
    let failed = block_on(writer.append(one(2, b"half written")));
    assert!(matches!(failed, Err(AppendError::Failed(_))), "{failed:?}");
    dir.disk.switches().fail_write.store(false, SeqCst);
    drop(writer);
    let (found, report) = dir.recover();
    assert_eq!(found.len(), 1);
    assert!(report.torn_bytes > 0 && !report.is_damaged());
}

#[test]
fn definitions_on_a_full_disk_stay_as_they_were_and_go_on_later() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    let put = |key: &str, size| {
        let value = Some(vec![7; size].into());
        block_on(store.meta().put_all(vec![(key.to_owned(), value)]))
    };
    put("a", 10).expect("puts");
    dir.disk.set_space(Some(50));
    assert!(matches!(put("b", 100), Err(MetaError::Full)));
    assert!(store.meta().get("b").is_none());
    dir.disk.set_space(None);
    put("c", 10).expect("puts");
    drop(store);
    let keys: Vec<_> = dir.store().meta().list("").into_iter().map(|entry| entry.0).collect();
    assert_eq!(keys, ["a", "c"]);
}

#[test]
fn after_a_failed_sync_no_definition_changes_any_more() {
    let dir = Dir::new(1 << 20, 0);
    let store = dir.store();
    let put = |key: &str| block_on(store.meta().put_all(vec![(key.to_owned(), Some("1".into()))]));
    put("a").expect("puts");
    dir.disk.switches().fail_sync.store(true, SeqCst);
    assert!(matches!(put("b"), Err(MetaError::Failed(_))));
    dir.disk.switches().fail_sync.store(false, SeqCst);
    assert!(matches!(put("c"), Err(MetaError::Failed(_))));
    assert_eq!(store.meta().list("").len(), 1);
}

#[test]
fn on_a_full_disk_nothing_is_carried_forward_until_there_is_room_again() {
    let dir = Dir::new(4096, 0);
    let mut writer = dir.writer();
    for seq in 1..=100 {
        append(&mut *writer, one(seq, &[0; 200]));
    }
    dir.disk.set_space(Some(100));
    append(&mut *writer, settle(2, 100));
    block_on(writer.trim()).expect("ends");
    let usage = writer.usage();
    assert_eq!((usage.live_messages, usage.moved_bytes), (1, 0));
    dir.disk.set_space(None);
    append(&mut *writer, one(101, b"there is room"));
    block_on(writer.trim()).expect("trims");
    assert!(writer.usage().moved_bytes > 0 && writer.usage().segments <= 3);
    drop(writer);
    let seqs: Vec<_> = dir.recover().0.into_keys().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [1, 101]);
}
