"""GET /metrics: figures that Prometheus reads, for whoever may read."""

import asyncio

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from domain.actors import Role
from resolvers import tokens
from resolvers.activity import oldest_write
from resolvers.context import Context
from resolvers.load import Load, seconds
from server.graphql.connections import Connections, Transport
from server.metrics import Figures
from server.process import Running
from tests.api import Api
from tests.transports import bearer

FIGURES = {
    "rollwave_stream_connections": "gauge",
    "rollwave_subscribers": "gauge",
    "rollwave_subscription_groups": "gauge",
    "rollwave_mailbox_events": "gauge",
    "rollwave_mailbox_overflows": "counter",
    "rollwave_replays": "counter",
    "rollwave_replays_waiting": "gauge",
    "rollwave_delivery_seconds": "histogram",
    "rollwave_oldest_write_transaction_seconds": "gauge",
}


def read(text: str) -> dict[str, float]:
    """Each figure, by its name and its labels as they are written."""
    return {
        name + "".join(f" {value}" for value in labels.values()): value
        for family in text_string_to_metric_families(text)
        for name, labels, value, *_ in family.samples
    }


async def test_whoever_may_read_is_told_each_figure_and_what_it_means(server: Running) -> None:
    token = await tokens.issue(server.db, "prometheus", Role.READER)
    async with Api.at(server.url, token, "") as reader, reader.http.get("/metrics", headers=bearer(reader)) as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        families = {family.name: family for family in text_string_to_metric_families(await response.text())}

    assert {name: families[name].type for name in FIGURES} == FIGURES
    assert all(families[name].documentation.endswith(".") for name in FIGURES)


async def test_nobody_else_is_told_anything(server: Running, api: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        async with api.http.get("/metrics", headers=headers) as response:
            assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
            assert (await response.json()).keys() == {"error"}


async def test_figures_are_what_was_counted_by_then() -> None:
    streams, load, lag = Connections(10, 10), Load(7, 3, 256, 2, 11, 5), seconds("event_lag", "")
    load.delivered(0.03)
    lag.observe(0.04)
    with streams.opened("10.0.0.1", Transport.SSE), load.replay_waits():
        told = read(generate_latest(Figures(streams, load, lag, 1.5)).decode())
    afterwards = read(generate_latest(Figures(streams, load, lag, 0.0)).decode())

    assert (told["rollwave_stream_connections sse"], told["rollwave_stream_connections websocket"]) == (1, 0)
    assert (told["rollwave_subscribers"], told["rollwave_subscription_groups"]) == (7, 3)
    assert (told["rollwave_mailbox_events"], told["rollwave_mailbox_overflows_total"]) == (256, 2)
    assert (told["rollwave_replays_total memory"], told["rollwave_replays_total table"]) == (11, 5)
    assert (told["rollwave_event_lag_seconds_count"], told["rollwave_event_lag_seconds_sum"]) == (1, 0.04)
    assert (told["rollwave_replays_waiting"], told["rollwave_oldest_write_transaction_seconds"]) == (1, 1.5)
    assert [told[f"rollwave_delivery_seconds_bucket {most}"] for most in ("0.025", "0.05", "+Inf")] == [0, 1, 1]
    assert (afterwards["rollwave_stream_connections sse"], afterwards["rollwave_replays_waiting"]) == (0, 0)


async def test_a_transaction_that_writes_is_as_old_as_it_has_been_open(operator: Context) -> None:
    async with operator.db.unheard() as writing:
        await writing.execute("select pg_current_xact_id()")
        await asyncio.sleep(0.3)
        assert await oldest_write(operator) >= 0.3
