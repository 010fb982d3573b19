//! Markets: the standard methods, and what may change once there are points.

use almanac_proto::{common::v1::ErrorReason as Common, forecast::v1 as pb};
use almanac_service_kit::{
    fault::{Fault, Violations},
    merge_fields,
    page::Page,
    resource::{self, Draft, Head, Key, Kind, Listing, New, Resource, Stored},
    store::{Read, Store, Table, Transaction},
    write::Intent,
};
use tonic::Code;

use crate::{
    convert,
    domain::hierarchy,
    error::OrFault as _,
    store::{Dimension, FORECASTS, MARKETS, Market, POINTS},
};

/// Markets.
#[derive(Debug)]
pub struct Markets;

impl Kind for Markets {
    type Proto = pb::Market;
    type Body = Market;
    const TABLE: Table<Key, Stored<Market>> = MARKETS;
    const COLLECTIONS: &'static [&'static str] = &convert::MARKET;

    fn render(head: Head, stored: &Stored<Market>, _parents: &[String]) -> pb::Market {
        let mut proto = pb::Market {
            name: head.name,
            uid: head.uid,
            display_name: stored.display_name.clone(),
            labels: stored.labels.clone(),
            create_time: head.create_time,
            update_time: head.update_time,
            etag: head.etag,
            revision: head.revision,
            ..pb::Market::default()
        };
        convert::market::render(&stored.body, &mut proto);
        proto
    }

    fn scope(_read: &impl Read, _parents: &[String]) -> Result<u64, Fault> {
        Ok(0)
    }
}

impl Resource for Markets {
    const FIELD: &'static str = "market";

    fn identity(proto: &pb::Market) -> (&str, &str) {
        (&proto.name, &proto.etag)
    }

    fn parse(
        proto: &pb::Market,
        at: &str,
        _parents: &[String],
        violations: &mut Violations,
    ) -> Option<Draft<Market>> {
        let body = convert::market::parse(proto, at, violations)?;
        let (display_name, labels) = (proto.display_name.clone(), proto.labels.clone());
        Some(Draft {
            display_name,
            labels,
            body,
        })
    }

    fn merge(
        old: &mut pb::Market,
        new: &pb::Market,
        paths: Option<&[String]>,
    ) -> Result<(), String> {
        merge_fields!(
            old,
            new,
            paths,
            [
                display_name,
                labels,
                description,
                unit,
                measurement_basis,
                frequency,
                nonnegative,
                dimensions
            ]
        )
    }

    fn check(
        tx: &Transaction<'_>,
        _scope: u64,
        at: &str,
        draft: &mut Draft<Market>,
        old: Option<&Stored<Market>>,
        violations: &mut Violations,
    ) -> Result<(), Fault> {
        let Some(old) = old else { return Ok(()) };
        let mut points = tx.scan(&POINTS, &(old.uid,));
        if points.next().transpose().or_fault()?.is_none() {
            return Ok(());
        }
        if draft.body.frequency != old.body.frequency {
            let text = "the market holds points, so its frequency stays as it is";
            violations.push(format!("{at}.frequency"), Common::FieldImmutable, text);
        }
        if draft.body.nonnegative && !old.body.nonnegative {
            refuse_negative_points(tx, old.uid)?;
        }
        keeps_dimensions(&old.body.dimensions, &draft.body.dimensions)
    }

    fn check_unused(
        tx: &Transaction<'_>,
        _key: &Key,
        stored: &Stored<Market>,
        name: &str,
    ) -> Result<(), Fault> {
        let mut users = Vec::new();
        for row in tx.scan(&FORECASTS, &(stored.uid,)).take(MAX_NAMED_USERS) {
            let ((_, id), _) = row.or_fault()?;
            users.push(format!("{name}/forecasts/{id}"));
        }
        if tx
            .scan(&POINTS, &(stored.uid,))
            .next()
            .transpose()
            .or_fault()?
            .is_some()
        {
            users.push("points".to_owned());
        }
        if users.is_empty() {
            Ok(())
        } else {
            Err(Fault::in_use(name, &users.join(", ")))
        }
    }
}

/// Most forecasts that are named as users of a market.
const MAX_NAMED_USERS: usize = 3;

fn refuse_negative_points(tx: &Transaction<'_>, market: u64) -> Result<(), Fault> {
    for row in tx.scan(&POINTS, &(market,)) {
        let ((_, series, _), point) = row.or_fault()?;
        if point.value.value().is_some_and(|value| value < 0.0) {
            let text = "the market holds negative points, so it cannot become nonnegative";
            let reason = pb::ErrorReason::NegativePoints;
            return Err(Fault::new(Code::FailedPrecondition, reason, text).with("series", series));
        }
    }
    Ok(())
}

/// Checks that dimensions, members and parents stay, and that new members come only below members
/// that were not leaves.
fn keeps_dimensions(old: &[Dimension], new: &[Dimension]) -> Result<(), Fault> {
    // Both are in canonical order.
    let ids = |dimensions: &[Dimension]| -> Vec<String> {
        dimensions
            .iter()
            .map(|dimension| dimension.declared.id.clone())
            .collect()
    };
    if ids(old) != ids(new) {
        return Err(immutable("a dimension was added or left out"));
    }
    old.iter()
        .zip(new)
        .try_for_each(|(old, new)| keeps_members(&old.declared, &new.declared))
}

fn keeps_members(old: &hierarchy::Dimension, new: &hierarchy::Dimension) -> Result<(), Fault> {
    use std::collections::{BTreeMap, BTreeSet};
    fn parents(dimension: &hierarchy::Dimension) -> BTreeMap<&str, Option<&str>> {
        let members = dimension.members.iter();
        members
            .map(|member| (member.id.as_str(), member.parent.as_deref()))
            .collect()
    }
    let (was, is) = (parents(old), parents(new));
    let inner: BTreeSet<&str> = was.values().copied().flatten().collect();
    for (id, parent) in &was {
        match is.get(id) {
            None => return Err(immutable(&format!("member {id:?} was left out"))),
            Some(now) if now != parent => {
                return Err(immutable(&format!("member {id:?} has another parent")));
            }
            Some(_) => {}
        }
    }
    for (id, parent) in is.iter().filter(|(id, _)| !was.contains_key(*id)) {
        if let Some(leaf) =
            parent.filter(|parent| was.contains_key(parent) && !inner.contains(parent))
        {
            return Err(immutable(&format!(
                "member {id:?} is below {leaf:?}, which is a leaf"
            )));
        }
    }
    Ok(())
}

fn immutable(what: &str) -> Fault {
    let text = format!(
        "the market holds points, so its dimensions, members and parents stay: {what}; create \
         another market"
    );
    Fault::new(
        Code::FailedPrecondition,
        pb::ErrorReason::DimensionsImmutable,
        text,
    )
}

/// CreateMarket.
///
/// # Errors
/// See [`resource::create`].
pub async fn create(store: &Store, request: pb::CreateMarketRequest) -> Result<pb::Market, Fault> {
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new("CreateMarket", &request, id, validate_only, &mut violations);
    let new = New {
        at: String::new(),
        id: &request.market_id,
        proto: request.market.as_ref(),
    };
    let only = |created: Vec<pb::Market>, _| created.into_iter().next().unwrap_or_default();
    resource::create::<Markets, _>(store, intent, "", vec![new], violations, only).await
}

/// GetMarket.
///
/// # Errors
/// See [`resource::get`].
pub async fn get(store: &Store, request: pb::GetMarketRequest) -> Result<pb::Market, Fault> {
    resource::get::<Markets>(store, &request.name, request.consistency.as_ref()).await
}

/// ListMarkets.
///
/// # Errors
/// See [`resource::list`].
pub async fn list(
    store: &Store,
    mut request: pb::ListMarketsRequest,
) -> Result<pb::ListMarketsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListMarkets", &request, size, &token)?;
    let (filter, order_by) = (&request.filter, &request.order_by);
    let consistency = request.consistency.as_ref();
    let listing = Listing {
        parent: "",
        page,
        filter,
        order_by,
        consistency,
    };
    let listed = resource::list::<Markets>(store, listing).await?;
    Ok(pb::ListMarketsResponse {
        markets: listed.items,
        next_page_token: listed.next_page_token,
        revision: listed.revision,
    })
}

/// UpdateMarket.
///
/// # Errors
/// See [`resource::update`].
pub async fn update(store: &Store, request: pb::UpdateMarketRequest) -> Result<pb::Market, Fault> {
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new("UpdateMarket", &request, id, validate_only, &mut violations);
    let (market, mask) = (request.market.as_ref(), request.update_mask.as_ref());
    let allow_missing = request.allow_missing;
    resource::update::<Markets>(store, intent, market, mask, allow_missing, violations).await
}

/// DeleteMarket.
///
/// # Errors
/// See [`resource::delete`].
pub async fn delete(store: &Store, request: pb::DeleteMarketRequest) -> Result<(), Fault> {
    let mut violations = Violations::new();
    let (id, validate_only) = (&request.request_id, request.validate_only);
    let intent = Intent::new("DeleteMarket", &request, id, validate_only, &mut violations);
    let (name, etag, allow_missing) = (&request.name, &request.etag, request.allow_missing);
    resource::delete::<Markets>(store, intent, name, etag, allow_missing, violations).await
}

#[cfg(test)]
mod tests;
