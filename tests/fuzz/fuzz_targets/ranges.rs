//! See `harness::fuzz::ranges`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::fuzz::ranges(bytes));
