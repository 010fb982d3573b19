//! Skeleton.

pub mod domain;
