//! A ranking at hand, live or published: what lists and scorecards answer from.

use std::{collections::BTreeMap, sync::Arc};

use almanac_proto::{
    common::v1::ErrorReason as Common,
    ranking::v1::{self as pb, ErrorReason},
};
use almanac_service_kit::{
    consistency,
    fault::{Fault, Violations},
    name,
    plain::control::{Control, Stopped, attended},
    resource::find,
    store::{Read, Snapshot, Store},
};
use pb::{r#override::Change, ranking_source::Source};
use tonic::Code;

use super::{
    App,
    editions::Editions,
    entities::Entities,
    indicators::Indicators,
    indices,
    indices::{Indices, Paths},
};
use crate::{
    compute::{Computed, compute, compute_knowing},
    convert::{self, period::check_frequency},
    domain::{digest::ENGINE_VERSION, framework::Framework, framework::FrameworkFaultKind},
    store::{
        EditionOutcome, EditionResult, EditionState, Index,
        load::{Decoded, Inputs, Tried, edition, edition_results},
    },
};

/// Most overrides of one request.
const MAX_OVERRIDES: usize = 10_000;

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
pub(super) struct Table {
    /// Framework, methodology, entities and cells.
    pub(super) inputs: Inputs,
    /// Scores and ranks by position of the node.
    pub(super) results: Vec<EditionResult>,
    /// Digest of the inputs.
    pub(super) input_digest: String,
    /// Digest of scores and ranks.
    pub(super) result_digest: String,
    /// Version of the numerical definitions.
    pub(super) engine_version: u32,
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
        let tried = overrides(&read, &dataset, uid, &mut index, &ranking.overrides)?;
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
    pub(super) fn table(&self, control: &dyn Control) -> Result<Table, Fault> {
        match &self.what {
            What::Edition { uid, outcome } => {
                let inputs = edition(&self.read, *uid, control)?;
                let results = edition_results(&self.read, *uid, &inputs.fixed.nodes, control)?;
                Ok(Table {
                    inputs,
                    results,
                    input_digest: outcome.input_digest.clone(),
                    result_digest: outcome.result_digest.clone(),
                    engine_version: outcome.engine_version,
                })
            }
            What::Live { .. } => {
                let (inputs, computed) = self.computed(control)?;
                Ok(Table {
                    inputs,
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

/// Applies changes to an index; gives the figures that are tried.
fn overrides(
    read: &impl Read,
    dataset: &str,
    uid: u64,
    index: &mut Index,
    changes: &[pb::Override],
) -> Result<Tried, Fault> {
    let mut violations = Violations::new();
    let mut tried = Tried::new();
    if !violations.list("source.live.overrides", changes.len(), MAX_OVERRIDES) {
        violations.finish()?;
        return Ok(tried);
    }
    let mut paths = Paths::under("source.live");
    for (row, change) in changes.iter().enumerate() {
        let at = format!("source.live.overrides[{row}]");
        match &change.change {
            Some(Change::NodeWeight(weight)) => {
                node_weight(weight, &format!("{at}.node_weight"), index, &mut violations);
            }
            Some(Change::Observation(observation)) => {
                let at = format!("{at}.observation");
                try_figure(read, dataset, observation, &at, &mut tried, &mut violations)?;
            }
            Some(Change::Methodology(methodology)) => {
                let at = format!("{at}.methodology");
                paths.methodology.clone_from(&at);
                let nodes = &mut index.nodes;
                let plan =
                    convert::methodology::parse(Some(methodology), &at, nodes, &mut violations);
                index.plan = plan.unwrap_or_else(|| index.plan.clone());
            }
            Some(Change::Entities(entities)) => {
                let at = format!("{at}.entities");
                paths.entities.clone_from(&at);
                index.entities = Some(convert::filter::parse(
                    entities,
                    &at,
                    dataset,
                    &mut violations,
                ));
            }
            None => {
                let text = "set node_weight, observation, methodology or entities";
                violations.push(format!("{at}.change"), Common::OneofUnset, text);
            }
        }
    }
    if let Err(faults) = Framework::new(index.nodes.clone()) {
        for fault in faults.0 {
            let reason = match fault.kind {
                FrameworkFaultKind::ZeroWeights { .. } => ErrorReason::WeightsSumToZero,
                _ => ErrorReason::WeightNegative,
            };
            violations.push("source.live.overrides", reason, fault.to_string());
        }
    }
    // What a stored index refers to was checked when it was stored, and is in use since.
    let refers = |change: &Change| matches!(change, Change::Methodology(_) | Change::Entities(_));
    if changes
        .iter()
        .any(|one| one.change.as_ref().is_some_and(refers))
    {
        indices::check_references(read, uid, &paths, index, &mut violations)?;
    }
    violations.finish()?;
    Ok(tried)
}

fn node_weight(change: &pb::NodeWeight, at: &str, index: &mut Index, violations: &mut Violations) {
    let node = index.nodes.iter_mut().find(|node| node.id == change.node);
    let field = format!("{at}.weight");
    if violations.finite(&field, change.weight) && change.weight < 0.0 {
        let text = format!("{} is negative", change.weight);
        violations.push(field, ErrorReason::WeightNegative, text);
        return;
    }
    match node {
        Some(node) if change.weight.is_finite() => node.weight = change.weight,
        Some(_) => {}
        None => {
            let text = format!("{:?} is no node of the framework", change.node);
            violations.push(format!("{at}.node"), ErrorReason::NodeUnknown, text);
        }
    }
}

fn try_figure(
    read: &impl Read,
    dataset: &str,
    proto: &pb::Observation,
    at: &str,
    tried: &mut Tried,
    violations: &mut Violations,
) -> Result<(), Fault> {
    let Some(written) = convert::observation::parse(proto, at, dataset, violations) else {
        return Ok(());
    };
    let parents = [dataset.to_owned()];
    let missing = |fault: &Fault| fault.code() == Code::NotFound;
    match find::<Entities>(read, &parents, &written.entity) {
        Err(fault) if missing(&fault) => {
            violations.push(
                format!("{at}.entity"),
                ErrorReason::EntityUnknown,
                fault.message(),
            );
        }
        found => drop(found?),
    }
    match find::<Indicators>(read, &parents, &written.indicator) {
        Err(fault) if missing(&fault) => {
            let field = format!("{at}.indicator");
            violations.push(field, ErrorReason::IndicatorUnknown, fault.message());
        }
        found => {
            let frequency = found?.value.body.frequency;
            let field = format!("{at}.period");
            check_frequency(
                &field,
                written.period,
                frequency,
                &written.indicator,
                violations,
            );
        }
    }
    let cells = tried
        .entry((written.indicator, written.entity))
        .or_default();
    cells.insert(written.period.ordinal(), written.observation);
    Ok(())
}

impl Table {
    /// Position of a node by its ID; the root where it is empty.
    pub(super) fn position(&self, node: &str) -> Option<usize> {
        let nodes = &self.inputs.fixed.nodes;
        if node.is_empty() {
            return nodes.iter().position(|node| node.parent.is_none());
        }
        nodes.iter().position(|candidate| candidate.id == node)
    }

    /// Why an entity has no score at a node.
    pub(super) fn unranked_reason(&self, node: usize, row: usize) -> pb::UnrankedReason {
        let has_figure = |(position, cells): &(usize, crate::store::EditionCells)| {
            self.is_under(*position, node)
                && cells
                    .cells
                    .get(row)
                    .is_some_and(|cell| cell.figure.is_some())
        };
        if self.inputs.leaves.iter().any(has_figure) {
            pb::UnrankedReason::LowAvailability
        } else {
            pb::UnrankedReason::NoData
        }
    }

    fn is_under(&self, node: usize, ancestor: usize) -> bool {
        let nodes = &self.inputs.fixed.nodes;
        let mut at = Some(node);
        while let Some(position) = at {
            if position == ancestor {
                return true;
            }
            let parent = nodes.get(position).and_then(|node| node.parent.as_deref());
            at = parent.and_then(|parent| nodes.iter().position(|node| node.id == parent));
        }
        false
    }
}

/// The groups of entities by the value of a label: a number each, and the values by number.
pub(super) fn groups(
    inputs: &Inputs,
    label: &str,
    control: &dyn Control,
) -> Result<(Vec<Option<u32>>, Vec<String>), Stopped> {
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut values = Vec::new();
    let mut groups = Vec::with_capacity(inputs.fixed.entities.len());
    for entity in attended(inputs.fixed.entities.iter(), control) {
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
