//! Publishes the edition and says what it holds: the world, Asia, and why the leader leads.

use almanac_proto::ranking::v1 as pb;
use almanac_tests::{Outcome, wire};
use pb::verify_edition_response::Outcome as Replay;
use tonic::Code;

use crate::{
    During as _,
    cities::{Client, INDEX, PILLARS, attributions, disclaimer},
    table::{Table, heading, number, paragraph, rank, say, signed, step},
};

/// The edition.
const EDITION: &str = "datasets/world-cities/indices/smart-city/editions/demo-2026";

/// Publishes the edition; one that is there is verified instead.
pub(crate) async fn publish(client: &mut Client) -> Outcome<()> {
    let get = pb::GetEditionRequest {
        name: EDITION.to_owned(),
        consistency: None,
    };
    let edition = match client.get_edition(get).await {
        Err(status) if status.code() == Code::NotFound => {
            let request = pb::CreateEditionRequest {
                parent: INDEX.to_owned(),
                edition_id: "demo-2026".to_owned(),
                edition: Some(pb::Edition {
                    display_name: "Smart cities over open data, 2026".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            client
                .create_edition(request)
                .await
                .during("publishing the edition")?
        }
        found => {
            step("edition demo-2026 was published by an earlier run; it has not changed")?;
            found.during("reading the edition")?
        }
    };
    if edition.state() != pb::edition::State::Published {
        return Err(format!("the edition is {}", edition.state().as_str_name()).into());
    }
    step(&format!(
        "edition demo-2026 is PUBLISHED: {} of {} cities ranked over {} figures",
        edition.ranked_count, edition.entity_count, edition.cell_count
    ))?;
    let request = pb::VerifyEditionRequest {
        name: EDITION.to_owned(),
    };
    let replay = client
        .verify_edition(request)
        .await
        .during("verifying the edition")?;
    step(&format!(
        "VerifyEdition, replayed from its stored inputs: {}",
        outcome(replay.outcome())
    ))?;
    step(&format!("result digest {}", replay.replayed_result_digest))?;
    match replay.outcome() {
        Replay::Match => Ok(()),
        other => Err(format!("the edition's replay is {}", other.as_str_name()).into()),
    }
}

fn outcome(outcome: Replay) -> &'static str {
    outcome.as_str_name().trim_start_matches("OUTCOME_")
}

/// Prints what the edition says.
pub(crate) async fn print(client: &mut Client) -> Outcome<()> {
    heading("The world: top 10 of edition demo-2026")?;
    let world = list(client, "", "", 10).await?;
    let mut header = vec!["#", "<City", "Score"];
    header.extend(PILLARS.iter().map(|(_, _, short)| *short));
    let mut table = Table::new(&header);
    for result in &world {
        let mut row = vec![
            rank(result.rank),
            result.display_name.clone(),
            number(result.score, 1),
        ];
        for (pillar, ..) in PILLARS {
            let score = result.nodes.iter().find(|node| node.node == pillar);
            row.push(number(score.and_then(|node| node.score), 1));
        }
        table.row(row);
    }
    table.print()?;
    say("")?;
    disclaimer()?;

    heading("Asia: top 5 (labels.market-region = \"asia\")")?;
    let asia = list(
        client,
        "labels.market-region = \"asia\"",
        "market-region",
        5,
    )
    .await?;
    let mut table = Table::new(&["#", "<City", "<Subregion", "Score", "In the world"]);
    for result in asia {
        let subregion = result.labels.get("subregion").cloned().unwrap_or_default();
        let (place, world) = (rank(result.group_rank), rank(result.rank));
        table.row(vec![
            place,
            result.display_name,
            subregion,
            number(result.score, 1),
            world,
        ]);
    }
    table.print()?;

    let leader = world.first().ok_or("the ranking is empty")?;
    scorecard(client, leader).await?;
    heading("Whose figures these are")?;
    for owed in attributions()? {
        paragraph(&owed)?;
    }
    Ok(())
}

async fn list(
    client: &mut Client,
    filter: &str,
    group_by_label: &str,
    top: i32,
) -> Outcome<Vec<pb::RankingResult>> {
    let request = pb::ListRankingResultsRequest {
        source: wire::edition(EDITION),
        filter: filter.to_owned(),
        group_by_label: group_by_label.to_owned(),
        view: pb::RankingView::Full.into(),
        top: Some(top),
        page_size: 1000,
        ..Default::default()
    };
    Ok(client
        .list_ranking_results(request)
        .await
        .during("listing the ranking")?
        .results)
}

async fn scorecard(client: &mut Client, of: &pb::RankingResult) -> Outcome<()> {
    heading(&format!("Why {} leads", of.display_name))?;
    let request = pb::GetScorecardRequest {
        source: wire::edition(EDITION),
        entity: of.entity.clone(),
        peer_count: Some(2),
    };
    let answer = client
        .get_scorecard(request)
        .await
        .during("reading the scorecard")?;
    let card = answer.scorecard.ok_or("an answer without a scorecard")?;
    for sentence in &card.explanation {
        paragraph(sentence)?;
    }
    say("")?;
    let header = [
        "Pillar",
        "Weight",
        "Score",
        "Rank",
        "Points",
        "Over the median",
        "Over the next city",
    ];
    let mut table = Table::new(&header);
    for (pillar, ..) in PILLARS {
        let Some(node) = card.nodes.iter().find(|node| node.node == pillar) else {
            continue;
        };
        table.row(vec![
            node.display_name.clone(),
            format!("{:.0} %", node.effective_weight * 100.0),
            number(node.score, 1),
            rank(node.rank),
            number(node.contribution_to_root, 2),
            signed(node.lead_over_median, 1),
            signed(node.lead_over_next, 2),
        ]);
    }
    table.print()?;
    for (title, leaves) in [
        ("Strengths", &card.strengths),
        ("Weaknesses", &card.weaknesses),
    ] {
        say("")?;
        let mut table = Table::new(&[title, "Rank", "Figure", "<Unit", "Year"]);
        for leaf in leaves.iter() {
            let node = card.nodes.iter().find(|node| node.node == *leaf);
            let cell = card.cells.iter().find(|cell| cell.node == *leaf);
            let (Some(node), Some(cell)) = (node, cell) else {
                continue;
            };
            let name = node.display_name.clone();
            let period = cell.period.clone();
            let unit = cell.unit.clone();
            table.row(vec![
                name,
                rank(node.rank),
                number(cell.value, 1),
                unit,
                period,
            ]);
        }
        table.print()?;
    }
    let peers = card.peers.iter();
    let peers: Vec<String> = peers
        .map(|peer| format!("{} {} {:.1}", peer.rank, peer.display_name, peer.score))
        .collect();
    say("")?;
    Ok(paragraph(&format!("Next to it: {}.", peers.join(", ")))?)
}
