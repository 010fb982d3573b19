//! Scores as they are printed: rounded to decimals, half away from zero.
//!
//! Method: |x| 10^d is rounded half up and divided by 10^d again; d is 0 to 15. Half away from zero
//! is the rule of published tables and spreadsheets.
//!
//! A double that stands for 2.675 lies a little below it, and a sum that should be 2.675 may come
//! out a few last digits lower still, so the half is recognized within the rounding noise of the
//! node: whoever is less than that below a half is taken to be at it. Thus 2.675 prints as 2.68 and
//! equal scores print alike, in whichever order their parts were added. The noise is some thousand
//! units in the last place, far more than the two roundings here can lose; it counts for at most a
//! thousandth of the last decimal, so that decimals finer than the noise are not pushed upwards.
//! Cost: a few operations a score.

/// Relative rounding noise of a node's scores: what separates two scores by no more than this
/// share of the node's largest |score| is not a difference.
pub const NOISE: f64 = 1e-12;

const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Most of a unit of the last decimal that noise may stand for.
const FORGIVEN: f64 = 1e-3;

/// From here on doubles have no fraction left to round.
const NO_FRACTION: f64 = 4_503_599_627_370_496.0;

/// The score rounded to decimals (more than 15 count as 15); `noise` is absolute.
#[must_use]
pub fn round_as_printed(score: f64, decimals: u32, noise: f64) -> f64 {
    let power = POWERS[(decimals as usize).min(POWERS.len() - 1)];
    let scaled = (score.abs() + noise.min(FORGIVEN / power)) * power;
    if scaled.is_nan() || scaled >= NO_FRACTION {
        return score;
    }
    let rounded = (scaled + 0.5).floor() / power;
    // Adding +0 prints -0.00 as 0.00.
    rounded.copysign(score) + 0.0
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::float_cmp,
        reason = "decimals are compared as the doubles they print to"
    )]

    use super::*;

    fn round(score: f64, decimals: u32) -> f64 {
        round_as_printed(score, decimals, NOISE * 100.0)
    }

    #[test]
    fn halves_go_away_from_zero_decimally() {
        for (score, decimals, printed) in [
            (2.675, 2, 2.68),
            (1.005, 2, 1.01),
            (-2.675, 2, -2.68),
            (0.125, 2, 0.13),
            (2.5, 0, 3.0),
            (-0.5, 0, -1.0),
            (2.674_999, 2, 2.67),
            (0.1 + 0.2, 15, 0.3),
            (87.65, 1, 87.7),
            (99.999, 2, 100.0),
        ] {
            assert_eq!(round(score, decimals), printed, "{score} with {decimals}");
        }
    }

    #[test]
    fn noise_around_a_half_prints_alike() {
        let mut score = 2.675_f64;
        for _ in 0..50 {
            score = score.next_down();
        }
        assert_eq!(round(score, 2), 2.68);
    }

    #[test]
    fn nothing_is_left_to_round_far_out_and_zero_has_no_sign() {
        assert_eq!(round_as_printed(1e300, 15, 1e288), 1e300);
        assert_eq!(round_as_printed(-f64::MAX, 3, 0.0), -f64::MAX);
        assert!(round(-0.001, 2).is_sign_positive());
        assert!(round(f64::NAN, 2).is_nan());
    }
}
