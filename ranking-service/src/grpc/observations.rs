//! Observations: written in batches and imports, listed, and with every earlier version.

mod batch;
mod import;
mod list;
mod versions;
mod write;

pub use import::Observations;
pub use list::list;
pub use versions::list_versions;
pub use write::write;
