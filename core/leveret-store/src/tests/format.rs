//! The bytes are those that `FORMAT.md` describes.

use crate::{
    Batch, QueueId,
    frame::{FileHeader, FileKind, Frame},
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_file_header_is_as_described() {
    let header =
        FileHeader { kind: FileKind::Segment, number: 2, base: 3, epoch: 4, salt: 0x0102_0304 };
    let bytes = header.encode();
    let expected = "4c4556455245540a01000000010000000200000000000000030000000000000004000000000000\
                    000403020100000000000000000000000000000000";
    assert_eq!(hex(&bytes[..60]), expected);
    assert_eq!(FileHeader::decode(&bytes, FileKind::Segment), Ok(header));
}

#[test]
fn a_frame_is_as_described() {
    let mut batch = Batch::new();
    batch.enqueue(&[(QueueId(1), 2), (QueueId(3), 4)], &[b"bo", b"dy"]);
    batch.settle(QueueId(5), 6, 7);
    batch.settle(QueueId(8), 9, 9);
    batch.delivered(QueueId(1), 2, 3);
    batch.forget(QueueId(9));
    let mut frame = Frame::new(batch.into_records());
    frame.place(0x40, 0x30, 0x77);
    let numbers = |list: &[u64]| -> String { list.iter().map(|n| hex(&n.to_le_bytes())).collect() };
    let bytes = frame.bytes();
    assert_eq!(hex(&bytes[4..12]), "b000000004000000", "176 bytes, 4 records");
    assert_eq!(hex(&bytes[16..40]), numbers(&[0x40, 0x30, 0x77]));
    let records = &bytes[40..];
    let enqueue = "240000000100000002000000".to_owned() + &numbers(&[1, 2, 3, 4]) + "626f6479";
    assert_eq!(hex(&records[4..52]), enqueue);
    let settle = "300000000200000002000000".to_owned() + &numbers(&[5, 6, 7, 8, 9, 9]);
    assert_eq!(hex(&records[56..116]), settle);
    let delivered = "140000000300000001000000".to_owned() + &numbers(&[1, 2]) + "03000000";
    assert_eq!(hex(&records[120..152]), delivered);
    let forget = "080000000400000001000000".to_owned() + &numbers(&[9]);
    assert_eq!(hex(&records[156..]), forget);
}
