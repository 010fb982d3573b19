//! The imports that run: how many, which one a newer stream takes over, and the end of all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use almanac_proto::common::v1::ErrorReason;
use tokio::sync::watch;
use tonic::Code;

use crate::fault::Fault;

/// Most imports at a time: each may hold eight messages in memory.
pub const MAX_RUNNING: usize = 16;
/// When to try again where too many imports run, or the service ends.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Import ID, and whether it only checks: a trial does not disturb the import itself.
pub(super) type Name = (String, bool);

/// The imports that run in a service. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Imports {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: Mutex<Running>,
    draining: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Running {
    entered: u64,
    places: BTreeMap<Name, (u64, watch::Sender<bool>)>,
}

/// The place of one stream among those that run; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    imports: Imports,
    name: Name,
    number: u64,
    taken: watch::Receiver<bool>,
    draining: watch::Receiver<bool>,
}

impl Imports {
    /// Ends every stream after the chunks it has read, and refuses new ones: the service stops.
    pub fn shut_down(&self) {
        self.shared.draining.send_replace(true);
    }

    /// Takes a place, if need be from an older stream of the same name.
    pub(super) fn enter(&self, name: Name) -> Result<Place, Fault> {
        let draining = self.shared.draining.subscribe();
        if *draining.borrow() {
            return Err(draining_fault());
        }
        let mut running = self.lock();
        if running.places.len() >= MAX_RUNNING && !running.places.contains_key(&name) {
            let text = format!("{MAX_RUNNING} imports run already; retry when one has ended");
            let fault = Fault::new(Code::ResourceExhausted, ErrorReason::ImportsTooMany, text);
            return Err(fault.retry_after(RETRY_AFTER));
        }
        running.entered += 1;
        let number = running.entered;
        let (take, taken) = watch::channel(false);
        if let Some((_, older)) = running.places.insert(name.clone(), (number, take)) {
            older.send_replace(true);
        }
        drop(running);
        let imports = self.clone();
        Ok(Place {
            imports,
            name,
            number,
            taken,
            draining,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // The map is whole between any two statements, also after a panic elsewhere.
        self.shared
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the stream has to end although its caller goes on, and says why.
    pub(super) async fn interrupted(&mut self) -> Fault {
        // A sender goes away only with the service or with the place itself.
        tokio::select! {
            _ = self.draining.wait_for(|draining| *draining) => draining_fault(),
            _ = self.taken.wait_for(|taken| *taken) => {
                let text = "a newer stream of the same import_id goes on with the import";
                Fault::new(Code::Aborted, ErrorReason::ImportTakenOver, text)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.imports.lock();
        let places = &mut running.places;
        if places
            .get(&self.name)
            .is_some_and(|(number, _)| *number == self.number)
        {
            places.remove(&self.name);
        }
    }
}

fn draining_fault() -> Fault {
    let text = "the service is shutting down; go on with the import on another replica or later";
    Fault::new(Code::Unavailable, ErrorReason::ServerDraining, text).retry_after(RETRY_AFTER)
}
