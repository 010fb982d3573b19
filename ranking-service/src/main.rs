//! The ranking service's process.

use std::process::ExitCode;

use almanac_service_kit::run::run;
use ranking_service::{PROGRAM, serve};

// glibc's allocator spends ten times the work of a load over a million records on searching its
// bins, once an import has left them in pieces; musl's is slow from the start.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&PROGRAM, serve)
}
