//! The cells that went into an edition.

use almanac_proto::ranking::v1 as pb;
use almanac_service_kit::{
    compute::compute,
    consistency,
    fault::Fault,
    filter::{Fields, Filter},
    page::Page,
    plain::control::{Control, Stopped, attended},
    resource::{find, identify},
};

use super::{App, editions::Editions, table};
use crate::{
    convert::edition,
    domain::framework::Node,
    store::{
        EditionCells,
        load::{self, Inputs},
    },
};

struct CellRow<'a> {
    indicator: &'a str,
    entity: &'a str,
}

impl Fields for CellRow<'_> {
    fn field(&self, path: &str) -> Option<&str> {
        match path {
            "indicator" => Some(self.indicator),
            "entity" => Some(self.entity),
            _ => None,
        }
    }
}

/// Lists the cells that went into an edition, by indicator and entity.
///
/// # Errors
/// INVALID_ARGUMENT for what cannot be read, NOT_FOUND, FAILED_PRECONDITION
/// (EDITION_NOT_PUBLISHED).
pub async fn list(
    app: &App,
    mut request: pb::ListEditionObservationsRequest,
) -> Result<pb::ListEditionObservationsResponse, Fault> {
    let store = app.store()?;
    let (parents, id) = identify::<Editions>("parent", &request.parent)?;
    let size = std::mem::take(&mut request.page_size);
    let token = std::mem::take(&mut request.page_token);
    let page = Page::open("ListEditionObservations", &request, size, &token)?;
    let filter = Filter::parse("filter", &request.filter, &["indicator", "entity"])?;
    let read = consistency::page_snapshot(store, &page, request.consistency.as_ref()).await?;
    let found = find::<Editions>(&read, &parents, &id)?.value;
    if found.body.outcome.is_none() {
        return Err(table::not_published(&request.parent, &found.body.state));
    }
    let revision = store.token(read.revision());
    compute(move |caller| {
        let inputs = load::edition(&read, found.uid, caller)?;
        let dataset = parents.first().map(String::as_str).unwrap_or_default();
        let cells = edition_cells(&inputs, &filter, caller)?;
        let (cells, next_page_token) = page.cut(&revision, cells);
        let observations = cells
            .into_iter()
            .map(|found| found.render(&inputs, dataset));
        let observations = observations.collect();
        Ok(pb::ListEditionObservationsResponse {
            observations,
            next_page_token,
            revision,
        })
    })
    .await
}

/// A cell of an edition: which leaf of its inputs and which row.
struct FoundCell<'a> {
    indicator: &'a str,
    node: &'a Node,
    cells: &'a EditionCells,
    row: usize,
}

impl FoundCell<'_> {
    fn render(&self, inputs: &Inputs, dataset: &str) -> pb::EditionObservation {
        let (entity, cell) = (
            &inputs.fixed.entities[self.row],
            &self.cells.cells[self.row],
        );
        let selection = inputs.fixed.plan.selection(&self.node.id);
        let (indicator, cells) = (self.indicator, self.cells);
        edition::render_cell(dataset, indicator, &entity.id, selection, cells, cell)
    }
}

/// The cells of an edition that pass, by indicator, node and entity.
fn edition_cells<'a>(
    inputs: &'a Inputs,
    filter: &Filter,
    control: &dyn Control,
) -> Result<Vec<FoundCell<'a>>, Stopped> {
    let mut leaves: Vec<_> = inputs
        .leaves
        .iter()
        .filter_map(|(position, cells)| {
            let node = inputs.fixed.nodes.get(*position)?;
            Some((node.indicator.as_deref()?, node, cells))
        })
        .collect();
    leaves.sort_by(|a, b| (a.0, &a.1.id).cmp(&(b.0, &b.1.id)));
    let mut told = Vec::new();
    for (indicator, node, cells) in leaves {
        let rows = inputs.fixed.entities.len().min(cells.cells.len());
        let entities = inputs.fixed.entities.iter().enumerate().take(rows);
        for found in attended(entities, control) {
            let (row, entity) = found?;
            let entity = entity.id.as_str();
            if filter.matches(&CellRow { indicator, entity }) {
                told.push(FoundCell {
                    indicator,
                    node,
                    cells,
                    row,
                });
            }
        }
    }
    Ok(told)
}
