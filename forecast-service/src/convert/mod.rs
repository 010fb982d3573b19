//! Wire to domain and back. Generated types stop here.
//!
//! What a request says is checked as a whole: every violation has the exact path of its field.

pub mod figures;
pub mod filter;
pub mod forecast;
pub mod growth;
pub mod input;
pub mod market;
pub mod period;
pub mod point;
pub mod series;
pub mod solution;

/// Collections of a market's name.
pub const MARKET: [&str; 1] = ["markets"];
/// Collections of a forecast's name.
pub const FORECAST: [&str; 2] = ["markets", "forecasts"];
/// Most bytes of a note or a source.
pub const MAX_NOTE_BYTES: usize = 1024;
