//! Where entities stand.

use std::collections::BTreeMap;

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    check::MAX_LABEL_BYTES,
    compute::compute,
    fault::{Fault, Violations},
    filter::{Fields, Filter},
    page::Page,
    plain::control::{Control, Stopped, attended, sort_unstable_by},
    resource::FILTER_FIELDS,
};

use super::{
    App,
    table::{Subject, Table, groups},
};
use crate::{compute::group_ranks, convert::named, store::EntityRow};

impl Fields for EntityRow {
    fn field(&self, path: &str) -> Option<&str> {
        match path {
            "id" => Some(&self.id),
            "display_name" => Some(&self.display_name),
            _ => self
                .labels
                .get(path.strip_prefix("labels.")?)
                .map(String::as_str),
        }
    }
}

/// How results are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Rank { descending: bool },
    Id { descending: bool },
}

impl Order {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [] | ["rank"] | ["rank", "asc"] => Ok(Self::Rank { descending: false }),
            ["rank", "desc"] => Ok(Self::Rank { descending: true }),
            ["id"] | ["id", "asc"] => Ok(Self::Id { descending: false }),
            ["id", "desc"] => Ok(Self::Id { descending: true }),
            _ => {
                let text =
                    format!("{text:?} is not known; there are rank, rank desc, id and id desc");
                Err(Fault::field("order_by", Common::OrderByInvalid, text))
            }
        }
    }
}

/// Lists where entities stand at a node.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND for edition or index,
/// FAILED_PRECONDITION where no ranking can be computed.
pub async fn list(
    app: &App,
    mut request: pb::ListRankingResultsRequest,
) -> Result<pb::ListRankingResultsResponse, Fault> {
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListRankingResults", &request, size, &token)?;
    let filter = Filter::parse("filter", &request.filter, FILTER_FIELDS)?;
    let order = Order::parse(&request.order_by)?;
    let mut violations = Violations::new();
    violations.text("group_by_label", &request.group_by_label, MAX_LABEL_BYTES);
    if request.top.is_some_and(|top| top < 1) {
        violations.push("top", Common::FieldInvalid, "must be at least 1");
    }
    violations.finish()?;
    let subject = Subject::find(app, request.source.as_ref(), page.revision.as_deref()).await?;
    let revision = app.store()?.token(subject.read.revision());
    compute(move |caller| {
        let table = subject.table(caller)?;
        let node = table.position(&request.node).ok_or_else(|| {
            let text = format!("{:?} is no node of the framework", request.node);
            Fault::field("node", ErrorReason::NodeUnknown, text)
        })?;
        let listing = Listing {
            table: &table,
            node,
            request: &request,
            filter,
            order,
        };
        let rows = listing.rows(caller)?;
        let total_size = i32::try_from(rows.len()).unwrap_or(i32::MAX);
        let (rows, next_page_token) = page.cut(&revision, rows);
        let unranked = listing.unranked(&rows, caller)?;
        let results = rows
            .into_iter()
            .map(|row| listing.render(&subject.dataset, row, &unranked))
            .collect();
        Ok(pb::ListRankingResultsResponse {
            results,
            next_page_token,
            revision,
            total_size,
            input_digest: table.input_digest.clone(),
            result_digest: table.result_digest.clone(),
            engine_version: table.engine_version.to_string(),
        })
    })
    .await
}

struct Listing<'a> {
    table: &'a Table<'a>,
    node: usize,
    request: &'a pb::ListRankingResultsRequest,
    filter: Filter,
    order: Order,
}

/// A row of the ranking, with its group where the request groups.
struct Row {
    row: usize,
    group: String,
    group_rank: Option<i32>,
}

impl Listing<'_> {
    /// The rows that are listed, in order.
    fn rows(&self, control: &dyn Control) -> Result<Vec<Row>, Fault> {
        let entities = &self.table.fixed.entities;
        let result = &self.table.results[self.node];
        let label = &self.request.group_by_label;
        let (groups, group_ranks) = if label.is_empty() {
            (None, Vec::new())
        } else {
            let (groups, values) = groups(entities, label, control)?;
            let options = &self.table.fixed.plan.methodology.rank;
            let ranks = group_ranks(&result.scores, &groups, options, control)?;
            (Some((groups, values)), ranks)
        };
        let mut rows = Vec::new();
        for entity in attended(entities.iter().enumerate(), control) {
            let (row, entity) = entity?;
            let group = groups.as_ref().and_then(|(groups, values)| {
                values.get(usize::try_from(groups.get(row).copied().flatten()?).ok()?)
            });
            // Without the label an entity belongs to no group and has no rank in one.
            let group_rank = group.and(group_ranks.get(row).copied().flatten());
            let rank = if groups.is_some() {
                group_rank
            } else {
                result.ranks[row]
            };
            let within = |top: i32| rank.is_some_and(|rank| rank <= top);
            if self.filter.matches(entity) && self.request.top.is_none_or(within) {
                rows.push(Row {
                    row,
                    group: group.cloned().unwrap_or_default(),
                    group_rank,
                });
            }
        }
        self.sort(&mut rows, control)?;
        Ok(rows)
    }

    fn sort(&self, rows: &mut [Row], control: &dyn Control) -> Result<(), Stopped> {
        let entities = &self.table.fixed.entities;
        let ranks = &self.table.results[self.node].ranks;
        let id = |row: &Row| &entities[row.row].id;
        match self.order {
            Order::Id { descending: false } => {
                sort_unstable_by(rows, control, |a, b| id(a).cmp(id(b)))
            }
            Order::Id { descending: true } => {
                sort_unstable_by(rows, control, |a, b| id(b).cmp(id(a)))
            }
            Order::Rank { descending } => sort_unstable_by(rows, control, |a, b| {
                let (rank_a, rank_b) = (ranks[a.row], ranks[b.row]);
                let missing = rank_a.is_none().cmp(&rank_b.is_none());
                let by_rank = if descending {
                    rank_b.cmp(&rank_a)
                } else {
                    rank_a.cmp(&rank_b)
                };
                missing.then(by_rank).then_with(|| id(a).cmp(id(b)))
            }),
        }
    }

    /// Why those of `rows` that have no score have none, by row.
    fn unranked(
        &self,
        rows: &[Row],
        control: &dyn Control,
    ) -> Result<BTreeMap<usize, pb::UnrankedReason>, Fault> {
        let scores = &self.table.results[self.node].scores;
        let rows = rows.iter().map(|row| row.row);
        let rows: Vec<_> = rows.filter(|row| scores[*row].is_none()).collect();
        self.table.unranked_reasons(self.node, &rows, control)
    }

    fn render(
        &self,
        dataset: &str,
        row: Row,
        unranked: &BTreeMap<usize, pb::UnrankedReason>,
    ) -> pb::RankingResult {
        let entity = &self.table.fixed.entities[row.row];
        let result = &self.table.results[self.node];
        let unranked_reason = unranked.get(&row.row).copied().unwrap_or_default();
        let full = self.request.view() == pb::RankingView::Full;
        let nodes = self.table.fixed.nodes.iter().zip(&self.table.results);
        let nodes = nodes.filter(|_| full).map(|(node, result)| pb::NodeScore {
            node: node.id.clone(),
            score: result.scores[row.row],
            rank: result.ranks[row.row],
        });
        pb::RankingResult {
            entity: named("entities", dataset, &entity.id),
            display_name: entity.display_name.clone(),
            labels: entity.labels.clone(),
            score: result.scores[row.row],
            rank: result.ranks[row.row],
            fractional_rank: result.fractional.get(row.row).copied().flatten(),
            group: row.group,
            group_rank: row.group_rank,
            unranked_reason: unranked_reason.into(),
            nodes: nodes.collect(),
        }
    }
}
