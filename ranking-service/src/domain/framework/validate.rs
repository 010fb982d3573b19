//! From a flat list to a tree, or to all that is wrong with it.

use std::collections::BTreeMap;

use super::{
    FrameworkFault, FrameworkFaultKind as Kind, FrameworkFaults, MAX_DEPTH, MAX_NODES, Node,
};

/// The shape of a valid list.
pub(super) struct Tree {
    pub(super) root: usize,
    pub(super) parents: Vec<Option<usize>>,
    pub(super) children: Vec<Vec<usize>>,
    pub(super) depths: Vec<usize>,
    pub(super) bottom_up: Vec<usize>,
}

/// Collects faults, then gives them in the order of the list.
#[derive(Default)]
struct Faults(Vec<FrameworkFault>);

impl Faults {
    fn at(&mut self, position: usize, kind: Kind) {
        self.0.push(FrameworkFault {
            position: Some(position),
            kind,
        });
    }

    fn list(&mut self, kind: Kind) {
        self.0.push(FrameworkFault {
            position: None,
            kind,
        });
    }

    fn sorted(mut self) -> FrameworkFaults {
        // Stable: of one node, faults stay in the order of the checks.
        self.0.sort_by_key(|fault| fault.position);
        FrameworkFaults(self.0)
    }
}

pub(super) fn check(nodes: &[Node]) -> Result<Tree, FrameworkFaults> {
    let mut faults = Faults::default();
    if nodes.is_empty() {
        faults.list(Kind::Empty);
        return Err(faults.sorted());
    }
    if nodes.len() > MAX_NODES {
        faults.list(Kind::TooManyNodes { count: nodes.len() });
        return Err(faults.sorted());
    }
    let first = unique_ids(nodes, &mut faults);
    let parents = resolve_parents(nodes, &first, &mut faults);
    let root = single_root(nodes, &mut faults);
    let children = families(nodes, &parents);
    check_kinds(nodes, &children, &mut faults);
    check_weights(nodes, &children, &mut faults);
    check_cycles(nodes, &parents, &mut faults);
    let (depths, bottom_up) = walk(nodes, &children, &mut faults);
    match root {
        Some(root) if faults.0.is_empty() => Ok(Tree {
            root,
            parents,
            children,
            depths,
            bottom_up,
        }),
        _ => Err(faults.sorted()),
    }
}

fn unique_ids<'a>(nodes: &'a [Node], faults: &mut Faults) -> BTreeMap<&'a str, usize> {
    let mut first = BTreeMap::new();
    for (position, node) in nodes.iter().enumerate() {
        if node.id.is_empty() {
            faults.at(position, Kind::EmptyId);
        } else if let Some(&first) = first.get(node.id.as_str()) {
            let id = node.id.clone();
            faults.at(position, Kind::DuplicateId { id, first });
        } else {
            first.insert(node.id.as_str(), position);
        }
    }
    first
}

fn resolve_parents(
    nodes: &[Node],
    first: &BTreeMap<&str, usize>,
    faults: &mut Faults,
) -> Vec<Option<usize>> {
    let mut parents = vec![None; nodes.len()];
    for (position, node) in nodes.iter().enumerate() {
        let Some(parent) = &node.parent else { continue };
        parents[position] = first.get(parent.as_str()).copied();
        if parents[position].is_none() {
            faults.at(
                position,
                Kind::UnknownParent {
                    id: node.id.clone(),
                    parent: parent.clone(),
                },
            );
        }
    }
    parents
}

fn single_root(nodes: &[Node], faults: &mut Faults) -> Option<usize> {
    let mut roots = (0..nodes.len()).filter(|&node| nodes[node].parent.is_none());
    let Some(first) = roots.next() else {
        faults.list(Kind::NoRoot);
        return None;
    };
    for extra in roots {
        faults.at(
            extra,
            Kind::ExtraRoot {
                id: nodes[extra].id.clone(),
                first: nodes[first].id.clone(),
            },
        );
    }
    Some(first)
}

/// Children of each node, ascending by id.
fn families(nodes: &[Node], parents: &[Option<usize>]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); nodes.len()];
    for (node, parent) in parents.iter().enumerate() {
        if let Some(parent) = *parent {
            children[parent].push(node);
        }
    }
    for family in &mut children {
        family.sort_by(|&a, &b| nodes[a].id.cmp(&nodes[b].id));
    }
    children
}

fn check_kinds(nodes: &[Node], children: &[Vec<usize>], faults: &mut Faults) {
    for (position, node) in nodes.iter().enumerate() {
        let id = node.id.clone();
        match (&node.indicator, children[position].is_empty()) {
            (None, true) => faults.at(position, Kind::NeitherLeafNorInner { id }),
            (Some(indicator), false) => {
                let indicator = indicator.clone();
                faults.at(position, Kind::InnerWithIndicator { id, indicator });
            }
            (Some(indicator), true) if indicator.is_empty() => {
                faults.at(position, Kind::EmptyIndicator { id });
            }
            _ => {}
        }
    }
}

fn check_weights(nodes: &[Node], children: &[Vec<usize>], faults: &mut Faults) {
    for (position, node) in nodes.iter().enumerate() {
        let id = node.id.clone();
        let weight = node.weight;
        if !weight.is_finite() || weight < 0.0 {
            faults.at(position, Kind::InvalidWeight { id, weight });
        }
        let family = &children[position];
        // A NaN is no zero: an invalid weight is reported once, as what it is.
        if !family.is_empty() && family.iter().all(|&child| nodes[child].weight.abs() <= 0.0) {
            let parent = node.id.clone();
            faults.at(position, Kind::ZeroWeights { parent });
        }
    }
}

/// Follows each node upwards once; whoever meets its own walk closes a cycle.
fn check_cycles(nodes: &[Node], parents: &[Option<usize>], faults: &mut Faults) {
    let mut walk_of = vec![usize::MAX; nodes.len()];
    for start in 0..nodes.len() {
        let mut node = start;
        while walk_of[node] == usize::MAX {
            walk_of[node] = start;
            match parents[node] {
                Some(parent) => node = parent,
                None => break,
            }
        }
        if walk_of[node] == start && parents[node].is_some() {
            report_cycle(nodes, parents, node, faults);
        }
    }
}

fn report_cycle(nodes: &[Node], parents: &[Option<usize>], start: usize, faults: &mut Faults) {
    let above = |node: &usize| parents[*node].filter(|&parent| parent != start);
    let mut members: Vec<usize> = std::iter::successors(Some(start), above).collect();
    let first = members
        .iter()
        .enumerate()
        .min_by_key(|&(_, &node)| node)
        .map_or(0, |(place, _)| place);
    members.rotate_left(first);
    let position = members[0];
    let members = members.iter().map(|&node| nodes[node].id.clone()).collect();
    faults.at(position, Kind::Cycle { members });
}

/// Depths and the bottom-up order of everything below nodes without a parent. What hangs in a
/// cycle is never reached, so this ends whatever the list looks like.
fn walk(nodes: &[Node], children: &[Vec<usize>], faults: &mut Faults) -> (Vec<usize>, Vec<usize>) {
    let mut depths = vec![0; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    let mut stack: Vec<usize> = (0..nodes.len())
        .filter(|&node| nodes[node].parent.is_none())
        .collect();
    while let Some(node) = stack.pop() {
        order.push(node);
        // One fault for each path: what is below a node that is too deep is not reported again.
        if depths[node] == MAX_DEPTH {
            let id = nodes[node].id.clone();
            let depth = MAX_DEPTH + 1;
            faults.at(node, Kind::TooDeep { id, depth });
            continue;
        }
        for &child in &children[node] {
            depths[child] = depths[node] + 1;
            stack.push(child);
        }
    }
    // Parents first with siblings descending; backwards it is children first, ascending.
    order.reverse();
    (depths, order)
}
