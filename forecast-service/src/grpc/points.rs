//! Points: written in batches and imports, and the versions of one.

mod batch;
mod import;
mod versions;
mod write;

pub use import::Points;
pub use versions::{render, versions};
pub use write::write_points;
