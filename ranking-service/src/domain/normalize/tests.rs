//! Closed forms, and columns at the ends of what doubles hold.

#![allow(clippy::float_cmp, reason = "closed forms that come out exactly")]

use super::*;

fn normalized(
    cells: &[Option<f64>],
    direction: Direction,
    method: NormalizationMethod,
    constant_column: ConstantColumn,
) -> Result<Vec<Option<f64>>, NoSpread> {
    let ids = (0..cells.len()).map(|row| format!("e{row}")).collect();
    let normalization = Normalization {
        method,
        constant_column,
    };
    normalize(
        &Column::from_options(cells).unwrap(),
        &Entities::new(ids).unwrap(),
        direction,
        &normalization,
    )
    .map(|column| column.to_options())
}

fn up(cells: &[f64], method: NormalizationMethod) -> Vec<f64> {
    let cells: Vec<_> = cells.iter().map(|&cell| Some(cell)).collect();
    normalized(
        &cells,
        Direction::HigherIsBetter,
        method,
        ConstantColumn::Error,
    )
    .unwrap()
    .into_iter()
    .flatten()
    .collect()
}

const MIN_MAX: NormalizationMethod = NormalizationMethod::MIN_MAX_100;
const Z_SCORE: NormalizationMethod = NormalizationMethod::ZScore {
    mean: 10.0,
    standard_deviation: 2.0,
};

#[test]
fn direction_turns_the_scale_and_missing_stays_missing() {
    let cells = [Some(2.0), None, Some(4.0), Some(10.0)];
    let down = Direction::LowerIsBetter;
    let of = |method| normalized(&cells, down, method, ConstantColumn::Error).unwrap();
    assert_eq!(of(MIN_MAX), [Some(100.0), None, Some(75.0), Some(0.0)]);
    let identity = of(NormalizationMethod::Identity);
    assert_eq!(identity, [Some(-2.0), None, Some(-4.0), Some(-10.0)]);
}

#[test]
fn z_scores_divide_by_n_minus_one() {
    // Mean 2, sd 1.
    assert_eq!(up(&[1.0, 2.0, 3.0], Z_SCORE), [8.0, 10.0, 12.0]);
    // Two values always lie sd / sqrt(2) from their mean.
    let two = up(&[5.0, 6.0], Z_SCORE);
    assert!((two[1] - 10.0 - 2.0 / 2.0_f64.sqrt()).abs() < 1e-14);
}

#[test]
fn a_column_without_spread_is_what_the_methodology_says() {
    let up = Direction::HigherIsBetter;
    let constant = [Some(3.0), None, Some(3.0)];
    let becomes = ConstantColumn::Value(50.0);
    for method in [MIN_MAX, Z_SCORE] {
        assert_eq!(
            normalized(&constant, up, method, ConstantColumn::Error),
            Err(NoSpread::Constant { value: 3.0 })
        );
        assert_eq!(
            normalized(&constant, up, method, becomes),
            Ok(vec![Some(50.0), None, Some(50.0)])
        );
        assert_eq!(
            normalized(&[None, None], up, method, ConstantColumn::Error),
            Err(NoSpread::Empty)
        );
        assert_eq!(
            normalized(&[None, None], up, method, becomes),
            Ok(vec![None, None])
        );
    }
    let identity = NormalizationMethod::Identity;
    assert_eq!(
        normalized(&constant, up, identity, ConstantColumn::Error),
        Ok(constant.to_vec())
    );
}

#[test]
fn columns_of_any_magnitude_are_normalized() {
    let expected = [0.0, 50.0, 100.0];
    for unit in [f64::MAX, 1e300, 1.0, 1e-300, 1e-320] {
        let scores = up(&[-unit, 0.0, unit], MIN_MAX);
        assert_eq!(scores, expected, "{unit}");
        let z = up(&[-unit, 0.0, unit], Z_SCORE);
        assert_eq!(z, [8.0, 10.0, 12.0], "{unit}");
    }
    assert_eq!(
        up(&[1e15, 1e15 + 1.0, 1e15 + 2.0], Z_SCORE),
        [8.0, 10.0, 12.0]
    );
}

#[test]
fn zero_has_no_sign() {
    let cells = [Some(0.0), Some(-0.0)];
    let identity = NormalizationMethod::Identity;
    let error = ConstantColumn::Error;
    let scores = normalized(&cells, Direction::LowerIsBetter, identity, error).unwrap();
    assert!(
        scores
            .iter()
            .flatten()
            .all(|score| score.is_sign_positive())
    );
}

#[test]
fn the_scale_of_one_value_is_that_of_the_column() {
    let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
    let entities = Entities::new(ids).unwrap();
    let column = Column::from_options(&[Some(1.0), Some(2.5), Some(7.0)]).unwrap();
    for method in [MIN_MAX, Z_SCORE, NormalizationMethod::Identity] {
        let normalization = Normalization {
            method,
            constant_column: ConstantColumn::Error,
        };
        let direction = Direction::LowerIsBetter;
        let scale = fit(&column, &entities, direction, &normalization).unwrap();
        let scores = normalize(&column, &entities, direction, &normalization).unwrap();
        for row in 0..3 {
            let one = column.get(row).map(|value| scale.score(value));
            assert_eq!(one, scores.get(row));
        }
    }
}

#[test]
fn extremes_are_found_in_every_lane() {
    for place in 0..19 {
        let mut values = vec![f64::NAN; 19];
        assert_eq!(extremes(&values), None);
        values[place] = -3.0;
        values[(place + 7) % 19] = 4.0;
        assert_eq!(extremes(&values), Some((-3.0, 4.0)));
    }
}
