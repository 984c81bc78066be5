//! Space comes back, and what is live stays.

use super::*;

const SEGMENT: u64 = 16 << 10;

#[test]
fn a_queue_that_is_consumed_in_order_keeps_a_few_segments_and_moves_nothing() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    for seq in 1..=2000 {
        append(&mut *writer, one(seq, &[0; 200]));
        append(&mut *writer, settle(seq, seq));
    }
    let usage = writer.usage();
    assert!(usage.segments <= 2, "{usage:?}");
    assert_eq!((usage.live_messages, usage.moved_bytes), (0, 0));
    assert!(dir.log_bytes() <= 2 * SEGMENT);
}

#[test]
fn a_queue_that_keeps_one_of_a_hundred_stays_small_at_bounded_cost() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    for seq in 1..=20_000 {
        drop(writer.append(one(seq, &[0; 200])));
        if seq % 100 != 0 {
            drop(writer.append(settle(seq, seq)));
        }
    }
    block_on(writer.trim()).expect("trims");
    let usage = writer.usage();
    assert_eq!(usage.live_messages, 200);
    assert!(usage.disk_bytes <= 3 * usage.live_bytes + 3 * SEGMENT, "{usage:?}");
    assert!(usage.moved_bytes <= usage.written_bytes / 2, "{usage:?}");
    drop(writer);
    assert_eq!(
        dir.recover().0.into_keys().map(|(_, seq)| seq).collect::<Vec<_>>(),
        every(100, 20_000)
    );
}

fn every(step: u64, last: u64) -> Vec<Seq> {
    (1..=last / step).map(|nth| nth * step).collect()
}

#[test]
fn an_old_backlog_does_not_keep_what_comes_and_goes_behind_it() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    for seq in 1..=300 {
        append(&mut *writer, one(seq, &[0; 200]));
    }
    for seq in 301..=20_000 {
        drop(writer.append(one(seq, &[0; 200])));
        drop(writer.append(settle(seq, seq)));
    }
    block_on(writer.trim()).expect("trims");
    let usage = writer.usage();
    assert_eq!(usage.live_messages, 300);
    assert!(usage.disk_bytes <= 3 * usage.live_bytes + 3 * SEGMENT, "{usage:?}");
    assert!(usage.moved_bytes <= usage.written_bytes / 2, "{usage:?}");
    drop(writer);
    assert_eq!(dir.recover().0.into_keys().map(|(_, seq)| seq).collect::<Vec<_>>(), every(1, 300));
}

#[test]
fn what_is_carried_forward_keeps_its_delivery_count_and_its_live_targets() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    let mut batch = Batch::new();
    batch.enqueue(&[(QueueId(1), 1), (QueueId(2), 1), (QueueId(3), 1)], &[b"kept"]);
    batch.delivered(QueueId(2), 1, 3);
    batch.settle(QueueId(1), 1, 1);
    append(&mut *writer, batch);
    for seq in 2..=2000 {
        drop(writer.append(one(seq, &[0; 100])));
    }
    append(&mut *writer, settle(2, 2000));
    block_on(writer.trim()).expect("trims");
    assert!(writer.usage().moved_bytes > 0);
    drop(writer);
    let messages: Vec<_> = dir.open().recovered.messages.collect();
    let [message] = &messages[..] else { panic!("{messages:?}") };
    let targets: Vec<_> = message.targets.iter().map(|t| (t.queue.0, t.seq, t.delivered)).collect();
    assert_eq!((&message.bytes[..], &targets[..]), (&b"kept"[..], &[(2, 1, 3), (3, 1, 0)][..]));
}

#[test]
fn nothing_is_reclaimed_while_recovery_is_read() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    for seq in 1..=1000 {
        drop(writer.append(one(seq, &[0; 200])));
    }
    drop(writer);
    let Opened { mut writer, mut recovered } = dir.open();
    let first = recovered.messages.next().expect("a message");
    assert_eq!(first.targets[0].seq, 1);
    let before = writer.usage().segments;
    append(&mut *writer, settle(1, 500));
    block_on(writer.trim()).expect("does nothing");
    assert_eq!(writer.usage().segments, before);
    let rest: Vec<_> = recovered.messages.map(|message| message.targets[0].seq).collect();
    assert!(rest.ends_with(&(501..=1000).collect::<Vec<_>>()));
    block_on(writer.trim()).expect("trims");
    assert!(writer.usage().segments < before);
}

#[test]
fn a_message_much_larger_than_a_segment_is_kept_and_moved() {
    let dir = Dir::new(SEGMENT, 0);
    let mut writer = dir.writer();
    let body: Vec<_> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    append(&mut *writer, one(1, &body));
    for seq in 2..=20_000 {
        drop(writer.append(one(seq, &[0; 100])));
        drop(writer.append(settle(seq, seq)));
    }
    block_on(writer.trim()).expect("trims");
    let usage = writer.usage();
    assert!(usage.moved_bytes > 200_000 && usage.disk_bytes < 800_000, "{usage:?}");
    drop(writer);
    assert_eq!(dir.recover().0, BTreeMap::from([((1, 1), body)]));
}
