//! See `harness::fuzz::shelf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::fuzz::shelf(bytes));
