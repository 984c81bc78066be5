//! Hashes of passwords: argon2id in PHC strings.

use std::hint::black_box;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19_456;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// More memory than that is not spent on a login, whatever the record says: 256 MiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
/// More passes than that are not made.
const MAX_PASSES: u32 = 32;
/// Bytes of a hash.
const OUTPUT_LEN: usize = 32;

/// The hash of a password, for [`UserRecord`](leveret_plugin::host::UserRecord): argon2id, 19 MiB,
/// two passes, one lane, a random salt, as a PHC string.
///
/// # Panics
/// If the operating system has no random numbers, or the password has 4 GiB or more.
pub fn hash_password(password: &[u8]) -> String {
    let hashed = hasher(params()).hash_password_with_salt(password, &Salt::generate());
    let hash: PasswordHash = hashed.expect("the parameters are valid and the password is short");
    hash.to_string()
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_LEN)).expect("the parameters are valid")
}

fn hasher(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether `password` is the one behind the PHC string `hash`. `blocks` is memory to work in, which
/// grows as needed.
pub(crate) fn verify(password: &[u8], hash: &str, blocks: &mut Vec<Block>) -> Result<bool, String> {
    let hash = PasswordHash::new(hash).map_err(|e| format!("unreadable password hash: {e}"))?;
    let unusable = |e: argon2::Error| format!("unusable password hash: {e}");
    let params = Params::try_from(&hash).map_err(|e| format!("unusable password hash: {e}"))?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(format!("unusable password hash: {}, not argon2id", hash.algorithm));
    }
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
        return Err("unusable password hash: too expensive".to_owned());
    }
    let version = hash.version.map_or(Ok(Version::V0x13), |number| number.try_into());
    let version = version.map_err(unusable)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
        return Err("unusable password hash: no salt or no hash".to_owned());
    };
    blocks.resize(blocks.len().max(params.block_count()), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
    let mut found = vec![0; expected.len()];
    argon2
        .hash_password_into_with_memory(password, salt.as_ref(), &mut found, &mut blocks[..])
        .map_err(unusable)?;
    Ok(equal(expected.as_bytes(), &found))
}

/// As much work as [`verify`] of a wrong password.
pub(crate) fn pretend(password: &[u8], blocks: &mut Vec<Block>) {
    let params = params();
    blocks.resize(blocks.len().max(params.block_count()), Block::default());
    let mut out = [0; OUTPUT_LEN];
    let salt = [0; Salt::RECOMMENDED_LENGTH];
    let _ = hasher(params).hash_password_into_with_memory(password, &salt, &mut out, blocks);
    black_box(out);
}

/// Whether two passwords are equal, in a time that depends on the length of the second only.
pub(crate) fn equal(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index).copied().unwrap_or(0);
        difference |= black_box(byte ^ other);
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_its_password_only() {
        let hash = hash_password(b"secret");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let mut blocks = Vec::new();
        assert_eq!(verify(b"secret", &hash, &mut blocks), Ok(true));
        assert_eq!(verify(b"Secret", &hash, &mut blocks), Ok(false));
        assert_ne!(hash, hash_password(b"secret"));
    }

    #[test]
    fn a_hash_made_elsewhere_is_understood() {
        // From the reference implementation: m=256 KiB, t=2, p=1.
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ\
                    $nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(verify(b"password", hash, &mut Vec::new()), Ok(true));
        assert_eq!(verify(b"passwort", hash, &mut Vec::new()), Ok(false));
    }

    #[test]
    fn unusable_hashes_are_errors() {
        let tail = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for hash in [
            "".to_owned(),
            "secret".to_owned(),
            "$argon2id$v=19$m=256,t=2,p=1".to_owned(),
            format!("$argon2i$v=19$m=256,t=2,p=1{tail}"),
            format!("$argon2id$v=19$m=4000000,t=2,p=1{tail}"),
            format!("$argon2id$v=19$m=256,t=2000,p=1{tail}"),
        ] {
            assert!(verify(b"password", &hash, &mut Vec::new()).is_err(), "{hash}");
        }
    }

    #[test]
    fn equality_is_that_of_bytes() {
        assert!(equal(b"guest", b"guest"));
        assert!(equal(b"", b""));
        for other in [&b"guesT"[..], b"gues", b"guest\0", b""] {
            assert!(!equal(b"guest", other));
        }
        assert!(!equal(b"guest\0", b"guest"));
    }
}
