//! Ties, tiers and printed scores.

use almanac_service_kit::plain::control::Unlimited;

use super::*;

fn column(cells: &[f64]) -> Column {
    let cells: Vec<_> = cells.iter().map(|&cell| Some(cell)).collect();
    Column::from_options(&cells).unwrap()
}

fn with(tie_method: TieMethod) -> RankOptions {
    RankOptions {
        tie_method,
        ..RankOptions::default()
    }
}

fn ranks(cells: &[f64], options: &RankOptions) -> Vec<i32> {
    let ranks = rank(&column(cells), options, &Unlimited).unwrap();
    ranks.iter().flatten().collect()
}

#[test]
fn the_three_methods_count_ties_differently() {
    let scores = Column::from_options(&[Some(8.0), None, Some(10.0), Some(10.0)]).unwrap();
    let competition = rank(&scores, &with(TieMethod::Competition), &Unlimited).unwrap();
    assert_eq!(competition.to_options(), [Some(3), None, Some(1), Some(1)]);
    assert_eq!(competition.ranked(), 3);
    assert_eq!(competition.fractional_rank(0), None);
    let dense = rank(&scores, &with(TieMethod::Dense), &Unlimited).unwrap();
    assert_eq!(dense.to_options(), [Some(2), None, Some(1), Some(1)]);
    let fractional = rank(&scores, &with(TieMethod::Fractional), &Unlimited).unwrap();
    assert_eq!(fractional.to_options(), competition.to_options());
    let beside: Vec<_> = (0..4).map(|row| fractional.fractional_rank(row)).collect();
    assert_eq!(beside, [Some(3.0), None, Some(1.5), Some(1.5)]);
}

#[test]
fn noise_breaks_no_tie_and_groups_do_not_creep() {
    let options = RankOptions::default();
    assert_eq!(ranks(&[100.0, 100.0 - 9e-11, 99.0], &options), [1, 1, 3]);
    assert_eq!(ranks(&[100.0, 100.0 - 2e-10, 99.0], &options), [1, 2, 3]);
    // The third is within the tolerance of the second, but not of the group's first.
    let creeping = [100.0, 100.0 - 8e-11, 100.0 - 1.6e-10];
    assert_eq!(ranks(&creeping, &options), [1, 1, 3]);
    assert_eq!(ranks(&[-1.0, 0.1 + 0.2, 0.3], &options), [3, 1, 1]);
}

#[test]
fn zeros_tie_and_the_ends_of_doubles_are_ranked() {
    let options = RankOptions::default();
    assert_eq!(ranks(&[0.0, -0.0, 0.0], &options), [1, 1, 1]);
    assert_eq!(ranks(&[-f64::MAX, f64::MAX, 0.0], &options), [3, 1, 2]);
    assert_eq!(ranks(&[5e-324, 1e-323, 0.0], &options), [2, 1, 3]);
    assert!(ranks(&[], &options).is_empty());
}

#[test]
fn a_wider_tolerance_makes_tiers() {
    let options = RankOptions {
        tie_tolerance: 0.1,
        ..RankOptions::default()
    };
    // 0.4 - 0.3 is a little more than 0.1 in doubles; noise must not break the tier.
    assert_eq!(ranks(&[0.4, 0.3, 0.29, 0.2], &options), [1, 1, 3, 3]);
}

#[test]
fn printed_scores_are_what_is_ranked() {
    let options = RankOptions {
        score_decimals: Some(1),
        ..RankOptions::default()
    };
    let scores = [87.65, 87.7, 87.649, 87.74, 87.75];
    assert_eq!(ranks(&scores, &options), [2, 2, 5, 2, 1]);
}

#[test]
fn groups_are_ranked_by_themselves() {
    let scores = Column::from_options(&[Some(1.0), Some(2.0), Some(3.0), None, Some(2.0)]).unwrap();
    let groups = [Some(7), Some(7), None, Some(7)];
    let ranks = rank_in_groups(&scores, &groups, &RankOptions::default(), &Unlimited);
    let ranks = ranks.unwrap();
    assert_eq!(ranks.to_options(), [Some(2), Some(1), None, None, None]);
    assert_eq!(ranks.ranked(), 2);
}
