//! Values as people write them: numbers of bytes (`4194304` or `"4 MiB"`), and paths relative to
//! the file that names them.

use std::fmt;
use std::path::PathBuf;

use figment::value::magic::RelativePathBuf;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Deserializes a path, relative to the directory of the configuration file that holds it.
pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    RelativePathBuf::deserialize(deserializer).map(|path| path.relative())
}

/// As [`path`], for a key without a default.
pub(super) fn optional_path<'de, D>(deserializer: D) -> Result<Option<PathBuf>, D::Error>
where
    D: Deserializer<'de>,
{
    path(deserializer).map(Some)
}

/// As [`path`], for a list.
pub(super) fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    let paths = Vec::<RelativePathBuf>::deserialize(deserializer)?;
    Ok(paths.iter().map(RelativePathBuf::relative).collect())
}

/// Deserializes a number of bytes from an integer or from text with a unit.
pub(super) fn byte_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(ByteCount)
}

/// As [`byte_count`], for a key without a default.
pub(super) fn optional_byte_count<'de, D>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    byte_count(deserializer).map(Some)
}

struct ByteCount;

impl Visitor<'_> for ByteCount {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes such as 4194304 or \"4 MiB\"")
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes)
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Signed(bytes), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse(text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(text), &self))
    }
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    let number: u64 = digits.parse().ok()?;
    let unit_bytes: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit_bytes)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_binary_with_an_i_and_decimal_without() {
        assert_eq!(parse("4194304"), Some(4_194_304));
        assert_eq!(parse("4 MiB"), Some(4_194_304));
        assert_eq!(parse("4mib"), Some(4_194_304));
        assert_eq!(parse("4 MB"), Some(4_000_000));
        assert_eq!(parse("1g"), Some(1 << 30));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in ["", "MiB", "4 parsecs", "-1", "1.5 GiB", "99999999999 GiB"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
