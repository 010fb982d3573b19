//! One dimension as a tree, laid out depth first.

use std::collections::BTreeMap;
use std::ops::Range;

use almanac_service_kit::plain::control::{self, Control, LOOK_EVERY, Stopped, attended};
use serde::{Deserialize, Serialize};

/// A member of a dimension, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name within the dimension.
    pub id: String,
    /// The member it is part of; absent for the root.
    pub parent: Option<String>,
    /// What to call it in a sentence; empty means the id.
    pub display_name: String,
}

/// A dimension, as declared: its members in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// The name of the dimension.
    pub id: String,
    /// The members; exactly one has no parent.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    declared: Member,
    parent: Option<usize>,
    leaves: Range<usize>,
    children: usize,
}

/// A checked dimension, its members in canonical order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    id: String,
    nodes: Vec<Node>,
    by_id: BTreeMap<String, usize>,
    leaf_members: Vec<usize>,
}

impl Tree {
    /// Lays out a dimension without faults.
    ///
    /// # Errors
    /// [`Stopped`] once nobody waits.
    pub(super) fn new(dimension: &Dimension, control: &dyn Control) -> Result<Self, Stopped> {
        let mut children: BTreeMap<Option<&str>, Vec<&Member>> = BTreeMap::new();
        for member in attended(&dimension.members, control) {
            let member = member?;
            children
                .entry(member.parent.as_deref())
                .or_default()
                .push(member);
        }
        for siblings in children.values_mut() {
            // The stack below reverses them.
            control::sort_unstable_by(siblings, control, |a, b| b.id.cmp(&a.id))?;
        }
        let mut tree = Self {
            id: dimension.id.clone(),
            nodes: Vec::with_capacity(dimension.members.len()),
            by_id: BTreeMap::new(),
            leaf_members: Vec::new(),
        };
        let mut stack = children.get(&None).cloned().unwrap_or_default();
        while let Some(member) = stack.pop() {
            if tree.nodes.len().is_multiple_of(LOOK_EVERY) {
                control.check()?;
            }
            let beneath = children.get(&Some(member.id.as_str()));
            tree.push(member, beneath.map_or(0, Vec::len));
            stack.extend(beneath.into_iter().flatten());
        }
        tree.close_ranges();
        Ok(tree)
    }

    fn push(&mut self, member: &Member, children: usize) {
        let position = self.nodes.len();
        let start = self.leaf_members.len();
        if children == 0 {
            self.leaf_members.push(position);
        }
        let parent = member.parent.as_ref().and_then(|id| self.position(id));
        self.by_id.insert(member.id.clone(), position);
        self.nodes.push(Node {
            declared: member.clone(),
            parent,
            leaves: start..self.leaf_members.len(),
            children,
        });
    }

    /// Parents come before their children, so one backward pass carries the ends upward.
    fn close_ranges(&mut self) {
        for position in (0..self.nodes.len()).rev() {
            let end = self.nodes[position].leaves.end;
            if let Some(parent) = self.nodes[position].parent {
                let range = &mut self.nodes[parent].leaves;
                range.end = range.end.max(end);
            }
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn member_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn leaf_count(&self) -> usize {
        self.leaf_members.len()
    }

    pub(super) fn position(&self, member: &str) -> Option<usize> {
        self.by_id.get(member).copied()
    }

    pub(super) fn member(&self, position: usize) -> &Member {
        &self.nodes[position].declared
    }

    pub(super) fn name(&self, position: usize) -> &str {
        let member = self.member(position);
        if member.display_name.is_empty() {
            &member.id
        } else {
            &member.display_name
        }
    }

    pub(super) fn parent(&self, position: usize) -> Option<usize> {
        self.nodes[position].parent
    }

    pub(super) fn is_leaf(&self, position: usize) -> bool {
        self.nodes[position].children == 0
    }

    pub(super) fn leaves(&self, position: usize) -> Range<usize> {
        self.nodes[position].leaves.clone()
    }

    pub(super) fn leaf_member(&self, leaf: usize) -> usize {
        self.leaf_members[leaf]
    }

    pub(super) fn declaration(&self) -> Dimension {
        Dimension {
            id: self.id.clone(),
            members: self.nodes.iter().map(|n| n.declared.clone()).collect(),
        }
    }

    pub(super) fn equal_split(&self) -> Vec<f64> {
        let mut weights: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            weights.push(node.parent.map_or(1.0, |parent| {
                // At most MAX_MEMBERS children: exact.
                weights[parent] / self.nodes[parent].children as f64
            }));
        }
        self.leaf_members
            .iter()
            .map(|&leaf| weights[leaf])
            .collect()
    }
}
