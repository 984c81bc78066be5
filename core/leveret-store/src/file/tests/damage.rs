//! Torn and damaged logs.

use std::{fs, path::Path};

use super::*;
use crate::{
    disk::SystemDisk,
    file::{frame_file::FrameFile, recovery::whole_until},
    frame::{FILE_HEADER, FileHeader, FileKind, Frame},
    scan::FrameScan,
};

fn body(seq: Seq) -> Vec<u8> {
    let mut body =
        vec![u8::try_from(seq).expect("small"); 20 + usize::try_from(seq % 7).expect("")];
    body[0] = b'm';
    body
}

/// A log of `count` messages, each in a batch of its own, and its last segment.
fn written(dir: &Dir, count: Seq) -> PathBuf {
    let mut writer = dir.writer();
    (1..=count).for_each(|seq| append(&mut *writer, one(seq, &body(seq))));
    drop(writer);
    dir.segments().pop().expect("a segment")
}

/// Leaves nothing but this segment with these bytes.
fn put_back(dir: &Dir, segment: &Path, bytes: &[u8]) {
    dir.segments().iter().for_each(|path| fs::remove_file(path).expect("removable"));
    fs::write(segment, bytes).expect("written");
}

fn is_prefix(found: &BTreeMap<(u64, Seq), Vec<u8>>) -> bool {
    found.iter().zip(1..).all(|((&(_, seq), bytes), nth)| seq == nth && *bytes == body(seq))
}

#[test]
fn a_log_cut_anywhere_gives_back_the_batches_that_are_whole() {
    let dir = Dir::new(1 << 20, 0);
    let segment = written(&dir, 30);
    let whole = fs::read(&segment).expect("there");
    let mut last_count = 30;
    for size in (0..whole.len()).rev() {
        put_back(&dir, &segment, &whole[..size]);
        let (found, report) = dir.recover();
        assert!(is_prefix(&found), "cut at {size}");
        assert!(found.len() <= last_count && last_count - found.len() <= 1, "cut at {size}");
        last_count = found.len();
        assert!(!report.is_damaged(), "cut at {size}: {report:?}");
        let (again, report) = dir.recover();
        assert_eq!((again, report.torn_bytes), (found, 0), "cut at {size}: the second time");
    }
    assert_eq!(last_count, 0);
}

#[test]
fn what_was_appended_after_a_cut_is_there_at_the_next_opening() {
    let dir = Dir::new(1 << 20, 0);
    let segment = written(&dir, 3);
    let whole = fs::read(&segment).expect("there");
    put_back(&dir, &segment, &whole[..whole.len() - 5]);
    append(&mut *dir.writer(), one(9, &body(9)));
    let found: Vec<_> = dir.recover().0.into_keys().map(|(_, seq)| seq).collect();
    assert_eq!(found, [1, 2, 9]);
}

#[test]
fn a_flipped_bit_costs_the_message_it_hits_and_no_other() {
    let dir = Dir::new(1 << 20, 0);
    let segment = written(&dir, 12);
    let whole = fs::read(&segment).expect("there");
    // Behind the last frames nothing says that they were durable.
    for at in 0..whole.len() - 200 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        put_back(&dir, &segment, &bytes);
        let (found, report) = dir.recover();
        assert!(found.iter().all(|(&(_, seq), bytes)| *bytes == body(seq)), "at {at}");
        assert!(found.len() >= 11, "at {at}: {} messages left, {report:?}", found.len());
        assert!(report.is_damaged(), "at {at}: {report:?}");
        assert_eq!(report.torn_bytes, 0, "at {at}");
        assert_eq!(dir.recover().0, found, "at {at}: the second time");
    }
}

#[test]
fn a_flipped_bit_in_a_large_batch_costs_one_message_if_it_hits_a_body() {
    let dir = Dir::new(1 << 20, 0);
    let mut batch = Batch::new();
    (1..=9).for_each(|seq| batch.enqueue(&[(QueueId(1), seq)], &[&body(seq)]));
    let mut writer = dir.writer();
    append(&mut *writer, batch);
    append(&mut *writer, one(10, &body(10)));
    drop(writer);
    let segment = dir.segments().pop().expect("a segment");
    let mut bytes = fs::read(&segment).expect("there");
    let fifth = body(5);
    let at = bytes.windows(fifth.len()).position(|window| window == fifth).expect("its body");
    bytes[at + 7] ^= 0x10;
    put_back(&dir, &segment, &bytes);
    let (found, report) = dir.recover();
    let seqs: Vec<_> = found.into_keys().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    assert_eq!((report.damaged_records, report.damaged_bytes), (1, 0));
}

#[test]
fn a_missing_segment_is_counted_and_the_others_are_read() {
    let dir = Dir::new(1024, 0);
    written(&dir, 60);
    let segments = dir.segments();
    assert!(segments.len() >= 4);
    fs::remove_file(&segments[1]).expect("removable");
    let (found, report) = dir.recover();
    assert_eq!(report.missing_segments, 1);
    assert!(found.len() > 30 && found.iter().all(|(&(_, seq), bytes)| *bytes == body(seq)));
}

#[test]
fn a_segment_that_lost_its_end_is_damaged_and_not_torn() {
    let dir = Dir::new(1024, 0);
    written(&dir, 60);
    let first = dir.segments().swap_remove(0);
    let bytes = fs::read(&first).expect("there");
    fs::write(&first, &bytes[..bytes.len() - 10]).expect("written");
    let (found, report) = dir.recover();
    assert_eq!(found.len(), 59);
    assert!(report.damaged_bytes > 0 && report.torn_bytes == 0);
}

/// Where the body of the first message of a log begins: behind the file header, the frame of the
/// epoch, and the headers of its own frame and record.
const FIRST_BODY: usize = 64 + (40 + 16 + 8) + 40 + 16 + 16;

#[test]
fn a_body_that_looks_like_a_frame_is_never_read_as_one() {
    let dir = Dir::new(1 << 20, 0);
    let mut forged = Frame::new(one(100, b"forged").into_records());
    forged.place(FIRST_BODY as u64, 0, 0x1234_5678);
    let mut writer = dir.writer();
    append(&mut *writer, one(1, forged.bytes()));
    append(&mut *writer, one(2, b"honest"));
    append(&mut *writer, settle(9, 9));
    drop(writer);
    let segment = dir.segments().pop().expect("a segment");
    let mut bytes = fs::read(&segment).expect("there");
    assert!(bytes[FIRST_BODY..].starts_with(forged.bytes()));
    // The header of the frame around the body: what follows must be searched.
    bytes[FIRST_BODY - 16 - 16 - 40 + 20] ^= 1;
    put_back(&dir, &segment, &bytes);
    let (found, report) = dir.recover();
    assert_eq!(found, BTreeMap::from([((1, 2), b"honest".to_vec())]));
    assert!(report.is_damaged());
}

#[test]
fn a_whole_record_in_another_ones_place_is_not_passed_on() {
    let dir = Dir::new(1 << 20, 0);
    let mut writer = dir.writer();
    (1..=3).for_each(|seq| append(&mut *writer, one(seq, b"equal")));
    drop(writer);
    let segment = dir.segments().pop().expect("a segment");
    let mut bytes = fs::read(&segment).expect("there");
    let (record, frame) = (FIRST_BODY - 32, 40 + 16 + 16 + 5);
    bytes.copy_within(record + frame..record + frame + frame - 40, record);
    put_back(&dir, &segment, &bytes);
    let (found, report) = dir.recover();
    assert_eq!(found.into_keys().map(|(_, seq)| seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(report.damaged_records, 1);
}

/// Writes three frames; `synced` after each says whether it is made durable before the next.
fn three_frames(path: &Path, synced: [bool; 3]) -> Vec<u64> {
    let header = FileHeader { kind: FileKind::Segment, number: 1, base: 0, epoch: 1, salt: 7 };
    let mut file = FrameFile::create(&SystemDisk, path, header).expect("made");
    let write = |(seq, synced): (Seq, bool)| {
        let start = file.size();
        let mut frame = Frame::new(one(seq, b"body").into_records());
        file.write(&mut [&mut frame]).expect("written");
        synced.then(|| file.sync().expect("synced"));
        start
    };
    (1..).zip(synced).map(write).collect()
}

fn end_if_broken(synced: [bool; 3], broken: usize) -> (u64, Vec<u64>) {
    let temp = TempDir::new().expect("a directory");
    let path = temp.path().join("1");
    let starts = three_frames(&path, synced);
    let mut bytes = fs::read(&path).expect("there");
    bytes[usize::try_from(starts[broken]).expect("small") + 60] ^= 1;
    fs::write(&path, bytes).expect("written");
    let file = crate::disk::Disk::open(&SystemDisk, &path).expect("opens");
    let mut scan = FrameScan::new(file, FileKind::Segment, 0).expect("readable");
    (whole_until(&mut scan).expect("readable"), starts)
}

#[test]
fn a_write_that_reached_the_disk_out_of_order_is_cut_from_its_first_hole() {
    let (end, starts) = end_if_broken([true, false, false], 1);
    assert_eq!(end, starts[1]);
    let (end, starts) = end_if_broken([false, false, false], 0);
    assert_eq!((end, starts[0]), (FILE_HEADER as u64, FILE_HEADER as u64));
}

#[test]
fn a_hole_in_what_was_durable_cuts_nothing() {
    let (end, starts) = end_if_broken([true, true, false], 1);
    assert!(end > starts[2]);
}
