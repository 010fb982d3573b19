//! What the store's engine replaces as it is written to is let go of: however much is written, it
//! takes no more memory than its cache may and a batch needs.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use almanac_service_kit::store::{Store, StoreError, StoreOptions, Table};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

/// Counts what this process allocates, which has one test, so that nothing else does.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
const NUMBERS: Table<(u64, u64), u64> = Table::new(3, "numbers");
const COMMITS: u64 = 20;
const ROWS: u64 = 3000;
/// 60,000 rows in commits of this size left 150 MiB behind before they were let go of.
const MOST: usize = 64 * MIB;

#[tokio::test]
async fn memory_does_not_grow_with_what_is_written() {
    let dir = TempDir::new().unwrap();
    let options = StoreOptions {
        cache_bytes: 16 << 20,
        ..StoreOptions::default()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    for commit in 0..COMMITS {
        let written = store.transact(move |tx| {
            // Over the whole range each time, as the rows of an import are.
            for row in 0..ROWS {
                tx.put(&NUMBERS, &(row, commit), &row)?;
            }
            Ok::<_, StoreError>(())
        });
        written.await.unwrap();
    }
    let peak = PeakAlloc.peak_usage().saturating_sub(before);
    assert!(peak <= MOST, "{} MiB", peak / MIB);
    store.close().unwrap();
}
