//! The target `filter` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| almanac_tests::fuzz::run("filter", input));
