//! Arbitrary bytes, before and after the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| leveret_fuzz::frames(data));
