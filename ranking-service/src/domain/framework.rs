//! The tree of a composite index: what it is made of and how much each part counts.
//!
//! A framework is a flat list of nodes of any depth. A leaf reads one indicator; an inner node
//! aggregates its children; the one node without a parent is the root, the index itself
//! (OECD/JRC handbook, step 1; COINr `iMeta`).
//!
//! Weights are relative among siblings. The effective weight of a node, its nominal share in the
//! root, is the product of w / sum(w of siblings) over the path to the root. The root's own weight
//! has no sibling to weigh against and changes nothing.
//!
//! Order: results keep the positions of the list; sums run over siblings in the byte order of their
//! ids, so no digit depends on how the list was written. Cost: O(n log n), once.
//!
//! The same indicator may stand at several leaves, also under one parent: each leaf may normalize
//! it in its own way (level and threshold, say), and the weights say openly what it counts twice.

mod fault;
mod validate;

use serde::{Deserialize, Serialize};

pub use fault::{FrameworkFault, FrameworkFaultKind, FrameworkFaults};

/// Most nodes of a framework.
pub const MAX_NODES: usize = 10_000;
/// Most nodes on the path from the root to a leaf, both counted.
pub const MAX_DEPTH: usize = 64;

/// One node, as it is given and stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Unique in the framework.
    pub id: String,
    /// Id of the node above; `None` for the root.
    pub parent: Option<String>,
    /// Relative among siblings; finite, not negative.
    pub weight: f64,
    /// Id of the indicator a leaf reads; `None` for an inner node.
    pub indicator: Option<String>,
    /// For people; changes no number.
    pub display_name: String,
}

/// A valid tree and what follows from it. Nodes are named by their position in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Framework {
    nodes: Vec<Node>,
    root: usize,
    parents: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    depths: Vec<usize>,
    levels: Vec<usize>,
    bottom_up: Vec<usize>,
    by_id: Vec<usize>,
    weights: Vec<f64>,
    shares: Vec<f64>,
    effective_weights: Vec<f64>,
}

impl Framework {
    /// Checks a list of nodes.
    ///
    /// # Errors
    /// All faults of the list, ascending by position.
    pub fn new(nodes: Vec<Node>) -> Result<Self, FrameworkFaults> {
        let tree = validate::check(&nodes)?;
        let weights = scaled_weights(&nodes, &tree.children);
        let shares = shares(&tree.children, &weights);
        let mut effective_weights = shares.clone();
        let mut levels = vec![1; nodes.len()];
        for &node in &tree.bottom_up {
            if let Some(parent) = tree.parents[node] {
                levels[parent] = levels[parent].max(levels[node] + 1);
            }
        }
        for &node in tree.bottom_up.iter().rev() {
            if let Some(parent) = tree.parents[node] {
                effective_weights[node] *= effective_weights[parent];
            }
        }
        let mut by_id: Vec<usize> = (0..nodes.len()).collect();
        by_id.sort_unstable_by(|&a, &b| nodes[a].id.cmp(&nodes[b].id));
        Ok(Self {
            root: tree.root,
            parents: tree.parents,
            children: tree.children,
            depths: tree.depths,
            bottom_up: tree.bottom_up,
            nodes,
            levels,
            by_id,
            weights,
            shares,
            effective_weights,
        })
    }

    /// The nodes as they were given.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a framework has a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Position of the root.
    #[must_use]
    pub fn root(&self) -> usize {
        self.root
    }

    /// Position of a node by its id. Cost O(log n).
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.by_id
            .binary_search_by(|&node| self.nodes[node].id.as_str().cmp(id))
            .ok()
            .map(|place| self.by_id[place])
    }

    /// The node above; `None` for the root.
    #[must_use]
    pub fn parent(&self, node: usize) -> Option<usize> {
        self.parents[node]
    }

    /// The nodes directly below, ascending by id; empty for a leaf.
    #[must_use]
    pub fn children(&self, node: usize) -> &[usize] {
        &self.children[node]
    }

    /// Whether a node reads an indicator.
    #[must_use]
    pub fn is_leaf(&self, node: usize) -> bool {
        self.children[node].is_empty()
    }

    /// Leaves and the indicator of each, in the order of the list.
    pub fn leaves(&self) -> impl Iterator<Item = (usize, &str)> + '_ {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(node, given)| Some((node, given.indicator.as_deref()?)))
    }

    /// Nodes above this one: 0 for the root.
    #[must_use]
    pub fn depth(&self, node: usize) -> usize {
        self.depths[node]
    }

    /// 1 for a leaf, else one more than the highest child (COINr's `Level`).
    #[must_use]
    pub fn level(&self, node: usize) -> usize {
        self.levels[node]
    }

    /// Every node once, children before parents, all descendants of a node directly before it,
    /// siblings ascending by id. Read backwards it is a topological order from the root.
    #[must_use]
    pub fn bottom_up(&self) -> &[usize] {
        &self.bottom_up
    }

    /// Every node once, ascending by id: the order of canonical forms.
    #[must_use]
    pub fn by_id(&self) -> &[usize] {
        &self.by_id
    }

    /// The given weight times a power of two chosen per family so that the sum of siblings lies
    /// in [0.5, 1). With these no weighted sum of scores is too large for a double, none vanishes,
    /// and because the factor is a power of two a mean has the digits of the weights as given.
    #[must_use]
    pub fn weight(&self, node: usize) -> f64 {
        self.weights[node]
    }

    /// w / sum(w of siblings): the nominal share in the parent. 1 for the root.
    #[must_use]
    pub fn share(&self, node: usize) -> f64 {
        self.shares[node]
    }

    /// Product of shares over the path to the root: the nominal share in the root.
    #[must_use]
    pub fn effective_weight(&self, node: usize) -> f64 {
        self.effective_weights[node]
    }
}

fn scaled_weights(nodes: &[Node], children: &[Vec<usize>]) -> Vec<f64> {
    let mut weights = vec![1.0; nodes.len()];
    for family in children.iter().filter(|family| !family.is_empty()) {
        let given = || family.iter().map(|&child| nodes[child].weight);
        // In two steps, because the sum of weights as given may be too large for a double.
        let (_, first) = libm::frexp(given().fold(0.0, f64::max));
        let total = given().fold(0.0, |total, weight| total + libm::scalbn(weight, -first));
        let (_, second) = libm::frexp(total);
        for &child in family {
            weights[child] = libm::scalbn(nodes[child].weight, -first - second);
        }
    }
    weights
}

fn shares(children: &[Vec<usize>], weights: &[f64]) -> Vec<f64> {
    let mut shares = vec![1.0; weights.len()];
    for family in children {
        let total = family
            .iter()
            .fold(0.0, |total, &child| total + weights[child]);
        for &child in family {
            shares[child] = weights[child] / total;
        }
    }
    shares
}

#[cfg(test)]
mod tests;
