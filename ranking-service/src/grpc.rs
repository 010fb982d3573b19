//! The methods of the service: convert, load, compute, save, convert.
//!
//! One file a resource family; this one only says which function answers which method.

use std::{future::Future, pin::Pin, sync::Arc};

use almanac_proto::ranking::v1::{self as pb, ranking_service_server::RankingService};
use almanac_service_kit::{
    fault::Fault,
    import::{self, Answers, Imports},
    jobs::Jobs,
    slot::StoreSlot,
    store::Store,
};
use tonic::{Request, Response, Status, Streaming};

use crate::{error::DOMAIN, store::load::Decoded};
use observations::Observations;

pub mod datasets;
pub mod edition_cells;
pub mod edition_jobs;
pub mod editions;
pub mod entities;
pub mod indicators;
pub mod indices;
pub mod observations;
mod overrides;
pub mod rankings;
pub mod scorecards;
mod standard;
mod table;

/// What every method needs.
#[derive(Debug, Clone)]
pub struct App {
    slot: Arc<StoreSlot>,
    /// Editions that are being created.
    pub jobs: Jobs,
    /// Imports that run.
    pub imports: Imports,
    /// Datasets as computations read them.
    pub decoded: Arc<Decoded>,
}

impl App {
    /// A service whose store will be in `slot`, and that keeps at most `snapshot_bytes` decoded.
    #[must_use]
    pub fn new(slot: Arc<StoreSlot>, snapshot_bytes: usize) -> Self {
        Self {
            slot,
            jobs: Jobs::default(),
            imports: Imports::default(),
            decoded: Arc::new(Decoded::new(snapshot_bytes)),
        }
    }

    /// The store.
    ///
    /// # Errors
    /// UNAVAILABLE while it is being opened.
    pub fn store(&self) -> Result<&Store, Fault> {
        self.slot.get()
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// Writes the methods of the generated trait: each hands its request to a function and turns the
/// fault, if any, into a status. (The trait's methods are those of async-trait, written out.)
macro_rules! methods {
    ($($method:ident($request:ident) -> $response:ty = $function:path;)+) => {$(
        fn $method<'life0, 'async_trait>(
            &'life0 self,
            request: Request<pb::$request>,
        ) -> Answer<'async_trait, $response>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            let app = self.clone();
            Box::pin(async move {
                let answer = $function(&app, request.into_inner()).await;
                answer.map(Response::new).map_err(|fault| fault.into_status(DOMAIN))
            })
        }
    )+};
}

impl RankingService for App {
    type ImportObservationsStream = Answers<pb::ImportObservationsResponse>;

    fn import_observations<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Streaming<pb::ImportObservationsRequest>>,
    ) -> Answer<'async_trait, Self::ImportObservationsStream>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let app = self.clone();
        Box::pin(async move {
            let store = app.store().map_err(|fault| fault.into_status(DOMAIN))?;
            let answers = import::serve::<Observations, _>(
                app.imports.clone(),
                store.clone(),
                request.into_inner(),
            );
            Ok(Response::new(answers))
        })
    }

    methods! {
        create_dataset(CreateDatasetRequest) -> pb::Dataset = datasets::create;
        get_dataset(GetDatasetRequest) -> pb::Dataset = datasets::get;
        list_datasets(ListDatasetsRequest) -> pb::ListDatasetsResponse = datasets::list;
        update_dataset(UpdateDatasetRequest) -> pb::Dataset = datasets::update;
        delete_dataset(DeleteDatasetRequest) -> () = datasets::delete;

        create_source(CreateSourceRequest) -> pb::Source = datasets::sources::create;
        get_source(GetSourceRequest) -> pb::Source = datasets::sources::get;
        list_sources(ListSourcesRequest) -> pb::ListSourcesResponse = datasets::sources::list;
        update_source(UpdateSourceRequest) -> pb::Source = datasets::sources::update;
        delete_source(DeleteSourceRequest) -> () = datasets::sources::delete;

        create_indicator(CreateIndicatorRequest) -> pb::Indicator = indicators::create;
        get_indicator(GetIndicatorRequest) -> pb::Indicator = indicators::get;
        list_indicators(ListIndicatorsRequest) -> pb::ListIndicatorsResponse = indicators::list;
        update_indicator(UpdateIndicatorRequest) -> pb::Indicator = indicators::update;
        delete_indicator(DeleteIndicatorRequest) -> () = indicators::delete;
        batch_create_indicators(BatchCreateIndicatorsRequest)
            -> pb::BatchCreateIndicatorsResponse = indicators::batch_create;
        batch_get_indicators(BatchGetIndicatorsRequest)
            -> pb::BatchGetIndicatorsResponse = indicators::batch_get;

        create_entity(CreateEntityRequest) -> pb::Entity = entities::create;
        get_entity(GetEntityRequest) -> pb::Entity = entities::get;
        list_entities(ListEntitiesRequest) -> pb::ListEntitiesResponse = entities::list;
        update_entity(UpdateEntityRequest) -> pb::Entity = entities::update;
        delete_entity(DeleteEntityRequest) -> () = entities::delete;
        batch_create_entities(BatchCreateEntitiesRequest)
            -> pb::BatchCreateEntitiesResponse = entities::batch_create;
        batch_get_entities(BatchGetEntitiesRequest)
            -> pb::BatchGetEntitiesResponse = entities::batch_get;

        create_index(CreateIndexRequest) -> pb::Index = indices::create;
        get_index(GetIndexRequest) -> pb::Index = indices::get;
        list_indices(ListIndicesRequest) -> pb::ListIndicesResponse = indices::list;
        update_index(UpdateIndexRequest) -> pb::Index = indices::update;
        delete_index(DeleteIndexRequest) -> () = indices::delete;

        write_observations(WriteObservationsRequest)
            -> pb::WriteObservationsResponse = observations::write;
        list_observations(ListObservationsRequest)
            -> pb::ListObservationsResponse = observations::list;
        list_observation_versions(ListObservationVersionsRequest)
            -> pb::ListObservationVersionsResponse = observations::list_versions;

        list_ranking_results(ListRankingResultsRequest)
            -> pb::ListRankingResultsResponse = rankings::list;
        get_scorecard(GetScorecardRequest) -> pb::GetScorecardResponse = scorecards::get;

        create_edition(CreateEditionRequest) -> pb::Edition = editions::create;
        get_edition(GetEditionRequest) -> pb::Edition = editions::get;
        list_editions(ListEditionsRequest) -> pb::ListEditionsResponse = editions::list;
        cancel_edition(CancelEditionRequest) -> pb::Edition = editions::cancel;
        withdraw_edition(WithdrawEditionRequest) -> pb::Edition = editions::withdraw;
        verify_edition(VerifyEditionRequest) -> pb::VerifyEditionResponse = editions::verify;
        list_edition_observations(ListEditionObservationsRequest)
            -> pb::ListEditionObservationsResponse = edition_cells::list;
    }
}
