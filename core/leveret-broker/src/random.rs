//! Names that nobody can guess.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `prefix` and 16 random bytes in base64url without padding, 22 characters.
pub(crate) fn name(prefix: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + 22);
    out.push_str(prefix);
    encode(&bytes(), &mut out);
    out
}

/// 16 bytes from the system's generator.
fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

fn encode(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let index = word >> (18 - 6 * digit) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_22_url_safe_characters_behind_its_prefix() {
        let name = name("amq.gen-");
        assert_eq!(name.len(), 8 + 22);
        assert!(name[8..].bytes().all(|b| ALPHABET.contains(&b)));
        let mut out = String::new();
        encode(b"\xff\xef\xbe\x01", &mut out);
        assert_eq!(out, "_---AQ");
    }
}
