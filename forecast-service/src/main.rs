//! The process of the forecast service.

use std::process::ExitCode;

use almanac_service_kit::run::run;
use forecast_service::{PROGRAM, serve};

/// musl's own allocator is many times slower.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&PROGRAM, serve)
}
