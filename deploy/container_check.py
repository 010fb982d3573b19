"""The main job of both services, done from outside through a generated client.

`write` loads the demo data, publishes an edition and a forecast and prints what came out. `read`,
after a restart on the same volumes, asks for them again and has them replayed: every figure must
still be there, bit for bit. Addresses (host:port) come from ALMANAC_RANKING_ADDR and
ALMANAC_FORECAST_ADDR; exit code 0 is success.

Needs grpcio, grpcio-tools and googleapis-common-protos.
"""

import csv
import os
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"

# Every call is bounded: a service that hangs fails the check.
SECONDS = 30


def generate(out):
    """Compiles our protos into `out`; the Google annotations come as a package of their own."""
    proto = ROOT / "proto"
    files = [str(path.relative_to(proto)) for path in sorted(proto.glob("almanac/**/*.proto"))]
    folders = [proto, proto / "third_party", Path(grpc_tools.__file__).parent / "_proto"]
    code = protoc.main(
        ["protoc", *(f"-I{folder}" for folder in folders), f"--python_out={out}", f"--grpc_python_out={out}", *files]
    )
    if code != 0:
        sys.exit("the protos do not compile")
    sys.path.insert(0, out)


with tempfile.TemporaryDirectory() as stubs:
    generate(stubs)
    from almanac.common.v1 import frequency_pb2 as frequency
    from almanac.forecast.v1 import forecast_pb2, forecast_service_pb2 as forecast, market_pb2, point_pb2
    from almanac.forecast.v1.forecast_service_pb2_grpc import ForecastServiceStub
    from almanac.ranking.v1 import dataset_pb2, edition_pb2, entity_pb2, index_pb2, indicator_pb2
    from almanac.ranking.v1 import methodology_pb2 as method
    from almanac.ranking.v1 import observation_pb2, ranking_pb2, ranking_service_pb2 as ranking
    from almanac.ranking.v1.ranking_service_pb2_grpc import RankingServiceStub

DATASET = "datasets/cities"
INDEX = f"{DATASET}/indices/smart-cities"
EDITION = f"{INDEX}/editions/first"
MARKET = "markets/gdp"
FORECAST = f"{MARKET}/forecasts/first"


def rows(path):
    with open(DATA / path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r} instead of {wanted!r}")


class Client:
    """A stub whose calls all have a deadline."""

    def __init__(self, stub, variable):
        self.stub = stub(grpc.insecure_channel(os.environ[variable]))

    def __getattr__(self, name):
        call = getattr(self.stub, name)
        return lambda request: call(request, timeout=SECONDS)


def write_ranking(client):
    client.CreateDataset(ranking.CreateDatasetRequest(dataset_id="cities", dataset=dataset_pb2.Dataset(display_name="World cities")))
    indicators = rows("cities/indicators.csv")
    directions = {"1": indicator_pb2.DIRECTION_HIGHER_IS_BETTER, "-1": indicator_pb2.DIRECTION_LOWER_IS_BETTER}
    client.BatchCreateIndicators(
        ranking.BatchCreateIndicatorsRequest(
            parent=DATASET,
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
    client.BatchCreateEntities(
        ranking.BatchCreateEntitiesRequest(
            parent=DATASET,
            requests=[
                ranking.CreateEntityRequest(entity_id=row["id"], entity=entity_pb2.Entity(display_name=row["name"]))
                for row in rows("cities/cities.csv")
            ],
        )
    )
    observations = known_observations()
    written = client.WriteObservations(
        ranking.WriteObservationsRequest(
            parent=DATASET,
            observations=[
                observation_pb2.Observation(
                    indicator=row["indicator"], entity=row["city"], period=row["period"], value=float(row["value"])
                )
                for row in observations
            ],
        )
    )
    expect("observations written", written.written_count, len(observations))

    pillars = dict.fromkeys(row["pillar"] for row in indicators)
    nodes = [index_pb2.Node(id="index")]
    nodes += [index_pb2.Node(id=pillar, parent="index") for pillar in pillars]
    nodes += [index_pb2.Node(id=row["id"], parent=row["pillar"], indicator=row["id"]) for row in indicators]
    client.CreateIndex(
        ranking.CreateIndexRequest(
            parent=DATASET,
            index_id="smart-cities",
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
    edition = client.CreateEdition(ranking.CreateEditionRequest(parent=INDEX, edition_id="first"))
    expect("state of the edition", edition.state, edition_pb2.Edition.STATE_PUBLISHED)


def known_observations():
    return [row for row in rows("cities/observations.csv") if row["value"]]


def read_ranking(client):
    stored = client.ListObservations(ranking.ListObservationsRequest(parent=DATASET, page_size=1000))
    expect(
        "observations stored",
        sorted((o.indicator.split("/")[-1], o.entity.split("/")[-1], o.period, o.value) for o in stored.observations),
        sorted((o["indicator"], o["city"], o["period"], float(o["value"])) for o in known_observations()),
    )
    edition = client.GetEdition(ranking.GetEditionRequest(name=EDITION))
    expect("state of the edition", edition.state, edition_pb2.Edition.STATE_PUBLISHED)
    replay = client.VerifyEdition(ranking.VerifyEditionRequest(name=EDITION))
    expect("replay of the edition", replay.outcome, ranking.VerifyEditionResponse.OUTCOME_MATCH)

    listing = ranking.ListRankingResultsRequest(source=ranking_pb2.RankingSource(edition=EDITION), page_size=1000)
    published = client.ListRankingResults(listing)
    live = client.ListRankingResults(
        ranking.ListRankingResultsRequest(source=ranking_pb2.RankingSource(live=ranking_pb2.LiveRanking(index=INDEX)))
    )
    expect("digest of the edition's results", published.result_digest, edition.result_digest)
    expect("digest of the live results", live.result_digest, edition.result_digest)
    expect("results", len(published.results), len(rows("cities/cities.csv")))
    leaders = ", ".join(f"{r.rank} {r.display_name} {r.score:.1f}" for r in published.results[:3])
    print(f"ranking: {len(stored.observations)} observations, {leaders}, digest {edition.result_digest}")


def write_forecast(client):
    regions = rows("gdp/regions.csv")
    region_of = {row["country_code"]: row["region"] for row in regions}
    members = [market_pb2.Member(id="asia")]
    members += [market_pb2.Member(id=region, parent="asia") for region in dict.fromkeys(region_of.values())]
    members += [
        market_pb2.Member(id=row["country_code"].lower(), parent=row["region"], display_name=row["country_name"])
        for row in regions
    ]
    client.CreateMarket(
        forecast.CreateMarketRequest(
            market_id="gdp",
            market=market_pb2.Market(
                unit="USD",
                frequency=frequency.FREQUENCY_YEARLY,
                nonnegative=True,
                dimensions=[market_pb2.Dimension(id="region", members=members)],
            ),
        )
    )
    points = rows("gdp/gdp_worldbank.csv")
    written = client.WritePoints(
        forecast.WritePointsRequest(
            parent=MARKET,
            points=[
                point_pb2.Point(
                    series=point_pb2.SeriesKey(members={"region": row["Country Code"].lower()}),
                    period=row["Year"],
                    value=float(row["Value"]),
                )
                for row in points
            ],
        )
    )
    expect("points written", written.written_count, len(points))
    made = client.CreateForecast(
        forecast.CreateForecastRequest(
            parent=MARKET,
            forecast_id="first",
            forecast=forecast_pb2.Forecast(
                method=forecast_pb2.ForecastMethod(drift=forecast_pb2.Drift()),
                reconciliation=forecast_pb2.ReconciliationMethod(bottom_up=forecast_pb2.BottomUp()),
                horizon=5,
            ),
        )
    )
    expect("state of the forecast", made.state, forecast_pb2.Forecast.STATE_PUBLISHED)


def read_forecast(client):
    stored, token = [], ""
    while True:
        page = client.ListPoints(forecast.ListPointsRequest(parent=MARKET, page_size=1000, page_token=token))
        stored += page.points
        token = page.next_page_token
        if not token:
            break
    expect(
        "points stored",
        sorted((p.series.members["region"], p.period, p.value) for p in stored),
        sorted((p["Country Code"].lower(), p["Year"], float(p["Value"])) for p in rows("gdp/gdp_worldbank.csv")),
    )
    made = client.GetForecast(forecast.GetForecastRequest(name=FORECAST))
    expect("state of the forecast", made.state, forecast_pb2.Forecast.STATE_PUBLISHED)
    replay = client.VerifyForecast(forecast.VerifyForecastRequest(name=FORECAST))
    expect("replay of the forecast", replay.outcome, forecast.VerifyForecastResponse.OUTCOME_MATCH)

    values = client.ListForecastValues(forecast.ListForecastValuesRequest(parent=FORECAST, page_size=1000)).values
    means = {value.series.members["region"]: list(value.forecast.means) for value in values}
    expect("series", len(means), 36 + 3 + 1)
    region_of = {row["country_code"].lower(): row["region"] for row in rows("gdp/regions.csv")}
    for step, total in enumerate(means["asia"]):
        parts = sum(means[country][step] for country in region_of)
        if abs(parts - total) > 1e-9 * abs(total):
            sys.exit(f"countries add up to {parts}, not to {total}")
    print(f"forecast: {len(stored)} points, 5 years on {means['asia'][-1] / 1e12:.1f} trillion USD, digest {made.result_digest}")


def main():
    if sys.argv[1:] not in (["write"], ["read"]):
        sys.exit(f"usage: {sys.argv[0]} write|read")
    services = (
        (RankingServiceStub, "ALMANAC_RANKING_ADDR", write_ranking, read_ranking),
        (ForecastServiceStub, "ALMANAC_FORECAST_ADDR", write_forecast, read_forecast),
    )
    for stub, variable, write, read in services:
        client = Client(stub, variable)
        if sys.argv[1] == "write":
            write(client)
        read(client)


main()
