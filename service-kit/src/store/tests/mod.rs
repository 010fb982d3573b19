//! Tests of the store.

mod backup;
mod basics;
mod bytes;
mod compact;
mod concurrency;
mod damage;
mod faults;
mod feed;
mod keys;
mod model;
mod support;
