//! How large what callers send may be: texts, lists, batches, rows, pages.
//!
//! What a service cannot answer for more of (a page, a text) can only be made smaller; what is
//! bounded by the message as well (batches, rows, values) can be made larger too. IDs have no
//! setting: their length is part of the grammar of names, which clients and stored keys rely on.

use crate::{
    config::{Setting, Values, within},
    import::MAX_ROWS,
    pool::Pool,
};

/// Sizes of what requests hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of a text, where its own limit is not smaller.
    pub text: usize,
    /// Items of a list or map, where its own limit is not smaller.
    pub list: usize,
    /// Resources of a batch.
    pub batch: usize,
    /// Rows of one write.
    pub rows: usize,
    /// Rows of a chunk of an import.
    pub chunk: usize,
    /// Items of a page.
    pub page: usize,
    /// Values of a series that a request brings.
    pub values: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            text: 16_384,
            list: 100_000,
            batch: 1000,
            rows: 10_000,
            chunk: MAX_ROWS,
            page: 1000,
            values: 10_000,
        }
    }
}

impl Sizes {
    /// What can be set.
    pub(crate) const SETTINGS: [Setting; 7] = [
        Setting::new(
            "max-text-bytes",
            "16384",
            "most bytes of any text that is kept, where its own limit is not smaller, 63 to 16384",
        ),
        Setting::new(
            "max-list-items",
            "100000",
            "most items of any list of a request, where its own limit is not smaller, 1 to 100000",
        ),
        Setting::new(
            "max-batch-items",
            "1000",
            "most resources of a batch, 1 to 10000",
        ),
        Setting::new(
            "max-rows",
            "10000",
            "most rows of WriteObservations and WritePoints, 1 to 100000",
        ),
        Setting::new(
            "max-chunk-rows",
            "5000",
            "most rows of a chunk of an import, 1 to 50000",
        ),
        Setting::new(
            "max-page-items",
            "1000",
            "most items of a page, 1 to 1000; a request for more gets as many",
        ),
        Setting::new(
            "max-values",
            "10000",
            "most values of a series that a request brings, 1 to 100000",
        ),
    ];

    /// What is set; none where a value is absent or wrong, which `values` then knows.
    pub(crate) fn take(values: &mut Values) -> Option<Self> {
        let text = values.take_if("max-text-bytes", within(63, 16_384));
        let list = values.take_if("max-list-items", within(1, 100_000));
        let batch = values.take_if("max-batch-items", within(1, 10_000));
        let rows = values.take_if("max-rows", within(1, 100_000));
        let chunk = values.take_if("max-chunk-rows", within(1, 50_000));
        let page = values.take_if("max-page-items", within(1, 1000));
        let most = values.take_if("max-values", within(1, 100_000));
        Some(Self {
            text: text?,
            list: list?,
            batch: batch?,
            rows: rows?,
            chunk: chunk?,
            page: page?,
            values: most?,
        })
    }

    /// Those of the server whose call or job this is; outside of one, the defaults.
    #[must_use]
    pub fn current() -> Self {
        Pool::current_sizes()
    }
}
