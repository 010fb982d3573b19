//! Processes: the demo as a newcomer runs it, and the services' own binaries.

use std::{path::Path, process::Command};

use almanac_tests::{
    process::{Process, Signal, address_in, binary, run},
    service::{Forecast, Kind, Ranking, Running, connect, serving},
    skip::skip,
};
use tempfile::TempDir;

const DEMO: &str = env!("CARGO_BIN_EXE_demo");

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(DEMO);
    command.arg("--dir").arg(dir);
    command
}

#[test]
fn the_demo_can_be_run_twice_on_one_directory() {
    let dir = TempDir::new().unwrap();
    let (status, first) = run(demo(dir.path()).args(["--", "--exit"])).unwrap();
    assert!(status.success(), "{first}");
    for part in [
        "The world: top 10",
        "Asia: top 5",
        "Why ",
        "not anybody's",
        "VerifyEdition, replayed from its stored inputs: MATCH",
        "VerifyForecast, replayed from its stored inputs: MATCH",
        "Indian Subcontinent",
        "Growth 2023 to 2028 by region",
        "ODbL-1.0",
    ] {
        assert!(first.contains(part), "no {part:?} in:\n{first}");
    }
    let (status, second) = run(demo(dir.path()).arg("--exit")).unwrap();
    assert!(status.success(), "{second}");
    let digests = |said: &str| -> Vec<String> {
        said.lines()
            .filter(|line| line.contains("result digest"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(digests(&first).len(), 2);
    assert_eq!(digests(&first), digests(&second));
    assert!(second.contains("published by an earlier run"), "{second}");
}

#[test]
fn the_demo_serves_on_until_it_is_interrupted() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::spawn(&mut demo(dir.path())).unwrap();
    process.until("^C ends both").unwrap();
    let said = process.seen.join("\n");
    let address = |name: &str| {
        let line = process
            .seen
            .iter()
            .find(|line| line.contains(&format!("{name} is SERVING")));
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap()
            .parse()
            .unwrap()
    };
    let (ranking, forecast) = (address("ranking-service"), address("forecast-service"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for (address, service) in [
            (ranking, Ranking::PROGRAM.service),
            (forecast, Forecast::PROGRAM.service),
        ] {
            serving(connect(address).await.unwrap(), service)
                .await
                .unwrap();
        }
    });
    drop(runtime);
    assert!(said.contains(&format!(
        "{ranking} almanac.ranking.v1.RankingService/GetScorecard"
    )));
    process.signal(Signal::INT).unwrap();
    let status = process.wait().unwrap();
    assert!(status.success(), "{status}: {:?}", process.seen);
    assert!(
        process
            .seen
            .iter()
            .any(|line| line.contains("their stores are closed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_directory_is_told() {
    let dir = TempDir::new().unwrap();
    let service = Running::<Ranking>::start(&dir.path().join("ranking"))
        .await
        .unwrap();
    let mut command = demo(dir.path());
    command.arg("--exit");
    let ended = tokio::task::spawn_blocking(move || run(&mut command))
        .await
        .unwrap();
    let (status, said) = ended.unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("is in use by process"), "{said}");
    assert!(said.contains("cannot start ranking-service"), "{said}");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_own_binaries() {
    for program in [Ranking::PROGRAM, Forecast::PROGRAM] {
        let Some(path) = binary(Path::new(DEMO), program.name) else {
            let why = format!(
                "{} is not built; cargo test --workspace builds it",
                program.name
            );
            skip(&why).unwrap();
            continue;
        };
        let dir = TempDir::new().unwrap();
        let serve = |dir: &Path| {
            let mut command = Command::new(&path);
            command
                .arg("--data-dir")
                .arg(dir)
                .args(["--listen", "127.0.0.1:0"]);
            command.args(["--log-format", "json", "--log-filter", "info"]);
            command
        };
        let mut process = Process::spawn(&mut serve(dir.path())).unwrap();
        let line = process.until("\"listening\"").unwrap();
        let address = address_in(&line).unwrap();
        let channel = connect(address).await.unwrap();
        serving(channel, program.service).await.unwrap();
        // A second process on its directory ends with a clear message.
        let (status, said) = run(&mut serve(dir.path())).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("is in use by process"), "{said}");
        let mut ask = Command::new(&path);
        let (status, said) =
            run(ask.args(["healthcheck", "--listen", &address.to_string()])).unwrap();
        assert!(status.success() && said.contains("SERVING"), "{said}");
        process.signal(Signal::TERM).unwrap();
        let status = process.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{:?}", process.seen);

        let bad = ["--listen", "nowhere", "--cache-mib", "1"];
        let (status, said) = run(Command::new(&path).args(bad)).unwrap();
        assert_eq!(status.code(), Some(64), "{said}");
        assert!(
            said.contains("--listen") && said.contains("--cache-mib"),
            "{said}"
        );
        let (status, said) = run(Command::new(&path).arg("--print-config")).unwrap();
        assert!(status.success() && said.contains("data-dir = "), "{said}");
        let (status, said) = run(Command::new(&path).arg("--version")).unwrap();
        assert!(status.success() && said.contains(program.version), "{said}");
    }
}
