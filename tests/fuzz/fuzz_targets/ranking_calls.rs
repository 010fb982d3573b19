//! The target `ranking-calls` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| almanac_tests::fuzz::run("ranking-calls", input));
