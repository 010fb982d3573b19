//! Markets: created, changed, listed; their tree is settled once they hold points.

use almanac_proto::forecast::v1 as pb;
use almanac_tests::wire;
use prost_types::FieldMask;
use tonic::Code;

use crate::{
    bad_market::{MARKET, market_request, members, points_request},
    support::{forecast, invalid, refused},
};

fn update(market: pb::Market, path: &str) -> pb::UpdateMarketRequest {
    pb::UpdateMarketRequest {
        market: Some(market),
        update_mask: Some(FieldMask {
            paths: vec![path.to_owned()],
        }),
        ..Default::default()
    }
}

fn of(members: Vec<pb::Member>) -> pb::Market {
    pb::Market {
        name: MARKET.to_owned(),
        ..wire::market("GDP", "billion USD", members)
    }
}

#[tokio::test]
async fn a_tree_is_settled_once_there_are_points() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    let made = client
        .create_market(market_request("gdp", members()))
        .await
        .unwrap()
        .into_inner();
    let taken = client.create_market(market_request("gdp", members())).await;
    refused(taken, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS", "");
    // Without points everything may change.
    let mut other = members();
    other.push(wire::member("west", "asia", "West"));
    let changed = client
        .update_market(update(of(other.clone()), "dimensions"))
        .await
        .unwrap();
    let changed = changed.into_inner();
    assert_eq!(changed.dimensions[0].members.len(), 4);
    assert_eq!(changed.uid, made.uid);
    let stale = pb::Market {
        etag: made.etag,
        ..of(other.clone())
    };
    let stale = client.update_market(update(stale, "dimensions")).await;
    refused(stale, Code::Aborted, "ETAG_MISMATCH", "");

    client
        .write_points(points_request(vec![wire::point("west", "2023", 1.0)]))
        .await
        .unwrap();
    let fewer = client
        .update_market(update(of(members()), "dimensions"))
        .await;
    refused(fewer, Code::FailedPrecondition, "DIMENSIONS_IMMUTABLE", "");
    other.push(wire::member("north", "asia", "North"));
    let more = client
        .update_market(update(of(other.clone()), "dimensions"))
        .await
        .unwrap();
    assert_eq!(more.into_inner().dimensions[0].members.len(), 5);
    other.push(wire::member("tokyo", "east", "Tokyo"));
    let split = client.update_market(update(of(other), "dimensions")).await;
    refused(split, Code::FailedPrecondition, "DIMENSIONS_IMMUTABLE", "");
    let odd = client.update_market(update(of(members()), "color")).await;
    invalid(odd, "UPDATE_MASK_INVALID", "update_mask");
    let renamed = pb::Market {
        display_name: "Output".to_owned(),
        ..of(Vec::new())
    };
    let renamed = client
        .update_market(update(renamed, "display_name"))
        .await
        .unwrap();
    assert_eq!(renamed.into_inner().display_name, "Output");
    fresh.stop().await;
}

#[tokio::test]
async fn markets_and_their_points_are_listed() {
    let fresh = forecast().await;
    let mut client = fresh.service.client();
    for id in ["gdp", "spend", "trade"] {
        client
            .create_market(market_request(id, members()))
            .await
            .unwrap();
    }
    let all = pb::ListMarketsRequest {
        page_size: 2,
        order_by: "id desc".to_owned(),
        ..Default::default()
    };
    let page = client.list_markets(all.clone()).await.unwrap().into_inner();
    let ids: Vec<&str> = page
        .markets
        .iter()
        .map(|market| market.name.as_str())
        .collect();
    assert_eq!(ids, ["markets/trade", "markets/spend"]);
    let next = pb::ListMarketsRequest {
        page_token: page.next_page_token.clone(),
        ..all.clone()
    };
    let next = client.list_markets(next).await.unwrap().into_inner();
    assert_eq!((next.markets.len(), next.next_page_token.as_str()), (1, ""));
    let other = pb::ListMarketsRequest {
        page_token: page.next_page_token,
        filter: "id = \"gdp\"".to_owned(),
        ..all
    };
    invalid(
        client.list_markets(other).await,
        "PAGE_TOKEN_MISMATCH",
        "page_token",
    );

    let years = ["2021", "2022", "2023"];
    let points = years.iter().flat_map(|year| {
        [
            wire::point("east", year, 2.0),
            wire::point("south", year, 3.0),
        ]
    });
    client
        .write_points(points_request(points.collect()))
        .await
        .unwrap();
    let list = |filter: &str, from: &str, aggregates: bool| pb::ListPointsRequest {
        parent: MARKET.to_owned(),
        filter: filter.to_owned(),
        from_period: from.to_owned(),
        include_aggregates: aggregates,
        ..Default::default()
    };
    for (request, count) in [
        (list("", "", false), 6),
        (list("", "", true), 9),
        (list("", "2022", false), 4),
        (list("members.region = \"east\"", "2023", true), 1),
        (list("members.region:\"asia\"", "2023", true), 3),
        (list("status = \"ESTIMATE\"", "", false), 0),
    ] {
        let told = format!("{request:?}");
        let whole = client
            .list_points(request.clone())
            .await
            .unwrap()
            .into_inner()
            .points;
        assert_eq!(whole.len(), count, "{told}");
        let mut request = pb::ListPointsRequest {
            page_size: 1,
            ..request
        };
        let mut paged = Vec::new();
        loop {
            let page = client
                .list_points(request.clone())
                .await
                .unwrap()
                .into_inner();
            paged.extend(page.points);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(paged, whole, "{told}");
    }
    let odd = client
        .list_points(list("members.color = \"red\"", "", false))
        .await;
    invalid(odd, "DIMENSION_UNKNOWN", "filter");
    let delete = pb::DeleteMarketRequest {
        name: "markets/trade".to_owned(),
        ..Default::default()
    };
    client.delete_market(delete.clone()).await.unwrap();
    refused(
        client.delete_market(delete).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
        "",
    );
    fresh.stop().await;
}
