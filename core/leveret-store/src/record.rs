//! Records: the units a frame consists of, built and taken apart. See `FORMAT.md`.
//!
//! A record is a 16-byte header (checksum, length, kind, flags, count) and a payload that begins
//! with `count` fixed-size entries.

use crate::ids::{QueueId, Seq};

/// Bytes left free at the beginning of a buffer for the frame header.
pub(crate) const FRAME_HEADER: usize = 40;
/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER: usize = 16;
/// Flag of an enqueue that compaction wrote: its bytes were already counted once.
pub(crate) const CARRIED: u8 = 1;

/// The kinds of record. A number is never used again for something else.
pub(crate) mod kind {
    pub(crate) const ENQUEUE: u8 = 1;
    pub(crate) const SETTLE: u8 = 2;
    pub(crate) const DELIVERED: u8 = 3;
    pub(crate) const FORGET: u8 = 4;
    // 5 hold, 6 release, 7 extension state, 11 body chunk, 12 index checkpoint: reserved.
    pub(crate) const EPOCH: u8 = 8;
    pub(crate) const CLEAN: u8 = 9;
    pub(crate) const PUT: u8 = 32;
    pub(crate) const REMOVE: u8 = 33;
    pub(crate) const REVISION: u8 = 34;
}

/// Records on their way to a frame. Consecutive entries of one kind share a record.
pub(crate) struct Records {
    bytes: Vec<u8>,
    count: u32,
    check: crc32fast::Hasher,
    open: Option<usize>,
}

impl Records {
    pub(crate) fn new() -> Self {
        let bytes = vec![0; FRAME_HEADER];
        Self { bytes, count: 0, check: crc32fast::Hasher::new(), open: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == FRAME_HEADER
    }

    /// Bytes this will take on disk, frame header included.
    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Begins a record of `entries` entries; [`Records::put`] adds its payload.
    pub(crate) fn begin(&mut self, kind: u8, flags: u8, entries: usize) {
        self.seal();
        self.open = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&[kind, flags, 0, 0]);
        self.put(&low32(entries).to_le_bytes());
    }

    /// Goes on with the open record if it is of `kind`, as one entry more; else begins one.
    pub(crate) fn entry(&mut self, kind: u8) {
        match self.open {
            Some(start) if self.bytes.get(start + 8) == Some(&kind) => {
                let at = start + 12;
                let entries = u32_at(&self.bytes, at).unwrap_or(0).wrapping_add(1);
                self.bytes[at..at + 4].copy_from_slice(&entries.to_le_bytes());
            }
            _ => self.begin(kind, 0, 1),
        }
    }

    pub(crate) fn put(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn put_u64(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    /// A record with one number.
    pub(crate) fn number(&mut self, kind: u8, number: u64) {
        self.begin(kind, 0, 1);
        self.put_u64(number);
    }

    /// Closes the open record: length, then checksum.
    fn seal(&mut self) {
        let Some(start) = self.open.take() else { return };
        let length = low32(self.bytes.len() - start - RECORD_HEADER);
        self.bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[start + 4..]).to_le_bytes();
        self.bytes[start..start + 4].copy_from_slice(&crc);
        self.check.update(&crc);
        self.count = self.count.wrapping_add(1);
    }

    /// The bytes with room for a frame header, the number of records, and the checksum of their
    /// checksums.
    pub(crate) fn finish(mut self) -> (Vec<u8>, u32, u32) {
        self.seal();
        (self.bytes, self.count, self.check.finalize())
    }
}

/// Sizes beyond 32 bits are refused by the append that gets them; until then, saturate.
fn low32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A record whose checksum is right.
#[derive(Copy, Clone, Debug)]
pub(crate) struct RecordView<'a> {
    pub(crate) kind: u8,
    pub(crate) crc: u32,
    count: usize,
    payload: &'a [u8],
}

/// Where a record that may be damaged claims to end.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Damaged {
    pub(crate) len: usize,
}

impl<'a> RecordView<'a> {
    /// The record at the beginning of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let record = Self::trust(bytes).ok_or(Damaged { len: bytes.len() })?;
        let len = record.len();
        if crc32fast::hash(&bytes[4..len]) == record.crc {
            Ok(record)
        } else {
            Err(Damaged { len })
        }
    }

    /// As [`RecordView::parse`] for bytes this process has just made: looks at no checksum.
    pub(crate) fn trust(bytes: &'a [u8]) -> Option<Self> {
        let whole = bytes.get(..u32_at(bytes, 4)? as usize + RECORD_HEADER)?;
        let (header, payload) = whole.split_first_chunk::<RECORD_HEADER>()?;
        let count = u32_at(header, 12)? as usize;
        Some(Self { kind: header[8], crc: u32_at(header, 0)?, count, payload })
    }

    /// Bytes it takes, header included.
    pub(crate) fn len(&self) -> usize {
        RECORD_HEADER + self.payload.len()
    }

    /// What it says; `None` if its payload is shorter than its own count claims, or its kind is
    /// not one of this format's.
    pub(crate) fn decode(&self) -> Option<Record<'a>> {
        Some(match self.kind {
            kind::ENQUEUE => {
                let (targets, body) = self.payload.split_at_checked(self.count.checked_mul(16)?)?;
                Record::Enqueue { targets: Entries(targets), body }
            }
            kind::SETTLE => Record::Settle(self.entries()?),
            kind::DELIVERED => Record::Delivered(self.entries()?),
            kind::FORGET => Record::Forget(self.entries()?),
            kind::EPOCH => Record::Epoch(u64_at(self.payload, 0)?),
            kind::CLEAN => Record::Clean,
            kind::PUT | kind::REMOVE => self.definition()?,
            kind::REVISION => Record::Revision(u64_at(self.payload, 0)?),
            _ => return None,
        })
    }

    fn entries<const N: usize>(&self) -> Option<Entries<'a, N>> {
        Some(Entries(self.payload.get(..self.count.checked_mul(N)?)?))
    }

    fn definition(&self) -> Option<Record<'a>> {
        let revision = u64_at(self.payload, 0)?;
        let (key, value) = self.payload.get(8..)?.split_at_checked(self.count)?;
        let key = std::str::from_utf8(key).ok()?;
        Some(Record::Define { key, revision, value: (self.kind == kind::PUT).then_some(value) })
    }
}

/// What a record says.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Record<'a> {
    Enqueue { targets: Entries<'a, 16>, body: &'a [u8] },
    Settle(Entries<'a, 24>),
    Delivered(Entries<'a, 20>),
    Forget(Entries<'a, 8>),
    Epoch(u64),
    Clean,
    Define { key: &'a str, revision: u64, value: Option<&'a [u8]> },
    Revision(u64),
}

/// Fixed-size entries of `N` bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entries<'a, const N: usize>(&'a [u8]);

impl<'a, const N: usize> Entries<'a, N> {
    pub(crate) fn len(&self) -> usize {
        self.0.len() / N
    }

    fn chunks(self) -> impl Iterator<Item = &'a [u8; N]> {
        self.0.as_chunks::<N>().0.iter()
    }
}

impl<'a> Entries<'a, 16> {
    /// Targets: queue and position.
    pub(crate) fn targets(self) -> impl Iterator<Item = (QueueId, Seq)> + use<'a> {
        self.chunks().map(|entry| (queue_at(entry, 0), number_at(entry, 8)))
    }
}

impl<'a> Entries<'a, 24> {
    /// Ranges: queue, first and last position, both included.
    pub(crate) fn ranges(self) -> impl Iterator<Item = (QueueId, Seq, Seq)> + use<'a> {
        self.chunks().map(|entry| (queue_at(entry, 0), number_at(entry, 8), number_at(entry, 16)))
    }
}

impl<'a> Entries<'a, 20> {
    /// Delivery counts: queue, position, count.
    pub(crate) fn counts(self) -> impl Iterator<Item = (QueueId, Seq, u32)> + use<'a> {
        self.chunks().map(|entry| {
            (queue_at(entry, 0), number_at(entry, 8), u32_at(entry, 16).unwrap_or_default())
        })
    }
}

impl<'a> Entries<'a, 8> {
    /// Queues.
    pub(crate) fn queues(self) -> impl Iterator<Item = QueueId> + use<'a> {
        self.chunks().map(|entry| queue_at(entry, 0))
    }
}

fn queue_at(entry: &[u8], at: usize) -> QueueId {
    QueueId(number_at(entry, at))
}

/// A number in an entry whose size is known to hold it.
fn number_at(entry: &[u8], at: usize) -> u64 {
    u64_at(entry, at).unwrap_or_default()
}

/// The little-endian number at `at`, if there are four bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The little-endian number at `at`, if there are eight bytes.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}
