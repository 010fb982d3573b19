//! A ranking at hand, live or published: what lists and scorecards answer from.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter::successors,
    sync::Arc,
};

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    consistency,
    fault::Fault,
    memory::claim,
    name,
    plain::control::{Control, Stopped, attended},
    resource::find,
    store::{Snapshot, Store},
};
use pb::ranking_source::Source;
use tonic::Code;

use super::{App, editions::Editions, indices::Indices, overrides};
use crate::{
    compute::{Computed, compute, compute_knowing},
    convert,
    domain::{digest::ENGINE_VERSION, framework::Node},
    store::{
        EditionCells, EditionInputs, EditionOutcome, EditionResult, EditionState, EntityRow, Index,
        load::{
            Decoded, Inputs, Tried, edition, edition_cells, edition_inputs, edition_results,
            estimate,
        },
    },
};

/// What a question is about, found in the store.
pub(super) struct Subject {
    /// ID of the dataset.
    pub(super) dataset: String,
    /// The state that was read.
    pub(super) read: Snapshot,
    decoded: Arc<Decoded>,
    what: What,
}

enum What {
    Edition {
        uid: u64,
        outcome: EditionOutcome,
    },
    Live {
        dataset: u64,
        uid: u64,
        index: Box<Index>,
        tried: Tried,
    },
}

/// A ranking, ready to be told.
pub(super) struct Table<'a> {
    /// Framework, methodology and entities.
    pub(super) fixed: EditionInputs,
    cells: Cells<'a>,
    /// Scores and ranks by position of the node.
    pub(super) results: Vec<EditionResult>,
    /// Digest of the inputs.
    pub(super) input_digest: String,
    /// Digest of scores and ranks.
    pub(super) result_digest: String,
    /// Version of the numerical definitions.
    pub(super) engine_version: u32,
}

/// What the leaves of a ranking read.
enum Cells<'a> {
    /// By position of the leaf.
    Read(Vec<(usize, EditionCells)>),
    /// Of an edition: most of what it stores, and seldom told, so that it is read when it is.
    Stored(&'a Snapshot, u64),
}

impl Subject {
    /// Finds what `source` names; at the revision `pinned` by an earlier page, if any.
    pub(super) async fn find(
        app: &App,
        source: Option<&pb::RankingSource>,
        pinned: Option<&str>,
    ) -> Result<Self, Fault> {
        let store = app.store()?;
        match source.and_then(|source| source.source.as_ref()) {
            Some(Source::Edition(name)) => Self::edition(app, store, name, pinned),
            Some(Source::Live(ranking)) => Self::live(app, store, ranking, pinned).await,
            None => {
                let text = "set edition or live";
                Err(Fault::field("source.source", Common::OneofUnset, text))
            }
        }
    }

    fn edition(app: &App, store: &Store, name: &str, pinned: Option<&str>) -> Result<Self, Fault> {
        let [dataset, index, id] = name::parse("source.edition", name, convert::EDITION)?;
        let read = match pinned {
            Some(token) => pinned_at(store, token)?,
            None => store.latest(),
        };
        let parents = [dataset.clone(), index];
        let found = find::<Editions>(&read, &parents, &id)?.value;
        let outcome = found.body.outcome.clone().filter(|_| {
            matches!(
                found.body.state,
                EditionState::Published | EditionState::Withdrawn(_)
            )
        });
        let outcome = outcome.ok_or_else(|| not_published(name, &found.body.state))?;
        Ok(Self {
            dataset,
            read,
            decoded: Arc::clone(&app.decoded),
            what: What::Edition {
                uid: found.uid,
                outcome,
            },
        })
    }

    async fn live(
        app: &App,
        store: &Store,
        ranking: &pb::LiveRanking,
        pinned: Option<&str>,
    ) -> Result<Self, Fault> {
        let [dataset, id] = name::parse("source.live.index", &ranking.index, convert::INDEX)?;
        let read = match pinned {
            Some(token) => pinned_at(store, token)?,
            None => {
                let read = consistency::snapshot(store, ranking.consistency.as_ref()).await;
                read.map_err(|fault| fault.within("source.live"))?
            }
        };
        let parents = [dataset.clone()];
        let uid = super::datasets::dataset_uid(&read, &dataset)?;
        let found = find::<Indices>(&read, &parents, &id)?.value;
        let mut index = found.body;
        let tried = overrides::apply(&read, &dataset, uid, &mut index, &ranking.overrides)?;
        let what = What::Live {
            dataset: uid,
            uid: found.uid,
            index: Box::new(index),
            tried,
        };
        Ok(Self {
            dataset,
            read,
            decoded: Arc::clone(&app.decoded),
            what,
        })
    }

    /// Reads or computes the ranking. Takes the processor: call it off the serving threads.
    pub(super) fn table(&self, control: &dyn Control) -> Result<Table<'_>, Fault> {
        match &self.what {
            What::Edition { uid, outcome } => {
                let fixed = edition_inputs(&self.read, *uid)?;
                claim(estimate(&fixed.nodes, 0, fixed.entities.len()), control)?;
                let results = edition_results(&self.read, *uid, &fixed.nodes, control)?;
                Ok(Table {
                    fixed,
                    cells: Cells::Stored(&self.read, *uid),
                    results,
                    input_digest: outcome.input_digest.clone(),
                    result_digest: outcome.result_digest.clone(),
                    engine_version: outcome.engine_version,
                })
            }
            What::Live { .. } => {
                let (inputs, computed) = self.computed(control)?;
                Ok(Table {
                    fixed: inputs.fixed,
                    cells: Cells::Read(inputs.leaves),
                    results: computed.results(control)?,
                    input_digest: computed.input_digest,
                    result_digest: computed.result_digest,
                    engine_version: ENGINE_VERSION,
                })
            }
        }
    }

    /// Computes the ranking; an edition is computed again from its inputs and must come out as
    /// it was published.
    pub(super) fn computed(&self, control: &dyn Control) -> Result<(Inputs, Computed), Fault> {
        match &self.what {
            What::Edition { uid, outcome } => {
                let inputs = edition(&self.read, *uid, control)?;
                let computed = compute(&inputs, control)?;
                if computed.result_digest != outcome.result_digest {
                    let text = "the edition does not come out as it was published: verify it";
                    return Err(Fault::new(Code::DataLoss, Common::StoreCorrupt, text));
                }
                Ok((inputs, computed))
            }
            What::Live {
                dataset,
                uid,
                index,
                tried,
            } => {
                let inputs = self
                    .decoded
                    .live(&self.read, *dataset, index, tried, control)?;
                let known = self.decoded.last_ranking(*uid);
                let computed = compute_knowing(&inputs, known.as_deref(), control)?;
                self.decoded.remember(*uid, &inputs, &computed.ranking);
                Ok((inputs, computed))
            }
        }
    }
}

fn pinned_at(store: &Store, token: &str) -> Result<Snapshot, Fault> {
    let revision = store.parse_token(token).map_err(|_| stale())?;
    store.at(revision).map_err(|_| stale())
}

fn stale() -> Fault {
    let text = "belongs to a state that is gone; start without a token";
    Fault::field("page_token", Common::PageTokenInvalid, text)
}

/// The fault for an edition that cannot be read yet, or never will be.
pub(super) fn not_published(name: &str, state: &EditionState) -> Fault {
    let state = convert::edition::state_name(state);
    let text = format!("{name} is {state}, not PUBLISHED");
    Fault::new(
        Code::FailedPrecondition,
        ErrorReason::EditionNotPublished,
        text,
    )
    .with("resource_name", name)
    .with("state", state)
}

impl Table<'_> {
    /// Position of a node by its ID; the root where it is empty.
    pub(super) fn position(&self, node: &str) -> Option<usize> {
        let nodes = &self.fixed.nodes;
        if node.is_empty() {
            return nodes.iter().position(|node| node.parent.is_none());
        }
        nodes.iter().position(|candidate| candidate.id == node)
    }

    /// Why each of `rows`, which have no score at a node, has none.
    ///
    /// # Errors
    /// A fault of the store, CANCELLED once nobody waits.
    pub(super) fn unranked_reasons(
        &self,
        node: usize,
        rows: &[usize],
        control: &dyn Control,
    ) -> Result<BTreeMap<usize, pb::UnrankedReason>, Fault> {
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut without: BTreeSet<usize> = rows.iter().copied().collect();
        let mut texts = 0;
        if let Cells::Stored(..) = self.cells {
            // One column after the other.
            claim(estimate(&[], 1, self.fixed.entities.len()), control)?;
        }
        for leaf in self.leaves_under(node, control)? {
            control.check()?;
            let stored;
            let cells = match &self.cells {
                Cells::Read(leaves) => {
                    let at = leaves.binary_search_by_key(&leaf, |(position, _)| *position);
                    at.ok().map(|at| &leaves[at].1)
                }
                Cells::Stored(read, uid) => {
                    stored = edition_cells(*read, *uid, leaf)?;
                    let told = stored.told_bytes();
                    claim(told.saturating_sub(texts), control)?;
                    texts = texts.max(told);
                    Some(&stored)
                }
            };
            let has_figure = |row: &usize| {
                let cell = cells.and_then(|cells| cells.cells.get(*row));
                cell.is_some_and(|cell| cell.figure.is_some())
            };
            without.retain(|row| !has_figure(row));
            if without.is_empty() {
                break;
            }
        }
        let reason = |row: &usize| match without.contains(row) {
            true => pb::UnrankedReason::NoData,
            false => pb::UnrankedReason::LowAvailability,
        };
        Ok(rows.iter().map(|row| (*row, reason(row))).collect())
    }

    /// Positions of the leaves at or below a node, in order.
    fn leaves_under(&self, node: usize, control: &dyn Control) -> Result<Vec<usize>, Stopped> {
        let nodes = &self.fixed.nodes;
        let ids = nodes.iter().enumerate();
        let by_id: HashMap<&str, usize> = ids.map(|(at, node)| (node.id.as_str(), at)).collect();
        let parent = |node: &Node| by_id.get(node.parent.as_deref()?).copied();
        let parents: Vec<Option<usize>> = nodes.iter().map(parent).collect();
        let mut under = Vec::new();
        for leaf in attended(nodes.iter().enumerate(), control) {
            let (leaf, of) = leaf?;
            let mut upwards = successors(Some(leaf), |at| parents[*at]);
            if of.indicator.is_some() && upwards.any(|at| at == node) {
                under.push(leaf);
            }
        }
        Ok(under)
    }
}

/// The groups of entities by the value of a label: a number each, and the values by number.
pub(super) fn groups(
    entities: &[EntityRow],
    label: &str,
    control: &dyn Control,
) -> Result<(Vec<Option<u32>>, Vec<String>), Stopped> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut values = Vec::new();
    let mut groups = Vec::with_capacity(entities.len());
    for entity in attended(entities, control) {
        let group = entity?.labels.get(label).map(|value| {
            *numbers.entry(value).or_insert_with(|| {
                values.push(value.clone());
                // There are fewer groups than entities, of which there are fewer than 2^31.
                u32::try_from(values.len() - 1).unwrap_or(u32::MAX)
            })
        });
        groups.push(group);
    }
    Ok((groups, values))
}
