//! Files of frames: a header, then batches, each in a frame that knows where it belongs. Segments
//! of the log and the file of definitions are both of this kind. See `FORMAT.md`.

use crate::record::{FRAME_HEADER, RecordView, Records, u32_at, u64_at};

/// The newest version of the format this program reads, and the one it writes.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Bytes before the first frame of a file.
pub(crate) const FILE_HEADER: usize = 64;

const MAGIC: [u8; 8] = *b"LEVERET\n";

/// Positions are below this: what claims another is damaged.
pub(crate) const MAX_POSITION: u64 = 1 << 62;

/// What a file is for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum FileKind {
    Segment = 1,
    Definitions = 2,
}

/// The first bytes of a file.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    /// Which file of its kind, counted from 1.
    pub(crate) number: u64,
    /// The position of the file's first byte.
    pub(crate) base: u64,
    /// The owner that made the file.
    pub(crate) epoch: u64,
    /// Drawn at random for each file and repeated in each frame, so that no bytes from elsewhere,
    /// such as a message's body, are ever taken for a frame.
    pub(crate) salt: u64,
}

/// Why a file's header does not say what the file is.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum BadHeader {
    /// Not what was written, or not there at all.
    Damaged,
    /// From a later version.
    Newer(u32),
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.kind as u32).to_le_bytes());
        let numbers = [self.number, self.base, self.epoch, self.salt];
        for (place, number) in bytes[16..48].as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], kind: FileKind) -> Result<Self, BadHeader> {
        Self::version(bytes).and_then(|version| match version {
            Some(newer) if newer > FORMAT_VERSION => Err(BadHeader::Newer(newer)),
            _ => Self::fields(bytes, kind).ok_or(BadHeader::Damaged),
        })
    }

    /// The version, if the header is whole.
    fn version(bytes: &[u8]) -> Result<Option<u32>, BadHeader> {
        let header = bytes.get(..FILE_HEADER).ok_or(BadHeader::Damaged)?;
        let whole = u32_at(header, 60) == Some(crc32fast::hash(&header[..60]));
        if whole && header.starts_with(&MAGIC) {
            Ok(u32_at(header, 8))
        } else {
            Err(BadHeader::Damaged)
        }
    }

    fn fields(header: &[u8], kind: FileKind) -> Option<Self> {
        let number = |place: usize| u64_at(header, 16 + 8 * place);
        (u32_at(header, 12)? == kind as u32 && number(1)? < MAX_POSITION).then_some(())?;
        Some(Self {
            kind,
            number: number(0)?,
            base: number(1)?,
            epoch: number(2)?,
            salt: number(3)?,
        })
    }
}

/// The first bytes of a frame.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct FrameHeader {
    /// Bytes of the records that follow.
    pub(crate) length: u32,
    /// How many records those are.
    pub(crate) count: u32,
    /// Checksum of their checksums: that they belong together, here.
    pub(crate) check: u32,
    /// Of the frame's first byte: in the log counted over all segments.
    pub(crate) position: u64,
    /// Everything before this position was durable when the frame was written. Damage before it
    /// is damage; after it, perhaps a write that a crash interrupted.
    pub(crate) synced: u64,
    /// The file's.
    pub(crate) salt: u64,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.check.to_le_bytes());
        let numbers = [self.position, self.synced, self.salt];
        for (place, number) in bytes[16..].as_chunks_mut().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        let crc = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The frame header at the beginning of `bytes`, if it is whole and belongs at `position`.
    pub(crate) fn decode(bytes: &[u8], position: u64) -> Option<Self> {
        // The position first: it is what rules out almost every wrong place cheaply.
        (u64_at(bytes, 16)? == position).then_some(())?;
        let header = bytes.get(..FRAME_HEADER)?;
        (u32_at(header, 0)? == crc32fast::hash(&header[4..])).then_some(())?;
        Some(Self {
            length: u32_at(header, 4)?,
            count: u32_at(header, 8)?,
            check: u32_at(header, 12)?,
            position,
            synced: u64_at(header, 24)?,
            salt: u64_at(header, 32)?,
        })
    }

    /// Bytes the frame takes, header included.
    pub(crate) fn len(&self) -> u64 {
        FRAME_HEADER as u64 + u64::from(self.length)
    }
}

/// Records in the form they are written in.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    count: u32,
    check: u32,
}

impl Frame {
    pub(crate) fn new(records: Records) -> Self {
        let (bytes, count, check) = records.finish();
        Self { bytes, count, check }
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Makes it a frame of this place.
    pub(crate) fn place(&mut self, position: u64, synced: u64, salt: u64) {
        let Self { count, check, .. } = *self;
        let length = u32::try_from(self.records().len()).unwrap_or(u32::MAX);
        let header = FrameHeader { length, count, check, position, synced, salt };
        self.bytes[..FRAME_HEADER].copy_from_slice(&header.encode());
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What follows the header.
    pub(crate) fn records(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER..).unwrap_or_default()
    }
}

/// The records of a frame that was read.
pub(crate) struct Content<'a> {
    /// Those that are whole, with their offsets from the beginning of the frame.
    pub(crate) records: Vec<(u64, RecordView<'a>)>,
    /// How many are not.
    pub(crate) damaged: u64,
}

impl<'a> Content<'a> {
    /// Checks `bytes`, which follow `header`.
    pub(crate) fn read(header: &FrameHeader, bytes: &'a [u8]) -> Self {
        let mut records = Vec::with_capacity(header.count.min(1024) as usize);
        let mut check = crc32fast::Hasher::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match RecordView::parse(rest) {
                Ok(record) => {
                    check.update(&record.crc.to_le_bytes());
                    records.push(((FRAME_HEADER + at) as u64, record));
                    at += record.len();
                }
                // If its length is right, another record or the end follows; if not, what
                // follows is as lost as this one.
                Err(damaged) => at += damaged.len,
            }
        }
        let damaged = u64::from(header.count).saturating_sub(records.len() as u64);
        if damaged == 0 && check.finalize() != header.check {
            // Whole records, but not the ones written here.
            return Self { records: Vec::new(), damaged: u64::from(header.count) };
        }
        Self { records, damaged }
    }
}
