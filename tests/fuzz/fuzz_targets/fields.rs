//! See `harness::fuzz::fields`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::fuzz::fields(bytes));
