//! Requests of the standard methods that the other samples have no need of.

use almanac_proto::{forecast::v1 as forecast, ranking::v1 as pb};
use prost_types::FieldMask;

use super::{Samples, add};
use crate::wire::{market, member, methodology, min_max};

const DATASET: &str = "datasets/d";

fn mask(path: &str) -> Option<FieldMask> {
    Some(FieldMask {
        paths: vec![path.to_owned()],
    })
}

/// Adds a Get of what there is, and a Delete of what there is not.
macro_rules! get_and_delete {
    ($samples:ident, $($get:ident $get_request:ident $delete:ident $delete_request:ident $parent:literal $id:literal;)+) => {
        $(
            let get = pb::$get_request {
                name: concat!($parent, $id).to_owned(),
                ..Default::default()
            };
            add($samples, stringify!($get), &get);
            let delete = pb::$delete_request {
                name: concat!($parent, "other").to_owned(),
                allow_missing: true,
                ..Default::default()
            };
            add($samples, stringify!($delete), &delete);
        )+
    };
}

/// Requests of the ranking service, after the others.
pub(in crate::fuzz) fn ranking(samples: &mut Samples) {
    get_and_delete! {
        samples,
        GetDataset GetDatasetRequest DeleteDataset DeleteDatasetRequest "datasets/" "d";
        GetSource GetSourceRequest DeleteSource DeleteSourceRequest "datasets/d/sources/" "s";
        GetIndicator GetIndicatorRequest DeleteIndicator DeleteIndicatorRequest
            "datasets/d/indicators/" "air";
        GetEntity GetEntityRequest DeleteEntity DeleteEntityRequest "datasets/d/entities/" "oslo";
        GetIndex GetIndexRequest DeleteIndex DeleteIndexRequest "datasets/d/indices/" "x";
    }
    let names = vec!["datasets/d/indicators/air".to_owned()];
    let get = pb::BatchGetIndicatorsRequest {
        parent: DATASET.to_owned(),
        names,
        ..Default::default()
    };
    add(samples, "BatchGetIndicators", &get);
    let list = pb::ListSourcesRequest {
        parent: DATASET.to_owned(),
        ..Default::default()
    };
    add(samples, "ListSources", &list);
    let list = pb::ListIndicesRequest {
        parent: DATASET.to_owned(),
        ..Default::default()
    };
    add(samples, "ListIndices", &list);
    updates(samples);
}

fn updates(samples: &mut Samples) {
    let update = pb::UpdateDatasetRequest {
        dataset: Some(pb::Dataset {
            name: DATASET.to_owned(),
            ..Default::default()
        }),
        update_mask: mask("description"),
        ..Default::default()
    };
    add(samples, "UpdateDataset", &update);
    let update = pb::UpdateSourceRequest {
        source: Some(pb::Source {
            name: "datasets/d/sources/s".to_owned(),
            ..Default::default()
        }),
        update_mask: mask("attribution"),
        ..Default::default()
    };
    add(samples, "UpdateSource", &update);
    let update = pb::UpdateIndicatorRequest {
        indicator: Some(pb::Indicator {
            name: "datasets/d/indicators/air".to_owned(),
            ..Default::default()
        }),
        update_mask: mask("description"),
        ..Default::default()
    };
    add(samples, "UpdateIndicator", &update);
    let update = pb::UpdateEntityRequest {
        entity: Some(pb::Entity {
            name: "datasets/d/entities/oslo".to_owned(),
            ..Default::default()
        }),
        update_mask: mask("description"),
        ..Default::default()
    };
    add(samples, "UpdateEntity", &update);
    let update = pb::UpdateIndexRequest {
        index: Some(pb::Index {
            name: "datasets/d/indices/x".to_owned(),
            methodology: Some(methodology(min_max(), "2023", 1)),
            ..Default::default()
        }),
        update_mask: mask("methodology"),
        ..Default::default()
    };
    add(samples, "UpdateIndex", &update);
}

/// Requests of the forecast service, after the others.
pub(in crate::fuzz) fn forecast(samples: &mut Samples) {
    let get = forecast::GetMarketRequest {
        name: "markets/spend".to_owned(),
        ..Default::default()
    };
    add(samples, "GetMarket", &get);
    let create = forecast::CreateMarketRequest {
        market_id: "empty".to_owned(),
        market: Some(market("", "", vec![member("all", "", "")])),
        ..Default::default()
    };
    add(samples, "CreateMarket", &create);
    let update = forecast::UpdateMarketRequest {
        market: Some(forecast::Market {
            name: "markets/empty".to_owned(),
            ..market("", "", vec![member("all", "", "")])
        }),
        update_mask: mask("dimensions"),
        ..Default::default()
    };
    add(samples, "UpdateMarket", &update);
}
