//! The fuzz targets on the stable toolchain: the committed corpus, mutations of it, and noise, for
//! a fixed number of executions from a seed that is printed when something breaks.
//!
//! `LEVERET_FUZZ_SEED` and `LEVERET_FUZZ_RUNS` choose others.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[allow(unreachable_pub)]
#[path = "../../../../tests/fuzz/src/lib.rs"]
mod targets;

/// xorshift64*: the same numbers everywhere.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// One to four small changes.
fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    for _ in 0..=noise.below(4) {
        let at = noise.below(bytes.len() + 1);
        match noise.below(6) {
            0 if at < bytes.len() => bytes[at] = noise.next() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << noise.below(8),
            2 => bytes.insert(at, noise.next() as u8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            _ => {
                let (from, length) = (noise.below(bytes.len() + 1), noise.below(40));
                let copied: Vec<u8> = bytes.iter().skip(from).take(length).copied().collect();
                bytes.splice(at..at, copied);
            }
        }
    }
}

fn run(name: &str, target: fn(&[u8]), runs: u64) {
    let seed = setting("LEVERET_FUZZ_SEED", 0x1E_7E_12_E7);
    let corpus = corpus(name);
    corpus.iter().for_each(|input| execute(name, target, input, seed));
    let mut noise = Noise(seed | 1);
    // Without optimisation a few seconds are worth fewer executions.
    let runs = if cfg!(debug_assertions) { runs / 8 } else { runs };
    for _ in 0..setting("LEVERET_FUZZ_RUNS", runs) {
        let mut input = match noise.below(8) {
            0 => (0..noise.below(300)).map(|_| noise.next() as u8).collect(),
            _ => corpus[noise.below(corpus.len())].clone(),
        };
        mutate(&mut input, &mut noise);
        execute(name, target, &input, seed);
    }
}

fn execute(name: &str, target: fn(&[u8]), input: &[u8], seed: u64) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("target {name}, LEVERET_FUZZ_SEED={seed}, input {input:?}");
    }
}

#[test]
fn arbitrary_bytes_break_no_promise() {
    run("frames", targets::frames, 300_000);
}

#[test]
fn arbitrary_sequences_of_frames_break_no_promise() {
    run("sequences", targets::sequences, 150_000);
}
