//! Quantiles of the standard normal distribution.
//!
//! Method: Wichura, M. J. (1988), Algorithm AS 241, routine PPND16, Applied Statistics 37(3),
//! 477-484: three rational approximations, relative accuracy about 1e-16. Cost: O(1).

#![expect(
    clippy::excessive_precision,
    reason = "the coefficients as they were published"
)]

/// Numerator and denominator of a rational function, coefficients ascending; the denominator's
/// constant is 1.
type Rational = ([f64; 8], [f64; 7]);

/// |p - 1/2| <= 0.425.
const CENTRAL: Rational = (
    [
        3.387_132_872_796_366_608_0,
        133.141_667_891_784_377_45,
        1_971.590_950_306_551_442_7,
        13_731.693_765_509_461_125,
        45_921.953_931_549_871_457,
        67_265.770_927_008_700_853,
        33_430.575_583_588_128_105,
        2_509.080_928_730_122_672_7,
    ],
    [
        42.313_330_701_600_911_252,
        687.187_007_492_057_908_30,
        5_394.196_021_424_751_107_7,
        21_213.794_301_586_595_867,
        39_307.895_800_092_710_610,
        28_729.085_735_721_942_674,
        5_226.495_278_852_854_561_0,
    ],
);
/// sqrt(-ln tail) <= 5.
const MIDDLE: Rational = (
    [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_90,
        5.769_497_221_460_691_405_50,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        0.241_780_725_177_450_611_770,
        0.022_723_844_989_269_184_583_3,
        7.745_450_142_783_414_076_40e-4,
    ],
    [
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_40,
        0.689_767_334_985_100_004_550,
        0.148_103_976_427_480_074_590,
        0.015_198_666_563_616_457_196_6,
        5.475_938_084_995_344_946_00e-4,
        1.050_750_071_644_416_843_24e-9,
    ],
);
/// sqrt(-ln tail) > 5.
const FAR: Rational = (
    [
        6.657_904_643_501_103_777_20,
        5.463_784_911_164_114_369_90,
        1.784_826_539_917_291_335_80,
        0.296_560_571_828_504_891_230,
        0.026_532_189_526_576_123_093_0,
        1.242_660_947_388_078_438_60e-3,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ],
    [
        0.599_832_206_555_887_937_690,
        0.136_929_880_922_735_805_310,
        0.014_875_361_290_850_614_852_5,
        7.868_691_311_456_132_591_00e-4,
        1.846_318_317_510_054_681_80e-5,
        1.421_511_758_316_445_888_70e-7,
        2.044_263_103_389_939_785_64e-15,
    ],
);

/// The value that a standard normal variable stays below with probability `p`; none unless
/// 0 < p < 1.
#[must_use]
pub fn quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return Some(q * ratio(&CENTRAL, 0.180_625 - q * q));
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let size = if r <= 5.0 {
        ratio(&MIDDLE, r - 1.6)
    } else {
        ratio(&FAR, r - 5.0)
    };
    Some(if q < 0.0 { -size } else { size })
}

/// The value that a standard normal variable lies within, on both sides, with probability
/// `level`; none unless 0 < level < 1.
#[must_use]
pub fn two_sided(level: f64) -> Option<f64> {
    if level > 0.0 && level < 1.0 {
        // By the tail, which keeps its digits also where the level is close to 1.
        quantile((1.0 - level) / 2.0).map(|lower| -lower)
    } else {
        None
    }
}

fn ratio((numerator, denominator): &Rational, x: f64) -> f64 {
    let horner = |start: f64, rest: &[f64]| rest.iter().rev().fold(start, |sum, c| sum * x + c);
    horner(0.0, numerator) / (horner(0.0, denominator) * x + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        for (level, z) in [
            (0.5, 0.674_489_750_196_081_7),
            (0.8, 1.281_551_565_544_600_4),
            (0.9, 1.644_853_626_951_472_2),
            (0.95, 1.959_963_984_540_054),
            (0.99, 2.575_829_303_548_900_4),
        ] {
            let found = two_sided(level).unwrap();
            assert!((found - z).abs() < 4e-15, "{level}: {found}");
        }
        assert!((quantile(1e-20).unwrap() + 9.262_340_089_798_409).abs() < 1e-12);
    }

    #[test]
    fn the_distribution_gives_the_probability_back() {
        for step in 1..1000 {
            let p = f64::from(step) / 1000.0;
            let z = quantile(p).unwrap();
            let back = 0.5 * libm::erfc(-z / std::f64::consts::SQRT_2);
            assert!((back - p).abs() < 1e-15 * 4.0, "{p}: {back}");
        }
    }

    #[test]
    fn only_probabilities_have_quantiles() {
        for p in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert_eq!(quantile(p), None);
            assert_eq!(two_sided(p), None);
        }
    }
}
