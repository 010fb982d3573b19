"""The main job of both services from Python, over stubs generated from the protos.

    python tests/python/almanac_demo.py --ranking 127.0.0.1:50051 --forecast 127.0.0.1:50052

Creates a dataset and two markets of its own (their IDs are new with every run), checks every
number, and ends with exit code 0 if all is as expected. Needs what requirements.txt names.
"""

import argparse
import csv
import queue
import sys
import tempfile
import uuid
from pathlib import Path

import grpc
import grpc_tools
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests" / "data"

# Every call is bounded: a service that hangs fails the run.
SECONDS = 60
# Most chunks of an import that are on their way.
WINDOW = 8


def generate(out):
    """Compiles our protos into `out`; the declarations of Google come as a package of their own."""
    proto = ROOT / "proto"
    files = [str(path.relative_to(proto)) for path in sorted(proto.glob("almanac/**/*.proto"))]
    folders = [proto, proto / "third_party", Path(grpc_tools.__file__).parent / "_proto"]
    arguments = ["protoc", *(f"-I{folder}" for folder in folders)]
    if protoc.main([*arguments, f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
        sys.exit("the protos do not compile")
    sys.path.insert(0, out)


with tempfile.TemporaryDirectory() as stubs:
    generate(stubs)
    from almanac.common.v1 import frequency_pb2 as frequency
    from almanac.common.v1 import import_pb2
    from almanac.common.v1 import missing_pb2 as missing
    from almanac.forecast.v1 import figures_pb2 as figures
    from almanac.forecast.v1 import forecast_pb2, market_pb2, point_pb2
    from almanac.forecast.v1 import forecast_service_pb2 as forecast
    from almanac.forecast.v1.forecast_service_pb2_grpc import ForecastServiceStub
    from almanac.ranking.v1 import dataset_pb2, edition_pb2, entity_pb2, index_pb2, indicator_pb2
    from almanac.ranking.v1 import methodology_pb2 as method
    from almanac.ranking.v1 import observation_pb2, ranking_pb2
    from almanac.ranking.v1 import ranking_service_pb2 as ranking
    from almanac.ranking.v1.ranking_service_pb2_grpc import RankingServiceStub


class Client:
    """A stub whose calls all have a deadline."""

    def __init__(self, stub, address):
        self.stub = stub(grpc.insecure_channel(address))

    def __getattr__(self, name):
        call = getattr(self.stub, name)
        return lambda request: call(request, timeout=SECONDS)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def near(what, got, wanted, tolerance=1e-9):
    if abs(got - wanted) > tolerance * max(1.0, abs(wanted)):
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


def rows(path):
    with open(DATA / path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(call, parent, wanted, frame, chunk, size=500):
    """Imports rows in chunks. After a cut, another stream of the same import_id would go on where
    its first answer says; a run of this script begins anew instead."""
    chunks = [wanted[at : at + size] for at in range(0, len(wanted), size)]
    frames = queue.SimpleQueue()
    answers = call(iter(frames.get, None))
    start = import_pb2.ImportStart(
        parent=parent, import_id=str(uuid.uuid4()), on_error=import_pb2.ON_ERROR_STOP
    )
    frames.put(frame(start=start))
    sent = durable = next(answers).resume.next_sequence - 1
    while durable < len(chunks):
        while sent < len(chunks) and sent - durable < WINDOW:
            frames.put(frame(chunk=chunk(sent + 1, chunks[sent])))
            sent += 1
        durable = next(answers).ack.sequence
    frames.put(frame(finish=import_pb2.ImportFinish(total_chunks=len(chunks))))
    frames.put(None)
    return next(answers).summary


def observation(row):
    """A cell of the data set; an empty value is a missing one, and is said so."""
    cell = observation_pb2.Observation(
        indicator=row["indicator"], entity=row["city"], period=row["period"]
    )
    if row["value"]:
        cell.value = float(row["value"])
    else:
        cell.missing.reason = missing.Missing.REASON_NOT_REPORTED
    return cell


def load_cities(client, dataset, indicators, cells):
    client.CreateDataset(
        ranking.CreateDatasetRequest(
            dataset_id=dataset.split("/")[1],
            dataset=dataset_pb2.Dataset(display_name="World cities, from Python"),
        )
    )
    directions = {
        "1": indicator_pb2.DIRECTION_HIGHER_IS_BETTER,
        "-1": indicator_pb2.DIRECTION_LOWER_IS_BETTER,
    }
    client.BatchCreateIndicators(
        ranking.BatchCreateIndicatorsRequest(
            parent=dataset,
            requests=[
                ranking.CreateIndicatorRequest(
                    indicator_id=row["id"],
                    indicator=indicator_pb2.Indicator(
                        display_name=row["name"],
                        unit=row["unit"],
                        direction=directions[row["direction"]],
                        frequency=frequency.FREQUENCY_YEARLY,
                        license=row["license"],
                    ),
                )
                for row in indicators
            ],
        )
    )
    asia = ("Far East & China", "Indian Subcontinent", "Rest of Asia Pacific")
    client.BatchCreateEntities(
        ranking.BatchCreateEntitiesRequest(
            parent=dataset,
            requests=[
                ranking.CreateEntityRequest(
                    entity_id=row["id"],
                    entity=entity_pb2.Entity(
                        display_name=row["name"],
                        labels={"market-region": "asia"} if row["subregion"] in asia else {},
                    ),
                )
                for row in rows("cities/cities.csv")
            ],
        )
    )
    summary = load(
        client.ImportObservations,
        dataset,
        [observation(row) for row in cells],
        frame=ranking.ImportObservationsRequest,
        chunk=lambda sequence, part: ranking.ImportChunk(sequence=sequence, observations=part),
    )
    expect("observations written", summary.written_count, len(cells))


def by_hand(indicators, cells):
    """The index as its definition reads: the score of each city."""
    pillars = {}
    for row in indicators:
        sign = float(row["direction"])
        known = {
            cell["city"]: sign * float(cell["value"])
            for cell in cells
            if cell["indicator"] == row["id"] and cell["value"]
        }
        low, high = min(known.values()), max(known.values())
        for city, value in known.items():
            scores = pillars.setdefault(city, {}).setdefault(row["pillar"], [])
            scores.append((value - low) / (high - low) * 100)
    mean = lambda values: sum(values) / len(values)
    return {city: mean([mean(scores) for scores in of.values()]) for city, of in pillars.items()}


def rank_cities(client, run):
    dataset = f"datasets/python-{run}"
    indicators = rows("cities/indicators.csv") + rows("cities/odbl/indicators.csv")
    cells = rows("cities/observations.csv") + rows("cities/odbl/observations.csv")
    load_cities(client, dataset, indicators, cells)
    pillars = dict.fromkeys(row["pillar"] for row in indicators)
    nodes = [index_pb2.Node(id="index")]
    nodes += [index_pb2.Node(id=pillar, parent="index") for pillar in pillars]
    nodes += [
        index_pb2.Node(id=row["id"], parent=row["pillar"], indicator=row["id"])
        for row in indicators
    ]
    index = client.CreateIndex(
        ranking.CreateIndexRequest(
            parent=dataset,
            index_id="smart-city",
            index=index_pb2.Index(
                nodes=nodes,
                methodology=method.Methodology(
                    periods=method.PeriodSelection(period="2026", max_age=12),
                    normalization=method.Normalization(min_max=method.MinMax()),
                    aggregation=method.Aggregation(arithmetic_mean=method.WeightedArithmeticMean()),
                ),
            ),
        )
    )
    edition = client.CreateEdition(
        ranking.CreateEditionRequest(parent=index.name, edition_id="first")
    )
    expect("state of the edition", edition.state, edition_pb2.Edition.STATE_PUBLISHED)
    source = ranking_pb2.RankingSource(edition=edition.name)
    world = client.ListRankingResults(
        ranking.ListRankingResultsRequest(source=source, page_size=1000)
    )
    expect("digest", world.result_digest, edition.result_digest)
    scores = by_hand(indicators, cells)
    expect("cities", len(world.results), len(scores))
    for result in world.results:
        near(result.entity, result.score, scores[result.entity.split("/")[-1]])
    asia = client.ListRankingResults(
        ranking.ListRankingResultsRequest(
            source=source,
            filter='labels.market-region = "asia"',
            group_by_label="market-region",
            top=5,
        )
    )
    expect("ranks in Asia", [result.group_rank for result in asia.results], [1, 2, 3, 4, 5])
    leader = world.results[0]
    card = client.GetScorecard(
        ranking.GetScorecardRequest(source=source, entity=leader.entity)
    ).scorecard
    leaves = {cell.node for cell in card.cells}
    parts = sum(node.contribution_to_root for node in card.nodes if node.node in leaves)
    near("contributions of the leader", parts, leader.score)
    replay = client.VerifyEdition(ranking.VerifyEditionRequest(name=edition.name))
    expect("replay", replay.outcome, ranking.VerifyEditionResponse.OUTCOME_MATCH)
    print(f"ranking: {leader.display_name} leads the world with {leader.score:.1f},", end=" ")
    print(f"{asia.results[0].display_name} leads Asia; digest {edition.result_digest}")
    return dataset


def refuse_ten_thousand(client, dataset):
    """10,000 violations at once: the trailers must stay small enough for this client."""
    bad = observation_pb2.Observation(
        indicator="pt-access", entity="shanghai", period="2020", value=float("nan")
    )
    try:
        client.WriteObservations(
            ranking.WriteObservationsRequest(parent=dataset, observations=[bad] * 10_000)
        )
    except grpc.RpcError as error:
        expect("code of 10,000 violations", error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        details = rpc_status.from_call(error).details
    else:
        sys.exit("10,000 observations that are no numbers were taken")
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in details:
        detail.Unpack(info)
        detail.Unpack(request)
    expect("reason", info.reason, "VALUE_NOT_FINITE")
    expect("violations", info.metadata["violations_total"], "10000")
    expect("first field", request.field_violations[0].field, "observations[0].value")
    print(f"refusal: INVALID_ARGUMENT, {info.reason}, {len(request.field_violations)} of 10,000 told")


def region(member):
    return point_pb2.SeriesKey(members={"region": member})


def exact(decimal):
    return figures.PrintedNumber(decimal=decimal, half_width=0)


def solve_figures(client):
    """19 in 2023, 42 in 2028 and the growth of three regions, all exact."""
    growths = {"far-east-china": "76", "indian-subcontinent": "231", "rest": "303"}
    members = [market_pb2.Member(id="asia")]
    members += [market_pb2.Member(id=member, parent="asia") for member in growths]
    dimension = market_pb2.Dimension(id="region", members=members)
    asked = [
        figures.PublishedFigure(
            id=period, value=figures.NodeValue(period=period, value=exact(value))
        )
        for period, value in (("2023", "19"), ("2028", "42"))
    ]
    asked += [
        figures.PublishedFigure(
            id=member,
            growth=figures.NodeGrowth(
                node=region(member), from_period="2023", to_period="2028", percent=exact(percent)
            ),
        )
        for member, percent in growths.items()
    ]
    solved = client.SolvePublishedFigures(
        forecast.SolvePublishedFiguresRequest(
            dimensions=market_pb2.Dimensions(dimensions=[dimension]),
            figures=asked,
            nonnegative=True,
        )
    )
    expect("outcome", solved.WhichOneof("outcome"), "feasible")
    far_east = next(
        found
        for found in solved.feasible.intervals
        if found.node.members["region"] == "far-east-china" and found.period == "2023"
    )
    rest = 42 - 1.76 * 19
    near("least base of Far East & China", far_east.lower, 19 - rest / 1.55)
    near("greatest base of Far East & China", far_east.upper, 19 - rest / 2.27)
    print(f"figures: Far East & China began in [{far_east.lower:.3f}, {far_east.upper:.3f}]")


def forecast_gdp(client, run):
    countries = rows("gdp/regions.csv")
    region_of = {row["country_code"].lower(): row["region"] for row in countries}
    members = [market_pb2.Member(id="asia")]
    members += [market_pb2.Member(id=of, parent="asia") for of in dict.fromkeys(region_of.values())]
    members += [market_pb2.Member(id=country, parent=of) for country, of in region_of.items()]
    market = client.CreateMarket(
        forecast.CreateMarketRequest(
            market_id=f"python-gdp-{run}",
            market=market_pb2.Market(
                unit="USD",
                frequency=frequency.FREQUENCY_YEARLY,
                nonnegative=True,
                dimensions=[market_pb2.Dimension(id="region", members=members)],
            ),
        )
    )
    gdp = {(row["Country Code"].lower(), row["Year"]): float(row["Value"]) for row in rows("gdp/gdp_worldbank.csv")}
    summary = load(
        client.ImportPoints,
        market.name,
        [
            point_pb2.Point(series=region(country), period=year, value=value)
            for (country, year), value in gdp.items()
        ],
        frame=forecast.ImportPointsRequest,
        chunk=lambda sequence, part: forecast.ImportChunk(sequence=sequence, points=part),
    )
    expect("points written", summary.written_count, len(gdp))
    made = client.CreateForecast(
        forecast.CreateForecastRequest(
            parent=market.name,
            forecast_id="first",
            forecast=forecast_pb2.Forecast(
                method=forecast_pb2.ForecastMethod(drift=forecast_pb2.Drift()),
                reconciliation=forecast_pb2.ReconciliationMethod(bottom_up=forecast_pb2.BottomUp()),
                horizon=5,
            ),
        )
    )
    expect("state of the forecast", made.state, forecast_pb2.Forecast.STATE_PUBLISHED)
    values = client.ListForecastValues(
        forecast.ListForecastValuesRequest(parent=made.name, page_size=1000)
    ).values
    means = {value.series.members["region"]: list(value.forecast.means) for value in values}
    for country in region_of:
        first, last = gdp[country, "1990"], gdp[country, "2023"]
        near(f"drift of {country}", means[country][4], max(last + 5 * (last - first) / 33, 0))
    for step, total in enumerate(means["asia"]):
        near("the sum of countries", sum(means[country][step] for country in region_of), total)
    growth = client.SummarizeGrowth(
        forecast.SummarizeGrowthRequest(forecast=made.name, from_period="2023", to_period="2028")
    )
    expect("series", growth.total_size, len(members))
    replay = client.VerifyForecast(forecast.VerifyForecastRequest(name=made.name))
    expect("replay", replay.outcome, forecast.VerifyForecastResponse.OUTCOME_MATCH)
    total = means["asia"][-1] / 1e12
    print(f"forecast: Asia's GDP comes to {total:.1f} trillion USD in 2028; digest {made.result_digest}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranking", default="127.0.0.1:50051", help="HOST:PORT")
    parser.add_argument("--forecast", default="127.0.0.1:50052", help="HOST:PORT")
    arguments = parser.parse_args()
    run = uuid.uuid4().hex[:8]
    client = Client(RankingServiceStub, arguments.ranking)
    dataset = rank_cities(client, run)
    refuse_ten_thousand(client, dataset)
    client = Client(ForecastServiceStub, arguments.forecast)
    solve_figures(client)
    forecast_gdp(client, run)
    print("python: all as expected")


main()
