//! Compiles the protos without protoc: protox parses them, tonic-prost-build generates.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// The service files; everything else is reached from them.
const SERVICES: [(&str, &str); 2] = [
    ("almanac/ranking/v1/ranking_service.proto", "ranking.binpb"),
    (
        "almanac/forecast/v1/forecast_service.proto",
        "forecast.binpb",
    ),
];
/// Reasons are in no message: they travel as text in google.rpc.ErrorInfo.
const REASONS: [&str; 3] = [
    "almanac/common/v1/error_reason.proto",
    "almanac/ranking/v1/error_reason.proto",
    "almanac/forecast/v1/error_reason.proto",
];
const INCLUDES: [&str; 2] = [".", "third_party"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=almanac");
    println!("cargo::rerun-if-changed=third_party");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // One descriptor set a service: each server reflects its own package only.
    for (service, image) in SERVICES {
        let set = protox::compile([service, REASONS[0]], INCLUDES)?;
        fs::write(out.join(image), set.encode_to_vec())?;
    }
    let files = SERVICES.iter().map(|(service, _)| *service).chain(REASONS);
    let all = protox::compile(files, INCLUDES)?;
    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(all)?;
    Ok(())
}
