//! Upkeep by the service's own binary: a running service is backed up, checked, brought back.

use std::{fs, path::Path, process::Command};

use almanac_tests::{
    process::{binary, run},
    service::{Kind as _, Ranking, Running},
    skip::skip,
};
use tempfile::TempDir;

use crate::support::{edition_request, live_request, ranking, small};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_backed_up_and_brought_back() {
    let name = Ranking::PROGRAM.name;
    let Some(path) = binary(Path::new(env!("CARGO_BIN_EXE_demo")), name) else {
        let why = format!("{name} is not built; cargo test --workspace builds it");
        return skip(&why).unwrap();
    };
    let upkeep = |action: &str, data: &Path, other: Option<(&str, &Path)>| {
        let mut command = Command::new(&path);
        command.arg(action).arg("--data-dir").arg(data);
        if let Some((flag, dir)) = other {
            command.arg(flag).arg(dir);
        }
        let (status, said) = run(&mut command).unwrap();
        (status.code(), said)
    };
    let fresh = ranking().await;
    let mut client = fresh.service.client();
    small(&mut client).await;
    client
        .create_edition(edition_request("first"))
        .await
        .unwrap();
    let before = client.list_ranking_results(live_request()).await.unwrap();
    let before = before.into_inner();

    let root = TempDir::new().unwrap();
    let (copy, back) = (root.path().join("copy"), root.path().join("back"));
    let data = fresh.dir.path();
    let (code, said) = upkeep("verify", data, None);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by process"), "{said}");
    let (code, said) = upkeep("backup", data, None);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("--to"), "{said}");
    let (code, said) = upkeep("backup", data, Some(("--to", &copy)));
    assert!(code == Some(0) && said.contains("backed up"), "{said}");
    let (code, said) = upkeep("backup", data, Some(("--to", &copy)));
    assert!(code == Some(1) && said.contains("is not empty"), "{said}");
    let (code, said) = upkeep("verify", &copy, None);
    assert!(code == Some(0) && said.contains("verified"), "{said}");
    let (code, said) = upkeep("restore", &back, Some(("--from", &copy)));
    assert!(code == Some(0) && said.contains("restored"), "{said}");
    fresh.stop().await;

    let service = Running::<Ranking>::start(&back).await.unwrap();
    let mut client = service.client();
    let after = client.list_ranking_results(live_request()).await.unwrap();
    // The revision included: what was read then can still be asked for.
    assert_eq!(after.into_inner(), before);
    service.stop().await.unwrap();
    let (code, said) = upkeep("verify", &back, None);
    assert!(code == Some(0) && said.contains("verified"), "{said}");

    let log = copy.join("log/00000001");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let (code, said) = upkeep("verify", &copy, None);
    assert_eq!(code, Some(65), "{said}");
    assert!(said.contains("segment 1, offset"), "{said}");
}
