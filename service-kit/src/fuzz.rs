//! What reads bytes and texts from outside or from the disk, for the fuzz targets of
//! `almanac-tests`. Only with the feature `fuzz`, which no service turns on.

pub use crate::{
    import::again as again_import,
    page::{again as again_page_token, with_place},
    store::fuzz::{Again, FORMATS, Format, again_token, key, pair, revision_token, samples, value},
    write::again as again_request,
};
