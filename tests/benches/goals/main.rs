//! The numbers that Almanac is to reach, measured: a line per row with name, value, reference,
//! ratio, goal and `met`, `missed` or `skipped` with why. Exit code 1 if any is missed.
//!
//! `cargo bench -p almanac-tests --bench goals -- [serve|store|ranking|forecast]`

mod import;
mod row;
mod serve;
mod store;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use almanac_tests::Outcome;
use row::Row;

// As in the services, which run inside the bench.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: [&str; 4] = ["serve", "store", "ranking", "forecast"];

fn main() -> Outcome<ExitCode> {
    // cargo itself adds `--bench`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|of| of != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let [first, dir] = &named[..]
        && first == store::START
    {
        let [serving, ranked] = runtime.block_on(store::start_here(dir.as_ref()))?;
        writeln!(io::stdout(), "{serving} {ranked}")?;
        return Ok(ExitCode::SUCCESS);
    }
    if let [first, dir] = &named[..]
        && first == import::SERVE
    {
        let tell = |address| writeln!(io::stdout(), "{address}");
        runtime.block_on(import::serve_here(dir.as_ref(), tell))?;
    }
    if let Some(unknown) = named.iter().find(|of| !GROUPS.contains(&of.as_str())) {
        return Err(format!("no group {unknown:?}; there are {}", GROUPS.join(", ")).into());
    }
    let mut missed = false;
    for group in GROUPS {
        if !named.is_empty() && !named.iter().any(|of| of == group) {
            continue;
        }
        let rows = match group {
            "serve" => runtime.block_on(serve::rows())?,
            "store" => runtime.block_on(store::rows())?,
            _ => vec![Row::skipped(group, "comes with its issue")],
        };
        for row in rows {
            writeln!(io::stdout(), "{group:<9}{row}")?;
            missed |= row.missed();
        }
    }
    Ok(ExitCode::from(u8::from(missed)))
}
