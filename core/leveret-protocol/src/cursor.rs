//! A bounded reader over bytes: every read says whether it was there.

/// The bytes ended too early, or a short string was not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// A length points past the end, or a fixed-size field does not fit.
    #[error("ends too early")]
    UnexpectedEnd,
    /// A short string that must be text is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    NotUtf8,
}

/// The bytes that are still to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'b> {
    bytes: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn rest(&self) -> &'b [u8] {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'b [u8], ReadError> {
        let (head, tail) = self.bytes.split_at_checked(length).ok_or(ReadError::UnexpectedEnd)?;
        self.bytes = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(ReadError::UnexpectedEnd)?;
        self.bytes = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, ReadError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, ReadError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, ReadError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A short string's bytes, of which nobody asks that they be text.
    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'b [u8], ReadError> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// A short string that must be UTF-8.
    #[inline]
    pub(crate) fn short_str(&mut self) -> Result<&'b str, ReadError> {
        std::str::from_utf8(self.short_bytes()?).map_err(|_| ReadError::NotUtf8)
    }

    /// The bytes after a four-byte length: a long string, a table or an array.
    #[inline]
    pub(crate) fn long_bytes(&mut self) -> Result<&'b [u8], ReadError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| ReadError::UnexpectedEnd)?)
    }
}
