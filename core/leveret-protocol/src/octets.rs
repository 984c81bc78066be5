//! Octets as RabbitMQ's reply texts show them, so that clients and people find the words they know.

use std::fmt::Write;

/// Octets of a frame that are shown.
const SNIPPET_BYTES: usize = 16;
/// Column at which a list of octets is broken into a new line.
const LINE_COLUMNS: usize = 80;

/// `type 1, all octets = <<0,60,0>>`, or the first 16 of more.
pub(crate) fn describe_frame(kind: u8, payload: &[u8]) -> String {
    let (which, shown) = match payload.get(..SNIPPET_BYTES) {
        Some(first) if payload.len() > SNIPPET_BYTES => ("first 16", first),
        _ => ("all", payload),
    };
    let mut text = format!("type {kind}, {which} octets = ");
    push_pretty(&mut text, shown);
    text
}

/// `<<0,60,0>>` without line breaks.
pub(crate) fn list(octets: &[u8]) -> String {
    // A reply text is cut at 255 bytes anyway.
    let shown = octets.get(..256).unwrap_or(octets);
    let numbers: Vec<String> = shown.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

/// Text in quotes where all octets are printable, else numbers, broken into lines.
fn push_pretty(text: &mut String, octets: &[u8]) {
    if !octets.is_empty() && octets.iter().all(|octet| is_printable(*octet)) {
        text.push_str("<<\"");
        octets.iter().for_each(|octet| push_escaped(text, *octet));
        text.push_str("\">>");
        return;
    }
    text.push_str("<<");
    let indent = text.len();
    let mut column = indent;
    for (index, octet) in octets.iter().enumerate() {
        let mut piece = octet.to_string();
        if index + 1 < octets.len() {
            piece.push(',');
        }
        if column + piece.len() >= LINE_COLUMNS {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        }
        column += piece.len();
        text.push_str(&piece);
    }
    text.push_str(">>");
}

fn is_printable(octet: u8) -> bool {
    matches!(octet, 8..=13 | 27 | 32..=126 | 160..=255)
}

fn push_escaped(text: &mut String, octet: u8) {
    match octet {
        8 => text.push_str("\\b"),
        9 => text.push_str("\\t"),
        10 => text.push_str("\\n"),
        11 => text.push_str("\\v"),
        12 => text.push_str("\\f"),
        13 => text.push_str("\\r"),
        27 => text.push_str("\\e"),
        b'"' => text.push_str("\\\""),
        b'\\' => text.push_str("\\\\"),
        other => text.push(char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_payloads_are_shown_whole() {
        assert_eq!(describe_frame(1, &[]), "type 1, all octets = <<>>");
        assert_eq!(describe_frame(1, &[0, 60, 0]), "type 1, all octets = <<0,60,0>>");
        assert_eq!(describe_frame(9, b"ab\ncd"), "type 9, all octets = <<\"ab\\ncd\">>");
    }

    #[test]
    fn long_payloads_are_cut_after_sixteen_octets_and_broken_into_lines() {
        let printable = describe_frame(9, b"abcdefghijklmnopqrst");
        assert_eq!(printable, "type 9, first 16 octets = <<\"abcdefghijklmnop\">>");
        let numbers = describe_frame(9, &[0x80; 20]);
        let expected = "type 9, first 16 octets = \
            <<128,128,128,128,128,128,128,128,128,128,128,128,\n                            \
            128,128,128,128>>";
        assert_eq!(numbers, expected);
    }

    #[test]
    fn arguments_are_listed_on_one_line() {
        assert_eq!(list(&[0, 0, 2, 112]), "<<0,0,2,112>>");
    }
}
