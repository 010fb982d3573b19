//! Tests of the store as a whole; the parts have theirs beside this file.

mod basics;
