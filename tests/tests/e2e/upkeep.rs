//! Upkeep by the service's own binary: a running service is backed up, checked, brought back; one
//! that stands still is compacted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use almanac_tests::{
    process::{binary, run},
    service::{Forecast, Kind as _, Ranking, Running},
    skip::skip,
    wire,
};
use tempfile::TempDir;

use almanac_proto::{
    common::v1::{Consistency, consistency::Requirement},
    ranking::v1 as pb,
};
use tonic::Code;

use crate::support::{
    DATASET, Fresh, INDEX, edition_request, live_request, ranking, refused, small, write,
};

/// The ranking service's own program.
fn program() -> Option<PathBuf> {
    program_of(Ranking::PROGRAM.name)
}

fn program_of(name: &str) -> Option<PathBuf> {
    let found = binary(Path::new(env!("CARGO_BIN_EXE_demo")), name);
    if found.is_none() {
        let why = format!("{name} is not built; cargo test --workspace builds it");
        skip(&why).unwrap();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_drops_old_configuration_and_nothing_else() {
    let Some(path) = program() else { return };
    let compact = |data: &Path, hours: &str| {
        let mut command = Command::new(&path);
        command.arg("compact").arg("--data-dir").arg(data);
        command.args(["--keep-versions-hours", hours]);
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
    let exactly = |revision: &str| {
        let live = pb::LiveRanking {
            index: INDEX.to_owned(),
            overrides: Vec::new(),
            consistency: Some(Consistency {
                requirement: Some(Requirement::ExactRevision(revision.to_owned())),
            }),
        };
        let source = Some(pb::ranking_source::Source::Live(live));
        pb::ListRankingResultsRequest {
            source: Some(pb::RankingSource { source }),
            ..Default::default()
        }
    };
    let first = client.list_ranking_results(live_request()).await.unwrap();
    let first = first.into_inner().revision;
    for value in [70.0, 80.0] {
        let corrected = wire::observation("air", "oslo", "2023", value);
        client
            .write_observations(write(vec![corrected]))
            .await
            .unwrap();
        let renamed = pb::UpdateDatasetRequest {
            dataset: Some(pb::Dataset {
                name: DATASET.to_owned(),
                display_name: format!("renamed {value}"),
                ..Default::default()
            }),
            ..Default::default()
        };
        client.update_dataset(renamed).await.unwrap();
    }
    let versions = pb::ListObservationVersionsRequest {
        parent: DATASET.to_owned(),
        indicator: "air".to_owned(),
        entity: "oslo".to_owned(),
        period: "2023".to_owned(),
        ..Default::default()
    };
    let before = client
        .list_observation_versions(versions.clone())
        .await
        .unwrap()
        .into_inner();
    let live = client.list_ranking_results(live_request()).await.unwrap();
    let live = live.into_inner();
    client.list_ranking_results(exactly(&first)).await.unwrap();

    let (code, said) = compact(fresh.dir.path(), "0");
    assert!(code == Some(1) && said.contains("is in use"), "{said}");
    let Fresh { service, dir } = fresh;
    service.stop().await.unwrap();
    let (code, said) = compact(dir.path(), "1");
    assert!(
        code == Some(0) && said.contains("nothing to drop"),
        "{said}"
    );
    let (code, said) = compact(dir.path(), "0");
    assert!(code == Some(0) && said.contains("dropped"), "{said}");

    let service = Running::<Ranking>::start(dir.path()).await.unwrap();
    let mut client = service.client();
    let after = client
        .list_observation_versions(versions)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(after, before);
    let now = client.list_ranking_results(live_request()).await.unwrap();
    assert_eq!(now.into_inner(), live);
    let gone = client.list_ranking_results(exactly(&first)).await;
    let refusal = refused(gone, Code::FailedPrecondition, "REVISION_COMPACTED", "");
    let oldest = refusal.metadata.get("oldest_revision").unwrap();
    client.list_ranking_results(exactly(oldest)).await.unwrap();
    let replay = client.verify_edition(pb::VerifyEditionRequest {
        name: "datasets/cities/indices/livable/editions/first".to_owned(),
    });
    let outcome = replay.await.unwrap().into_inner().outcome();
    assert_eq!(outcome, pb::verify_edition_response::Outcome::Match);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_backed_up_and_brought_back() {
    let Some(path) = program() else { return };
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

    // The other service has other tables.
    let Some(other) = program_of(Forecast::PROGRAM.name) else {
        return;
    };
    let nowhere = root.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let none: &[&str] = &[];
    for (action, more) in [
        ("verify", none),
        ("compact", none),
        ("backup", &["--to", nowhere]),
        ("serve", &["--listen", "127.0.0.1:0"]),
    ] {
        let mut command = Command::new(&other);
        command.arg(action).arg("--data-dir").arg(&back).args(more);
        let (status, said) = run(&mut command).unwrap();
        assert_eq!(status.code(), Some(64), "{action}: {said}");
        assert!(said.contains("is a store of ranking-service"), "{said}");
    }
}
