//! A client in another language: Python's grpcio over stubs generated from the protos.

use std::{path::Path, process::Command};

use almanac_tests::{process::run, skip::skip};

use crate::support::{forecast, ranking};

#[tokio::test(flavor = "multi_thread")]
async fn python_does_the_main_job() {
    let Some(python) = std::env::var_os("ALMANAC_PYTHON").filter(|path| !path.is_empty()) else {
        let why = "ALMANAC_PYTHON names no Python with tests/python/requirements.txt installed";
        return skip(why).unwrap();
    };
    let (ranking, forecast) = tokio::join!(ranking(), forecast());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/almanac_demo.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .args(["--ranking", &ranking.service.address().to_string()])
        .args(["--forecast", &forecast.service.address().to_string()]);
    let ended = tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap();
    let (status, said) = ended.unwrap();
    assert!(status.success(), "{status}:\n{said}");
    assert!(said.contains("python: all as expected"), "{said}");
    ranking.stop().await;
    forecast.stop().await;
}
