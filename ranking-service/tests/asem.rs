//! The ASEM index against COINr 1.1.14: every score and rank at every level.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it skipped, in its helpers too"
)]

mod support;

use std::collections::BTreeMap;

use almanac_service_kit::plain::control::Unlimited;
use ranking_service::domain::column::Column;
use ranking_service::domain::direction::Direction;
use ranking_service::domain::framework::Framework;
use ranking_service::domain::methodology::{
    Aggregation, Methodology, NodeMethodology, NormalizationMethod, RankOptions,
};
use ranking_service::domain::pipeline::{Extent, Ranking, leaf_inputs, run};
use ranking_service::domain::rank::rank_in_groups;
use support::{Asem, Golden, Table, entities, methodology, reference, tied};

const MIN_MAX: NormalizationMethod = NormalizationMethod::MIN_MAX_100;

/// Loads the index, or says why the test is skipped.
fn asem() -> Option<Asem> {
    match reference("asem") {
        Ok(folder) => Some(Asem::load(folder)),
        Err(skipped) => {
            println!("{skipped}");
            None
        }
    }
}

fn ranking(
    asem: &Asem,
    framework: &Framework,
    methodology: &Methodology,
    columns: &BTreeMap<String, Column>,
    directed: bool,
) -> Ranking {
    let inputs = leaf_inputs(framework, |id| {
        let direction = if directed {
            asem.directions[id]
        } else {
            Direction::HigherIsBetter
        };
        Some((direction, columns.get(id)?))
    });
    let every = Extent::EveryNode;
    let units = entities(&asem.units);
    run(
        framework,
        methodology,
        &units,
        &inputs.unwrap(),
        every,
        &Unlimited,
    )
    .unwrap()
}

/// Scores at every node against the columns of a file.
fn check_scores(golden: &mut Golden, asem: &Asem, ranking: &Ranking, file: &str) {
    let table = asem.table(file);
    for (position, node) in asem.nodes.iter().enumerate() {
        if table.header().contains(&node.id) {
            let ours = ranking.node(position).unwrap().scores.to_options();
            let reference = table.numbers_by("uCode", &asem.units, &node.id);
            golden.scores(&format!("{file}: {}", node.id), &ours, &reference);
        }
    }
}

/// Ranks of every node against the columns of a file, within groups of units.
fn check_ranks(
    golden: &mut Golden,
    asem: &Asem,
    ranking: &Ranking,
    file: &str,
    groups: &[u32],
    options: &RankOptions,
) {
    let (table, scores) = (asem.table(file), asem.table("aggregated.csv"));
    let numbers: Vec<Option<u32>> = groups.iter().copied().map(Some).collect();
    for (position, node) in asem.nodes.iter().enumerate() {
        let scores_here = &ranking.node(position).unwrap().scores;
        let ours = rank_in_groups(scores_here, &numbers, options, &Unlimited).unwrap();
        let column = |table: &Table| table.numbers_by("uCode", &asem.units, &node.id);
        let reference = tied(&column(&table), &column(&scores), groups);
        golden.ranks(
            &format!("{file}: {}", node.id),
            &ours.to_options(),
            &reference,
        );
    }
}

/// Scores and ranks of the aggregates against one variant of `variants.csv`.
fn check_variant(golden: &mut Golden, asem: &Asem, ranking: &Ranking, variant: &str) {
    let table = asem.table("variants.csv");
    let (names, units, nodes) = (
        table.text("variant"),
        table.text("uCode"),
        table.text("iCode"),
    );
    let (scores, ranks) = (table.numbers("score"), table.numbers("rank"));
    let mut aggregates = 0;
    for (position, node) in asem.nodes.iter().enumerate() {
        let cells: BTreeMap<&str, usize> = (0..names.len())
            .filter(|&row| names[row] == variant && nodes[row] == node.id)
            .map(|row| (units[row].as_str(), row))
            .collect();
        if cells.is_empty() {
            continue;
        }
        aggregates += 1;
        let pick = |of: &[Option<f64>]| -> Vec<Option<f64>> {
            asem.units
                .iter()
                .map(|unit| of[cells[unit.as_str()]])
                .collect()
        };
        let what = format!("{variant}: {}", node.id);
        let ours = ranking.node(position).unwrap();
        golden.scores(&what, &ours.scores.to_options(), &pick(&scores));
        let one = vec![0; asem.units.len()];
        let reference = tied(&pick(&ranks), &pick(&scores), &one);
        golden.ranks(&what, &ours.ranks.to_options(), &reference);
    }
    assert_eq!(aggregates, 11, "{variant}");
}

/// Tells that a golden case ran, also to the file that counts them: cargo shows nothing of what a
/// passing test prints.
fn tell(name: &str, told: &str) {
    println!("golden: {name}: {told}");
    if let Some(path) = std::env::var_os("ALMANAC_GOLDEN_LOG") {
        let mut log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        std::io::Write::write_all(&mut log, format!("golden: {name}\n").as_bytes()).unwrap();
    }
}

fn finish(name: &str, golden: Golden) {
    tell(
        &format!("asem {name}"),
        &format!("{} cells checked", golden.settle(name)),
    );
}

#[test]
fn the_index_from_normalized_and_from_treated_data() {
    let Some(asem) = asem() else { return };
    let framework = asem.framework();
    let mut golden = Golden::default();
    let identity = methodology(NormalizationMethod::Identity);
    let columns = asem.columns("normalised.csv");
    let from_normalized = ranking(&asem, &framework, &identity, &columns, false);
    let columns = asem.columns("treated.csv");
    let from_treated = ranking(&asem, &framework, &methodology(MIN_MAX), &columns, true);
    check_scores(&mut golden, &asem, &from_treated, "normalised.csv");
    for ranking in [from_normalized, from_treated] {
        check_scores(&mut golden, &asem, &ranking, "aggregated.csv");
        let one = vec![0; asem.units.len()];
        check_ranks(
            &mut golden,
            &asem,
            &ranking,
            "ranks.csv",
            &one,
            &identity.rank,
        );
        assert!(ranking.unranked().is_empty());
        // Among all and within the one group of all is the same.
        let root = ranking.node(framework.root()).unwrap();
        let numbers = vec![Some(0); asem.units.len()];
        assert_eq!(
            root.ranks,
            rank_in_groups(&root.scores, &numbers, &identity.rank, &Unlimited).unwrap()
        );
    }
    finish("index", golden);
}

#[test]
fn variants_of_normalization_and_data() {
    let Some(asem) = asem() else { return };
    let framework = asem.framework();
    let mut golden = Golden::default();
    let onto = |lower, upper| NormalizationMethod::MinMax { lower, upper };
    let z_score = NormalizationMethod::ZScore {
        mean: 0.0,
        standard_deviation: 1.0,
    };
    for (variant, data, method) in [
        ("minmax0_100|amean", "treated.csv", MIN_MAX),
        (
            "minmax0_100|amean|w=none(equal,a_gmean n/a)",
            "treated.csv",
            MIN_MAX,
        ),
        ("minmax1_100|amean", "treated.csv", onto(1.0, 100.0)),
        // What the distance to the maximum comes to.
        ("dist2max|amean", "treated.csv", onto(0.0, 1.0)),
        ("zscore0_1|amean", "treated.csv", z_score),
        ("notreat|minmax0_100|amean", "imputed.csv", MIN_MAX),
    ] {
        let columns = asem.columns(data);
        let ranking = ranking(&asem, &framework, &methodology(method), &columns, true);
        check_variant(&mut golden, &asem, &ranking, variant);
    }
    finish("variants", golden);
}

#[test]
fn variants_with_gaps_and_with_minimum_availability() {
    let Some(asem) = asem() else { return };
    let framework = asem.framework();
    let mut golden = Golden::default();
    let columns = asem.columns("noimpute_normalised.csv");
    let mut methodology = methodology(NormalizationMethod::Identity);
    let gaps = ranking(&asem, &framework, &methodology, &columns, false);
    check_variant(&mut golden, &asem, &gaps, "noimpute|minmax0_100|amean");
    methodology.nodes = asem
        .nodes
        .iter()
        .filter(|node| node.indicator.is_none())
        .map(|node| NodeMethodology {
            node: node.id.clone(),
            normalization: None,
            aggregation: Some(Aggregation {
                minimum_availability: match asem.levels[&node.id].as_str() {
                    "2" => 0.85,
                    "3" => 0.99,
                    _ => 0.5,
                },
                ..Aggregation::default()
            }),
        })
        .collect();
    let strict = ranking(&asem, &framework, &methodology, &columns, false);
    let variant = "noimpute|minmax0_100|amean|dat_thresh=0.85,0.99,0.5";
    check_variant(&mut golden, &asem, &strict, variant);
    let unranked = strict.unranked().len();
    assert_eq!(
        unranked,
        asem.units.len() - strict.node(framework.root()).unwrap().ranks.ranked()
    );
    finish("gaps", golden);
}

#[test]
fn ranks_within_groups() {
    let Some(asem) = asem() else { return };
    let framework = asem.framework();
    let mut golden = Golden::default();
    let columns = asem.columns("normalised.csv");
    let methodology = methodology(NormalizationMethod::Identity);
    let ranking = ranking(&asem, &framework, &methodology, &columns, false);
    let file = "ranks_by_EurAsia_group.csv";
    let table = asem.table(file);
    let units = table.text("uCode").iter().zip(table.text("EurAsia_group"));
    let group: BTreeMap<&str, u32> = units
        .map(|(unit, group)| (unit.as_str(), u32::from(group == "Asia")))
        .collect();
    let groups: Vec<u32> = asem.units.iter().map(|unit| group[unit.as_str()]).collect();
    check_ranks(
        &mut golden,
        &asem,
        &ranking,
        file,
        &groups,
        &methodology.rank,
    );
    finish("groups", golden);
}

#[test]
fn effective_weights_and_weights_of_zero() {
    let Some(asem) = asem() else { return };
    let framework = asem.framework();
    let mut golden = Golden::default();
    let table = asem.table("effective_weights.csv");
    let ids: Vec<String> = asem.nodes.iter().map(|node| node.id.clone()).collect();
    let reference = table.numbers_by("iCode", &ids, "EffWeight");
    let weights = (0..framework.len()).map(|node| Some(framework.effective_weight(node)));
    golden.scores(
        "effective weights",
        &weights.collect::<Vec<_>>(),
        &reference,
    );

    let columns = asem.columns("normalised.csv");
    let methodology = methodology(NormalizationMethod::Identity);
    let mut without = |removed: &str, ranks: &str, scores: Option<&str>| {
        let mut nodes = asem.nodes.clone();
        for node in nodes.iter_mut().filter(|node| node.id == removed) {
            node.weight = 0.0;
        }
        let framework = Framework::new(nodes).unwrap();
        let ranking = ranking(&asem, &framework, &methodology, &columns, false);
        let root = ranking.node(framework.root()).unwrap();
        let reference = asem.table(ranks).numbers_by("uCode", &asem.units, removed);
        golden.ranks(
            &format!("without {removed}"),
            &root.ranks.to_options(),
            &reference,
        );
        if let Some(scores) = scores {
            let reference = asem.table(scores).numbers_by("uCode", &asem.units, removed);
            golden.scores(
                &format!("without {removed}"),
                &root.scores.to_options(),
                &reference,
            );
        }
    };
    for node in &asem.nodes {
        match asem.levels[&node.id].as_str() {
            "1" => without(&node.id, "remove_level1_ranks.csv", None),
            "2" => without(
                &node.id,
                "remove_level2_ranks.csv",
                Some("remove_level2_scores.csv"),
            ),
            "3" => without(
                &node.id,
                "remove_level3_ranks.csv",
                Some("remove_level3_scores.csv"),
            ),
            _ => {}
        }
    }
    finish("weights", golden);
}
