//! The methods of the service: each converts, loads, computes, saves and converts back.

use std::sync::Arc;

use almanac_proto::forecast::v1::{
    self as pb,
    forecast_service_server::{ForecastService, ForecastServiceServer},
};
use almanac_service_kit::{
    columns::Columns,
    fault::Fault,
    import::{self, Answers, Imports},
    jobs::Jobs,
    slot::StoreSlot,
    store::Store,
};
use tonic::{Request, Response, Status, Streaming, service::Routes};

use crate::{domain::hierarchy::Hierarchy, error::DOMAIN, store::points::PointColumns};

pub mod create;
pub mod figures;
pub mod forecasts;
pub mod growth;
pub mod inputs;
pub mod jobs;
pub mod listing;
pub mod markets;
pub mod outlook;
pub mod panel;
pub mod points;
pub mod series;
pub mod values;
pub mod verify;

/// The service's own routes, for requests of at most `message_bytes`; the kit adds health and
/// reflection.
#[must_use]
pub fn routes(slot: Arc<StoreSlot>, desk: Desk, imports: Imports, message_bytes: usize) -> Routes {
    let service = ForecastServiceServer::new(Api {
        slot,
        desk,
        imports,
    });
    Routes::new(service.max_decoding_message_size(message_bytes))
}

/// The number of series of a market, leaves and aggregates; none where it cannot be counted.
#[must_use]
pub fn series_count(hierarchy: &Hierarchy) -> Option<usize> {
    let dimensions = hierarchy.dimensions();
    let members = dimensions.iter().map(|dimension| dimension.members.len());
    members.into_iter().try_fold(1_usize, usize::checked_mul)
}

/// What methods that compute share, beside the store.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Forecasts that are being created.
    pub jobs: Jobs,
    /// Markets as computations read them.
    pub points: PointColumns,
}

impl Desk {
    /// One that keeps at most `snapshot_bytes` decoded.
    #[must_use]
    pub fn new(snapshot_bytes: usize) -> Self {
        Self {
            jobs: Jobs::default(),
            points: Arc::new(Columns::new(snapshot_bytes)),
        }
    }
}

/// The service as the transport calls it.
#[derive(Debug)]
struct Api {
    slot: Arc<StoreSlot>,
    desk: Desk,
    imports: Imports,
}

impl Api {
    fn store(&self) -> Result<&Store, Status> {
        self.slot.get().map_err(|fault| fault.into_status(DOMAIN))
    }
}

fn answer<T>(outcome: Result<T, Fault>) -> Result<Response<T>, Status> {
    outcome
        .map(Response::new)
        .map_err(|fault| fault.into_status(DOMAIN))
}

/// Implements the service: each method hands its request to a function, with the store or, where
/// it computes from points or has to do with jobs, with the desk as well.
macro_rules! service {
    (
        store { $($method:ident: $request:ident => $response:ty = $path:path;)+ }
        desk { $($desk_method:ident: $desk_request:ident => $desk_response:ty = $desk_path:path;)* }
    ) => {
        #[tonic::async_trait]
        impl ForecastService for Api {
            type ImportPointsStream = Answers<pb::ImportPointsResponse>;

            async fn import_points(
                &self,
                request: Request<Streaming<pb::ImportPointsRequest>>,
            ) -> Result<Response<Self::ImportPointsStream>, Status> {
                let (imports, store) = (self.imports.clone(), self.store()?.clone());
                let answers = import::serve::<points::Points, _>(imports, store, request.into_inner());
                Ok(Response::new(answers))
            }

            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Response<$response>, Status> {
                answer($path(self.store()?, request.into_inner()).await)
            })+
            $(async fn $desk_method(
                &self,
                request: Request<pb::$desk_request>,
            ) -> Result<Response<$desk_response>, Status> {
                answer($desk_path(self.store()?, &self.desk, request.into_inner()).await)
            })*
        }
    };
}

service! {
    store {
        create_market: CreateMarketRequest => pb::Market = markets::create;
        get_market: GetMarketRequest => pb::Market = markets::get;
        list_markets: ListMarketsRequest => pb::ListMarketsResponse = markets::list;
        update_market: UpdateMarketRequest => pb::Market = markets::update;
        delete_market: DeleteMarketRequest => () = markets::delete;
        write_points: WritePointsRequest => pb::WritePointsResponse = points::write_points;
        list_point_versions: ListPointVersionsRequest => pb::ListPointVersionsResponse =
            points::versions;
        forecast_series: ForecastSeriesRequest => pb::ForecastSeriesResponse = series::forecast_series;
        get_forecast: GetForecastRequest => pb::Forecast = forecasts::get;
        list_forecasts: ListForecastsRequest => pb::ListForecastsResponse = forecasts::list;
        withdraw_forecast: WithdrawForecastRequest => pb::Forecast = forecasts::withdraw;
        list_forecast_values: ListForecastValuesRequest => pb::ListForecastValuesResponse =
            values::list;
        verify_forecast: VerifyForecastRequest => pb::VerifyForecastResponse = verify::verify;
        solve_published_figures: SolvePublishedFiguresRequest =>
            pb::SolvePublishedFiguresResponse = figures::solve_figures;
    }
    desk {
        list_points: ListPointsRequest => pb::ListPointsResponse = listing::list_points;
        summarize_growth: SummarizeGrowthRequest => pb::SummarizeGrowthResponse =
            growth::summarize;
        create_forecast: CreateForecastRequest => pb::Forecast = create::create;
        cancel_forecast: CancelForecastRequest => pb::Forecast = create::cancel;
    }
}
