//! The forecast service: markets with their history, forecasts that add up over the whole tree,
//! and what published figures imply.
//!
//! Who uses whom: `main` → this file → [`grpc`] → {[`convert`], [`store`], [`error`]} →
//! [`domain`], which is plain computation.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "tests compare bits and make small numbers up"
    )
)]

use std::{future::Future, sync::Arc};

use almanac_proto::forecast::DESCRIPTORS;
pub use almanac_service_kit::run::Config;
use almanac_service_kit::{
    import::Imports,
    run::Program,
    server::{self, ServeError, Settings},
    slot::StoreSlot,
};
use tokio::net::TcpListener;

use grpc::Desk;

pub mod convert;
pub mod domain;
pub mod error;
pub mod grpc;
pub mod store;

/// What the service is called and how it listens unless told otherwise: reachable from its own
/// machine only.
pub const PROGRAM: Program = Program {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    service: "almanac.forecast.v1.ForecastService",
    listen: "127.0.0.1:50052",
    data_dir: "almanac-forecast-data",
    keep: store::keep,
};

/// The methods that answer little without computing: only that what they are asked about is wrong, or
/// not there.
pub const COMPUTING: &[&str] = &[
    "ForecastSeries",
    "ListForecastValues",
    "ListPointVersions",
    "ListPoints",
    "SolvePublishedFigures",
    "SummarizeGrowth",
    "VerifyForecast",
];

/// Serves on `listener` until `shutdown` ends, then drains and closes the store.
///
/// # Errors
/// [`ServeError`] if the store cannot be opened or closed, or the transport fails.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let slot = Arc::new(StoreSlot::default());
    let desk = Desk::new(config.snapshot_bytes);
    let imports = Imports::default();
    let message_bytes = config.limits.max_message_bytes;
    let routes = grpc::routes(
        Arc::clone(&slot),
        desk.clone(),
        imports.clone(),
        message_bytes,
    );
    let settings = Settings {
        service: PROGRAM.service,
        domain: error::DOMAIN,
        computing: COMPUTING,
        descriptors: DESCRIPTORS,
        store: config.store(PROGRAM.name),
        data_dir: config.data_dir,
        drain: config.drain,
        compute: config.compute,
        limits: config.limits,
    };
    let ending = desk.jobs.clone();
    let shutdown = async move {
        shutdown.await;
        ending.shut_down();
        imports.shut_down();
    };
    let start = async |store| grpc::jobs::resume(&store, &desk);
    server::serve(settings, listener, shutdown, slot, routes, start).await
}
