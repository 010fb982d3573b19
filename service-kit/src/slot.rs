//! Where a service finds its store: empty until the store is open.

use std::sync::OnceLock;

use almanac_proto::common::v1::ErrorReason;
use tonic::Code;

use crate::{fault::Fault, store::Store};

/// Holds the store from the moment it is open.
#[derive(Default)]
pub struct StoreSlot {
    store: OnceLock<Store>,
}

impl std::fmt::Debug for StoreSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSlot")
            .field("open", &self.store.get().is_some())
            .finish()
    }
}

impl StoreSlot {
    /// The store.
    ///
    /// # Errors
    /// UNAVAILABLE (STORE_UNAVAILABLE) while it is being opened.
    pub fn get(&self) -> Result<&Store, Fault> {
        self.store.get().ok_or_else(|| {
            Fault::new(
                Code::Unavailable,
                ErrorReason::StoreUnavailable,
                "the store is being opened; retry once the health is SERVING",
            )
        })
    }

    /// Puts the store in.
    pub fn fill(&self, store: Store) {
        if self.store.set(store).is_err() {
            tracing::error!("the store was opened twice; the first stays");
        }
    }
}
