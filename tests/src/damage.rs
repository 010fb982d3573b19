//! Files of a store at rest damaged at random, one place at a time: what the store then says.
//!
//! A [`Specimen`] is a store whose content is known, closed or as a kill leaves it, or a backup of
//! one. A [`Trial`] damages a copy of it, opens that, verifies it and reads everything at two
//! revisions. The only good ends: it is refused, by the open or by `verify`, with the damaged file
//! or key named, and a backup brings it back; or every answer is right. An answer that is wrong or
//! missing while `verify` is content, a panic that escapes, and an error that does not say where are
//! faults.
//!
//! One thing cannot be told apart, and is counted on its own: after a loss of power the last commits
//! are in the log and not yet under a synced high-water mark, and damage there looks like a write
//! that the loss tore. Only the specimen that is made so may end like that.

mod content;
mod harm;
mod specimen;
mod trial;

pub use content::Content;
pub use harm::{Harm, Part, Way};
pub use specimen::{Size, Specimen, State};
pub use trial::{End, Trial};
