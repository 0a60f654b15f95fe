"""GET /metrics: how much this process has to tell, to whom, and what holds it up, in Prometheus' text format."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from resolvers import activity, tokens
from resolvers.load import Load
from server.auth import bearer
from server.graphql.connections import Connections, Transport
from server.wiring import Wiring


async def metrics(request: Request) -> Response:
    """The figures as they are now, for whoever may read."""
    wiring = Wiring.of(request)
    ctx = wiring.context(await tokens.actor(wiring.db, bearer(request.headers.get("authorization"))))
    oldest = await activity.oldest_write(ctx)
    figures = Figures(wiring.connections, ctx.load, wiring.feed.lag, oldest)
    return Response(generate_latest(figures), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4})


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told when it is asked for; a collector, as the library calls it."""

    connections: Connections
    load: Load
    event_lag: float | None
    """Of the newest event; None where none was read yet."""
    oldest_write: float

    def collect(self) -> Iterator[Metric]:
        """Each figure, read now."""
        yield self._connections()
        yield _gauge("subscribers", "Operations that follow something.", self.load.subscribers)
        yield _gauge("subscription_groups", "Groups of subscribers who follow the same; each executes an event once.", self.load.groups)
        yield _gauge("mailbox_events", "What waits in mailboxes for subscribers who read slowly.", self.load.waiting)
        yield _counter(
            "mailbox_overflows", "Mailboxes that were full: their subscribers read on in memory or in the table.", self.load.overflows
        )
        yield self._replays()
        yield _gauge("replays_waiting", "Replays that wait until others have read the table.", self.load.replays_waiting)
        if self.event_lag is not None:
            yield _gauge("event_lag_seconds", "Between the newest event and its being read of the table.", self.event_lag)
        yield from self.load.delivery.collect()
        yield _gauge(
            "oldest_write_transaction_seconds",
            "Age of the oldest transaction in the cluster that writes: events that came after it wait for its end.",
            self.oldest_write,
        )

    def _connections(self) -> Metric:
        told = GaugeMetricFamily("rollwave_stream_connections", "Streams that are open.", labels=["transport"])
        counted = self.connections.by_transport()
        for transport in Transport:
            told.add_metric([transport], counted[transport])
        return told

    def _replays(self) -> Metric:
        told = CounterMetricFamily("rollwave_replays", "Subscribers who were told what they had missed.", labels=["source"])
        told.add_metric(["memory"], self.load.replays_from_memory)
        told.add_metric(["table"], self.load.replays_from_table)
        return told


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rollwave_{name}", meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"rollwave_{name}", meaning, value)


routes = [Route("/metrics", metrics, methods=["GET"])]
