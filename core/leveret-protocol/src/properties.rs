//! The properties of a message (AMQP 0-9-1, section 4.2.6.1), scanned without a copy.
//!
//! ```text
//! +-----------+---------------------------------------------------------------+
//! | flags u16 | the values whose flag is set, in the order of the flags        |
//! +-----------+---------------------------------------------------------------+
//!   bit 15 content_type s    11 priority u8        7 message_id s    3 app_id s
//!       14 content_encoding s 10 correlation_id s  6 timestamp u64   2 cluster_id s
//!       13 headers table       9 reply_to s        5 type s          1 unused
//!       12 delivery_mode u8    8 expiration s      4 user_id s       0 continuation: refused
//! ```

use crate::cursor::{Cursor, ReadError};
use crate::table::{self, TableError};

const CONTINUATION: u16 = 1;

/// What is wrong with a property list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// A value is cut off.
    #[error("property list ends too early")]
    UnexpectedEnd,
    /// Bytes are left behind the last value.
    #[error("{0} bytes follow the property list")]
    TrailingBytes(usize),
    /// A second word of flags is announced, but there are no such properties.
    #[error("property flags continue into a second word")]
    Continued,
    /// The headers are no table.
    #[error("headers: {0}")]
    Headers(#[from] TableError),
}

impl From<ReadError> for PropertiesError {
    fn from(_: ReadError) -> Self {
        Self::UnexpectedEnd
    }
}

/// Every property of a message, borrowed. Strings are bytes: nobody promised that they are UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    /// MIME type of the body.
    pub content_type: Option<&'a [u8]>,
    /// MIME encoding of the body.
    pub content_encoding: Option<&'a [u8]>,
    /// Pairs of the headers table, without the length in front.
    pub headers: Option<&'a [u8]>,
    /// 2 = persistent.
    pub delivery_mode: Option<u8>,
    /// 0 to 255.
    pub priority: Option<u8>,
    /// The application's own.
    pub correlation_id: Option<&'a [u8]>,
    /// Where answers go.
    pub reply_to: Option<&'a [u8]>,
    /// Time to live: milliseconds in decimal digits.
    pub expiration: Option<&'a [u8]>,
    /// The application's own.
    pub message_id: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// The application's own.
    pub kind: Option<&'a [u8]>,
    /// The publishing user.
    pub user_id: Option<&'a [u8]>,
    /// The application's own.
    pub app_id: Option<&'a [u8]>,
    /// Reserved by AMQP, passed on.
    pub cluster_id: Option<&'a [u8]>,
}

/// Checks flags and list, headers table included.
#[inline]
pub fn check(properties: &[u8]) -> Result<(), PropertiesError> {
    // The two lists that most messages have.
    match properties {
        [0, 0] | [0x10, 0, _] => return Ok(()),
        _ => {}
    }
    let parsed = Properties::parse(properties)?;
    Ok(table::check(parsed.headers.unwrap_or_default())?)
}

/// The delivery mode alone, or `None` if it is not set or the list is malformed.
#[must_use]
#[inline]
pub fn delivery_mode(properties: &[u8]) -> Option<u8> {
    match properties {
        [0x10, 0, mode] => Some(*mode),
        [high, ..] if high & 0x10 == 0 => None,
        _ => Properties::parse(properties).ok()?.delivery_mode,
    }
}

impl<'a> Properties<'a> {
    /// Scans flags and list. The headers table is not looked into: see [`check`].
    pub fn parse(properties: &'a [u8]) -> Result<Self, PropertiesError> {
        let mut cursor = Cursor::new(properties);
        let flags = cursor.u16()?;
        if flags & CONTINUATION != 0 {
            return Err(PropertiesError::Continued);
        }
        let mut list = List { cursor, flags };
        let parsed = Self {
            content_type: list.text(15)?,
            content_encoding: list.text(14)?,
            headers: list.when(13, Cursor::long_bytes)?,
            delivery_mode: list.when(12, Cursor::u8)?,
            priority: list.when(11, Cursor::u8)?,
            correlation_id: list.text(10)?,
            reply_to: list.text(9)?,
            expiration: list.text(8)?,
            message_id: list.text(7)?,
            timestamp: list.when(6, Cursor::u64)?,
            kind: list.text(5)?,
            user_id: list.text(4)?,
            app_id: list.text(3)?,
            cluster_id: list.text(2)?,
        };
        match list.cursor.rest().len() {
            0 => Ok(parsed),
            rest => Err(PropertiesError::TrailingBytes(rest)),
        }
    }

    /// Appends flags and list. Strings longer than 255 bytes are cut.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut writer = Writer { out, flags: 0 };
        writer.out.extend_from_slice(&[0, 0]);
        writer.text(15, self.content_type);
        writer.text(14, self.content_encoding);
        writer.table(13, self.headers);
        writer.octets(12, self.delivery_mode.as_ref().map(std::slice::from_ref));
        writer.octets(11, self.priority.as_ref().map(std::slice::from_ref));
        writer.text(10, self.correlation_id);
        writer.text(9, self.reply_to);
        writer.text(8, self.expiration);
        writer.text(7, self.message_id);
        writer.octets(6, self.timestamp.map(u64::to_be_bytes).as_ref().map(|octets| &octets[..]));
        writer.text(5, self.kind);
        writer.text(4, self.user_id);
        writer.text(3, self.app_id);
        writer.text(2, self.cluster_id);
        let flags = writer.flags.to_be_bytes();
        out[start..start + 2].copy_from_slice(&flags);
    }

    /// Flags and list as bytes of their own.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }
}

/// The values that are still to be read, and the flags that say which are there.
struct List<'a> {
    cursor: Cursor<'a>,
    flags: u16,
}

impl<'a> List<'a> {
    #[inline]
    fn when<T>(
        &mut self,
        bit: u32,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        if self.flags >> bit & 1 == 0 { Ok(None) } else { read(&mut self.cursor).map(Some) }
    }

    #[inline]
    fn text(&mut self, bit: u32) -> Result<Option<&'a [u8]>, ReadError> {
        self.when(bit, Cursor::short_bytes)
    }
}

/// The list as it grows, and the flags of what is in it.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    flags: u16,
}

impl Writer<'_> {
    fn octets(&mut self, bit: u32, octets: Option<&[u8]>) {
        if let Some(octets) = octets {
            self.flags |= 1 << bit;
            self.out.extend_from_slice(octets);
        }
    }

    fn text(&mut self, bit: u32, text: Option<&[u8]>) {
        if let Some(text) = text {
            let text = text.get(..255).unwrap_or(text);
            self.out.push(text.len() as u8);
            self.octets(bit, Some(text));
        }
    }

    fn table(&mut self, bit: u32, pairs: Option<&[u8]>) {
        if let Some(pairs) = pairs {
            self.out.extend_from_slice(&(pairs.len() as u32).to_be_bytes());
            self.octets(bit, Some(pairs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_headers_table_is_kept_apart_from_none() {
        let parsed = Properties::parse(&[0x20, 0, 0, 0, 0, 0]).expect("a list");
        assert_eq!(parsed.headers, Some(&[][..]));
        assert_eq!(parsed.to_bytes(), [0x20, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn malformed_lists_say_what_is_wrong() {
        assert_eq!(check(&[]), Err(PropertiesError::UnexpectedEnd));
        assert_eq!(check(&[0x80, 0, 5, b'a']), Err(PropertiesError::UnexpectedEnd));
        assert_eq!(check(&[0, 0, 1, 2]), Err(PropertiesError::TrailingBytes(2)));
        assert_eq!(check(&[0, 1, 0, 0]), Err(PropertiesError::Continued));
        let unknown = PropertiesError::Headers(TableError::UnknownType(b'Z'));
        assert_eq!(check(&[0x20, 0, 0, 0, 0, 3, 1, b'a', b'Z']), Err(unknown));
    }

    #[test]
    fn the_unused_flag_is_ignored() {
        assert_eq!(check(&[0, 2]), Ok(()));
    }

    #[test]
    fn delivery_mode_is_found_beside_other_properties() {
        let mut properties = Properties { content_type: Some(b"a"), ..Properties::default() };
        assert_eq!(delivery_mode(&properties.to_bytes()), None);
        properties.delivery_mode = Some(2);
        assert_eq!(delivery_mode(&properties.to_bytes()), Some(2));
        assert_eq!(delivery_mode(&[0x10, 0, 1]), Some(1));
    }

    prop_compose! {
        fn text()(text in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)))
            -> Option<Vec<u8>> { text }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            texts in prop::collection::vec(text(), 10),
            headers in prop::option::of(Just(&[1u8, b'k', b'V'][..])),
            delivery_mode in any::<Option<u8>>(), priority in any::<Option<u8>>(),
            timestamp in any::<Option<u64>>(),
        ) {
            let text = |index: usize| texts[index].as_deref();
            let properties = Properties {
                content_type: text(0), content_encoding: text(1), headers, delivery_mode, priority,
                correlation_id: text(2), reply_to: text(3), expiration: text(4),
                message_id: text(5), timestamp, kind: text(6), user_id: text(7), app_id: text(8),
                cluster_id: text(9),
            };
            let bytes = properties.to_bytes();
            prop_assert_eq!(check(&bytes), Ok(()));
            prop_assert_eq!(Properties::parse(&bytes), Ok(properties));
        }

        #[test]
        fn what_is_read_is_written_back(bytes in prop::collection::vec(any::<u8>(), 2..40)) {
            if let Ok(properties) = Properties::parse(&bytes) {
                let mut expected = bytes.clone();
                expected[1] &= !2;
                prop_assert_eq!(properties.to_bytes(), expected);
            }
        }
    }
}
