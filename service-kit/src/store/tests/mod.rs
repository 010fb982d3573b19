//! Tests of the store.

mod backup;
mod basics;
mod bytes;
mod compact;
mod concurrency;
mod damage;
mod faults;
mod feed;
mod full;
mod keys;
mod model;
mod support;
