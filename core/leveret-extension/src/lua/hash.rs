//! `leveret.hash`: hashes that are the same on every machine and in every version.

use std::ffi::c_int;

use super::stack::Stack;

/// `leveret.hash.crc32(text)`: CRC-32 as in zlib.
pub(crate) fn crc32(stack: &Stack) -> Result<c_int, String> {
    stack.push_number(f64::from(crc32fast::hash(input(stack, "crc32")?)));
    Ok(1)
}

/// `leveret.hash.fnv1a(text)`: FNV-1a with 32 bits.
pub(crate) fn fnv1a(stack: &Stack) -> Result<c_int, String> {
    let hash = input(stack, "fnv1a")?
        .iter()
        .fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    stack.push_number(f64::from(hash));
    Ok(1)
}

/// `leveret.hash.xxh32(text, seed)`: xxHash with 32 bits.
pub(crate) fn xxh32(stack: &Stack) -> Result<c_int, String> {
    let seed = if stack.top() >= 2 { stack.number(2) } else { 0.0 };
    stack.push_number(f64::from(xxh32_of(input(stack, "xxh32")?, seed as u32)));
    Ok(1)
}

fn input<'s>(stack: &'s Stack, name: &str) -> Result<&'s [u8], String> {
    stack
        .bytes(1)
        .ok_or_else(|| format!("leveret.hash.{name} takes a string, not a {}", stack.type_name(1)))
}

const PRIMES: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];

fn xxh32_of(bytes: &[u8], seed: u32) -> u32 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let stripes = bytes.chunks_exact(16);
    let mut rest = stripes.remainder();
    let mut hash = if bytes.len() < 16 { seed.wrapping_add(p5) } else { lanes_of(stripes, seed) };
    hash = hash.wrapping_add(bytes.len() as u32);
    while let Some((word, after)) = rest.split_first_chunk() {
        let mixed = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(p3));
        hash = mixed.rotate_left(17).wrapping_mul(p4);
        rest = after;
    }
    for byte in rest {
        let mixed = hash.wrapping_add(u32::from(*byte).wrapping_mul(p5));
        hash = mixed.rotate_left(11).wrapping_mul(p1);
    }
    hash = (hash ^ hash >> 15).wrapping_mul(p2);
    hash = (hash ^ hash >> 13).wrapping_mul(p3);
    hash ^ hash >> 16
}

fn lanes_of(stripes: std::slice::ChunksExact<'_, u8>, seed: u32) -> u32 {
    let [p1, p2, ..] = PRIMES;
    let start = seed.wrapping_add(p1).wrapping_add(p2);
    let mut lanes = [start, seed.wrapping_add(p2), seed, seed.wrapping_sub(p1)];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(4)) {
            let word = word.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
            *lane = lane.wrapping_add(word.wrapping_mul(p2)).rotate_left(13).wrapping_mul(p1);
        }
    }
    let [a, b, c, d] = lanes;
    let (a, b) = (a.rotate_left(1), b.rotate_left(7));
    a.wrapping_add(b).wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18))
}

#[cfg(test)]
mod tests {
    use super::xxh32_of;

    #[test]
    fn xxh32_gives_the_published_values() {
        assert_eq!(xxh32_of(b"", 0), 0x02CC_5D05);
        assert_eq!(xxh32_of(b"a", 0), 0x550D_7456);
        assert_eq!(xxh32_of(b"abc", 0), 0x32D1_53FF);
        assert_eq!(xxh32_of(b"Nobody inspects the spammish repetition", 0), 0xE229_3B2F);
    }
}
