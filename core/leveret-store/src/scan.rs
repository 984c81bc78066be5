//! Reads a file of frames from one end to the other, a window at a time, past whatever is damaged.

use std::io;

use crate::{
    disk::{DiskFile, read_full},
    frame::{BadHeader, FILE_HEADER, FileHeader, FileKind, FrameHeader, MAX_POSITION},
    record::{FRAME_HEADER, u64_at},
};

/// Bytes read at a time, unless a frame is larger.
const WINDOW: usize = 1 << 20;

/// A part of a file.
pub(crate) enum Piece<'a> {
    /// A frame whose header is right and whose bytes are all there.
    Frame { offset: u64, header: FrameHeader, records: &'a [u8] },
    /// Bytes that are no frame.
    Gap { offset: u64, len: u64 },
}

/// A file being read.
pub(crate) struct FrameScan {
    file: Box<dyn DiskFile>,
    /// What the file says it is.
    header: Result<FileHeader, BadHeader>,
    base: u64,
    salt: Option<u64>,
    at: u64,
    size: u64,
    window: Window,
}

/// Bytes of the file in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    at: u64,
}

impl FrameScan {
    /// Begins at the first frame. `base` is the position of the file's first byte where its own
    /// header does not say so.
    pub(crate) fn new(file: Box<dyn DiskFile>, kind: FileKind, base: u64) -> io::Result<Self> {
        let size = file.size()?;
        let mut bytes = [0; FILE_HEADER + FRAME_HEADER];
        let read = read_full(&*file, &mut bytes, 0)?;
        let header = FileHeader::decode(&bytes[..read], kind);
        let (base, salt) = match &header {
            Ok(header) => (header.base, Some(header.salt)),
            Err(_) => (first_frame(&bytes).unwrap_or(base), None),
        };
        let window = Window::default();
        Ok(Self { file, header, base, salt, at: FILE_HEADER as u64, size, window })
    }

    pub(crate) fn header(&self) -> Result<FileHeader, BadHeader> {
        self.header
    }

    /// Position of the file's first byte.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Goes back to the first frame and takes the file to end at `size`.
    pub(crate) fn restart(&mut self, size: u64) {
        self.at = FILE_HEADER as u64;
        self.size = size;
    }

    pub(crate) fn file(&self) -> &dyn DiskFile {
        &*self.file
    }

    pub(crate) fn into_file(self) -> Box<dyn DiskFile> {
        self.file
    }

    /// The next part; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        if self.at >= self.size {
            return Ok(None);
        }
        let offset = self.at;
        let Some(header) = self.frame_at(offset)? else {
            self.at = self.find_frame(offset + 1)?;
            return Ok(Some(Piece::Gap { offset, len: self.at - offset }));
        };
        self.salt = Some(header.salt);
        self.at += header.len();
        let len = usize::try_from(header.len()).unwrap_or(usize::MAX);
        let bytes = self.window.load(&*self.file, offset, len)?;
        let records = bytes.get(FRAME_HEADER..len).unwrap_or_default();
        Ok(Some(Piece::Frame { offset, header, records }))
    }

    /// The header of the frame that is whole at `offset`.
    fn frame_at(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        let bytes = self.window.load(&*self.file, offset, FRAME_HEADER)?;
        let header = FrameHeader::decode(bytes, self.base.wrapping_add(offset));
        Ok(header.filter(|header| {
            self.salt.is_none_or(|salt| salt == header.salt)
                && offset.saturating_add(header.len()) <= self.size
        }))
    }

    /// Where the next frame begins, or the end of the file.
    fn find_frame(&mut self, from: u64) -> io::Result<u64> {
        for offset in from..self.size {
            if self.frame_at(offset)?.is_some() {
                return Ok(offset);
            }
        }
        Ok(self.size)
    }
}

/// The base of a file whose header is lost, from what its first frame says of itself.
fn first_frame(bytes: &[u8]) -> Option<u64> {
    let frame = bytes.get(FILE_HEADER..)?;
    let position = u64_at(frame, 16)?;
    FrameHeader::decode(frame, position)?;
    position.checked_sub(FILE_HEADER as u64).filter(|base| *base < MAX_POSITION)
}

impl Window {
    /// The bytes at `at`: at least `len` of them, or as many as the file has.
    fn load(&mut self, file: &dyn DiskFile, at: u64, len: usize) -> io::Result<&[u8]> {
        let skip = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        let held = skip.and_then(|skip| self.bytes.get(skip..)).map_or(0, <[u8]>::len);
        if held < len {
            self.bytes.resize(len.max(WINDOW), 0);
            let read = read_full(file, &mut self.bytes, at)?;
            self.bytes.truncate(read);
            self.at = at;
        }
        let skip = usize::try_from(at - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }
}
