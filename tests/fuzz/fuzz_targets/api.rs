//! See `harness::fuzz::api`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::fuzz::api(bytes));
