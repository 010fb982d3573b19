//! From the scores of children to the score of their parent.
//!
//! Method: OECD/JRC handbook, step 7; COINr `a_amean`. Over the children that have a score, x, with
//! their weights w:
//!
//! | method | score |
//! |---|---|
//! | weighted arithmetic mean | sum(w x) / sum(w) |
//!
//! So the weight of a missing child is spread over those present. A parent is missing where none of
//! them counts (no child present, or only such of weight 0) and where less than the minimum
//! availability of direct children is present: (children present) / (children) < minimum, strictly.
//!
//! Order: children ascending by id. Every mean is a running sum over children, so a tree is
//! evaluated with one accumulator for each depth and no column for each node.
//! Cost: a few operations for each child and entity.

use super::column::Column;
use super::methodology::{Aggregation, AggregationMethod};

/// Running sums over the children of one node, for a stretch of entities.
#[derive(Debug, Clone, Default)]
pub(super) struct Accumulator {
    sums: Vec<f64>,
    weights: Vec<f64>,
    present: Vec<u32>,
}

impl Accumulator {
    /// Forgets everything and makes room for a stretch of `length` entities.
    pub(super) fn reset(&mut self, length: usize) {
        self.sums.clear();
        self.sums.resize(length, 0.0);
        self.weights.clear();
        self.weights.resize(length, 0.0);
        self.present.clear();
        self.present.resize(length, 0);
    }

    /// Adds a child. Selects instead of branches: the loop stays in vector registers.
    pub(super) fn add(&mut self, aggregation: &Aggregation, weight: f64, scores: &[f64]) {
        match aggregation.method {
            AggregationMethod::WeightedArithmeticMean => {
                let totals = self.sums.iter_mut().zip(&mut self.weights);
                for ((sum, total), &score) in totals.zip(scores) {
                    let missing = score.is_nan();
                    *sum += if missing { 0.0 } else { weight * score };
                    *total += if missing { 0.0 } else { weight };
                }
            }
        }
        // Only a minimum above one child needs to count them.
        if aggregation.minimum_availability > 0.0 {
            for (present, &score) in self.present.iter_mut().zip(scores) {
                *present += u32::from(!score.is_nan());
            }
        }
    }

    /// Writes the scores of the parent of `children` children; NaN where it is missing.
    pub(super) fn finish(&self, aggregation: &Aggregation, children: usize, scores: &mut [f64]) {
        match aggregation.method {
            AggregationMethod::WeightedArithmeticMean => {
                let totals = self.sums.iter().zip(&self.weights);
                for (score, (&sum, &total)) in scores.iter_mut().zip(totals) {
                    // Where nothing counts this is 0 / 0: missing.
                    *score = sum / total;
                }
            }
        }
        let least = least_present(aggregation, children);
        if least > 1 {
            for (score, &present) in scores.iter_mut().zip(&self.present) {
                if (present as usize) < least {
                    *score = f64::NAN;
                }
            }
        }
    }
}

/// How many of `children` direct children must have a score: the smallest number whose share is not
/// below the minimum availability, and at least one.
#[must_use]
pub fn least_present(aggregation: &Aggregation, children: usize) -> usize {
    let enough =
        |&present: &usize| present as f64 / children as f64 >= aggregation.minimum_availability;
    (1..=children).find(enough).unwrap_or(children)
}

/// Aggregates the columns of children at once; weights and columns in the order of the sum.
///
/// All columns have the same length.
#[must_use]
pub fn aggregate(children: &[(f64, &Column)], aggregation: &Aggregation) -> Column {
    let length = children.first().map_or(0, |(_, column)| column.len());
    let mut sums = Accumulator::default();
    sums.reset(length);
    for (weight, column) in children {
        sums.add(aggregation, *weight, column.raw());
    }
    let mut scores = vec![0.0; length];
    sums.finish(aggregation, children.len(), &mut scores);
    Column::from_scores(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[Option<f64>]) -> Column {
        Column::from_options(cells).unwrap()
    }

    fn at_least(minimum_availability: f64) -> Aggregation {
        Aggregation {
            minimum_availability,
            ..Aggregation::default()
        }
    }

    #[test]
    fn weights_of_missing_children_are_spread_over_the_others() {
        let a = column(&[Some(1.0), None, Some(3.0), None]);
        let b = column(&[Some(4.0), Some(5.0), None, None]);
        let mean = aggregate(&[(1.0, &a), (3.0, &b)], &at_least(0.0));
        let expected = [Some(3.25), Some(5.0), Some(3.0), None];
        assert_eq!(mean.to_options(), expected);
    }

    #[test]
    fn children_of_weight_zero_do_not_count_but_are_present() {
        let a = column(&[Some(1.0), Some(1.0), None]);
        let b = column(&[Some(4.0), None, Some(4.0)]);
        let mean = aggregate(&[(0.0, &a), (1.0, &b)], &at_least(0.0));
        assert_eq!(mean.to_options(), [Some(4.0), None, Some(4.0)]);
        let strict = aggregate(&[(0.0, &a), (1.0, &b)], &at_least(1.0));
        assert_eq!(strict.to_options(), [Some(4.0), None, None]);
    }

    #[test]
    fn availability_is_compared_strictly() {
        let full = column(&[Some(1.0)]);
        let gap = column(&[None]);
        let of = |present: usize, minimum: f64| {
            let children: Vec<_> = (0..4)
                .map(|child| (1.0, if child < present { &full } else { &gap }))
                .collect();
            aggregate(&children, &at_least(minimum)).present() == 1
        };
        assert!(of(2, 0.5) && !of(2, 0.500_000_1) && of(3, 0.75) && !of(3, 1.0) && of(4, 1.0));
        assert!(of(1, 0.0) && !of(0, 0.0));
    }

    #[test]
    fn least_present_agrees_with_the_shares() {
        for children in 1..60_usize {
            for step in 0..=120_u32 {
                let minimum = f64::from(step) / 120.0;
                let least = least_present(&at_least(minimum), children);
                let missing = |present: usize| (present as f64 / children as f64) < minimum;
                assert!(!missing(least) || least == children);
                assert!(least == 1 || missing(least - 1), "{children} at {minimum}");
            }
        }
    }
}
