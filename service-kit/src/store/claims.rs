//! Names that one caller holds at a time. In memory only: a store has one process.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is claimed of one store.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<String>>>);

impl Claims {
    /// Claims a name; `None` while another holds it.
    pub(super) fn claim(&self, name: String) -> Option<Claim> {
        if !self.lock().insert(name.clone()) {
            return None;
        }
        let claims = self.clone();
        Some(Claim { claims, name })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // The set is whole between any two statements, also after a panic elsewhere.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name held until this is dropped; from [`super::Store::claim`].
#[must_use = "the name is free again once this is dropped"]
pub struct Claim {
    claims: Claims,
    name: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.name);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_until_dropped() {
        let claims = Claims::default();
        let held = claims.claim("a".to_owned());
        assert!(held.is_some());
        assert!(claims.claim("a".to_owned()).is_none());
        assert!(claims.claim("b".to_owned()).is_some());
        drop(held);
        assert!(claims.claim("a".to_owned()).is_some());
    }
}
