//! The ranking service's process.

use std::process::ExitCode;

use almanac_service_kit::run::run;
use ranking_service::{PROGRAM, serve};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&PROGRAM, serve)
}
