//! The ranking service: composite indices of any depth, live and published.
//!
//! [`domain`] is the mathematics; [`grpc`] answers the methods; [`store`] says what is kept;
//! [`convert`] is where wire types end. [`serve`] runs all of it.

use std::{future::Future, sync::Arc};

use almanac_proto::ranking::{DESCRIPTORS, v1::ranking_service_server::RankingServiceServer};
use almanac_service_kit::{
    run::{Config, Program},
    server::{self, ServeError, Settings},
    slot::StoreSlot,
};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub mod compute;
pub mod convert;
pub mod domain;
pub mod error;
pub mod grpc;
pub mod store;

/// What the service is called and where it listens unless told otherwise.
pub const PROGRAM: Program = Program {
    name: "ranking-service",
    version: env!("CARGO_PKG_VERSION"),
    service: "almanac.ranking.v1.RankingService",
    listen: "127.0.0.1:50051",
    data_dir: "almanac-ranking-data",
    keep: store::keep,
};

/// The methods that answer little without computing: only that what they are asked about is wrong, or
/// not there.
pub const COMPUTING: &[&str] = &[
    "GetScorecard",
    "ListEditionObservations",
    "ListObservations",
    "ListRankingResults",
    "VerifyEdition",
];

/// Serves on a listener until `shutdown` ends.
///
/// # Errors
/// See [`server::serve`].
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let slot = Arc::new(StoreSlot::default());
    let app = grpc::App::new(Arc::clone(&slot), config.snapshot_bytes);
    let service = RankingServiceServer::new(app.clone())
        .max_decoding_message_size(config.limits.max_message_bytes);
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
    let (jobs, imports) = (app.jobs.clone(), app.imports.clone());
    let shutdown = async move {
        shutdown.await;
        // What is not finished is resumed by the next start.
        jobs.shut_down();
        imports.shut_down();
    };
    let resume = async |store| grpc::edition_jobs::resume(&app, &store);
    server::serve(
        settings,
        listener,
        shutdown,
        slot,
        Routes::new(service),
        resume,
    )
    .await
}
