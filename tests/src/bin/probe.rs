//! The determinism probe: hashes over the bits of both services' results.
//!
//! It must print the same on every machine and processor. The lines that begin with `control:`
//! hash what is known to differ between processors, so that a comparison can be seen to fail.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "ranking {}",
        ranking_service::domain::bit_hash::bit_probe()
    )?;
    writeln!(
        out,
        "forecast {}",
        forecast_service::domain::probe::bit_probe()
    )?;
    for (name, function) in controls() {
        writeln!(out, "control: {name} {:016x}", hash(function))?;
    }
    Ok(())
}

/// A function of one number, and its name.
type Control = (&'static str, fn(f64) -> f64);

/// The platform's transcendental functions, which choose their code by the processor.
#[expect(
    clippy::disallowed_methods,
    reason = "the control has to be what differs between processors"
)]
fn controls() -> [Control; 5] {
    [
        ("exp", |x| (x * 0.01).exp()),
        ("ln", |x| (1.0 + x).ln()),
        ("powf", |x| (1.0 + x * 0.001).powf(1.37)),
        ("sin", f64::sin),
        ("tan", f64::tan),
    ]
}

/// A hash over the bits of a function's values.
fn hash(function: fn(f64) -> f64) -> u64 {
    let mut hasher = DefaultHasher::new();
    for step in 0..200_000_u32 {
        let x = std::hint::black_box(f64::from(step) * 0.317);
        function(x).to_bits().hash(&mut hasher);
    }
    hasher.finish()
}
