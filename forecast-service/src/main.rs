//! The process of the forecast service.

use std::process::ExitCode;

use almanac_service_kit::run::run;
use forecast_service::{PROGRAM, serve};

/// musl's own allocator is many times slower.
// glibc's allocator spends ten times the work of a load over a million records on searching its
// bins, once an import has left them in pieces; musl's is slow from the start.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&PROGRAM, serve)
}
