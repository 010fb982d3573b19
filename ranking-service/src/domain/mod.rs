//! What a ranking is: plain Rust, values in, values out.
//!
//! Nothing here knows a transport, a store, a clock, an environment or a global. The same inputs
//! give the same bits on any machine and with any number of threads: sums run in a fixed order
//! (entities and sibling nodes by the bytes of their ids), powers and transcendental functions come
//! from `libm`, and no result depends on the iteration order of a hash map.
//!
//! The steps, in the order in which the OECD/JRC handbook (*Handbook on Constructing Composite
//! Indicators*, 2008) and COINr (Becker et al., JOSS 7(78), 2022) take them:
//!
//! 1. [`selection`] takes one cell for each indicator and entity: the latest value in reach.
//! 2. [`direction`] turns every indicator so that more is better.
//! 3. [`normalize`] brings indicators to one scale.
//! 4. [`aggregate`] goes up the tree of the [`framework`].
//! 5. [`rank`] orders the entities at each node.
//!
//! [`pipeline`] runs 2 to 5 as the [`methodology`] says; [`scorecard`] explains one entity;
//! [`digest`] names inputs and results so that an edition can be replayed and compared;
//! [`bit_hash`] is the probe that shows two machines agreeing.

pub mod aggregate;
pub mod bit_hash;
pub mod column;
pub mod digest;
pub mod direction;
pub mod entities;
pub mod framework;
pub mod methodology;
pub mod normalize;
pub mod pipeline;
pub mod printed;
pub mod rank;
pub mod scorecard;
pub mod selection;
