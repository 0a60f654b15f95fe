"""What can be set from outside, read once at start."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet
from strawberry.http.websocket_origin import normalize_allowed_origins

from domain.devices import OFFLINE_AFTER
from domain.pace import SPREAD, Pace
from monitor.checks.addresses import Allowed
from server.embedded import default_data_dir
from server.graphql.connections import MOST
from server.graphql.documents import Documents
from server.proxies import Proxies

# Of the seconds of silence that OFFLINE_AFTER allows: two polls, each a tenth late.
SLOWEST = int(OFFLINE_AFTER.total_seconds() / (2 * (1 + SPREAD)))


class BadSetting(Exception):
    """A setting cannot be understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs. Each field is an environment variable of the same name in capitals, prefixed ROLLWAVE_ (but DATABASE_URL)."""

    database_url: str | None = None
    """Any PostgreSQL from 15 on; without it an embedded one runs in `data_dir`."""
    data_dir: Path = Path("rollwave-data")
    host: str = "127.0.0.1"
    port: int = 8000
    """0 picks a free one."""
    webhook_secret: str | None = None
    """What senders of webhooks must know; without it webhooks are refused."""
    encryption_keys: tuple[str, ...] = ()
    """What kept secrets are encrypted with: the first; the others only read. ROLLWAVE_ENCRYPTION_KEY, separated by commas."""
    check_networks: Allowed = field(default_factory=Allowed)
    """The address ranges that health checks from outside may reach; without any there are none."""
    pace: Pace = field(default_factory=Pace)
    """How often devices are to poll: ROLLWAVE_POLL_SECONDS, and ROLLWAVE_HURRIED_POLL_SECONDS while a rollout that reached them goes on."""
    proxies: Proxies = field(default_factory=Proxies)
    """Whose word counts for where a request comes from, and for client certificates: ROLLWAVE_TRUSTED_PROXIES, and the header's name in
    ROLLWAVE_CLIENT_CERTIFICATE_HEADER."""
    graphiql: bool = False
    """Whether a browser that opens /graphql is shown GraphiQL."""
    graphql_points: int = 600_000
    """What each token may spend on GraphQL in a minute: ten thousand objects a second, a tenth of a core."""
    streams_per_address: int = 1_000
    """How many streams, WebSockets and server-sent events, one address may hold at once of each process; and one token:"""
    streams_per_token: int = 1_000
    allowed_origins: frozenset[str] = frozenset()
    """Whose pages may use the GraphQL API, besides those of its own origin."""
    documents: Documents = field(default_factory=Documents)
    """What may be asked for by its hash, of the manifest that ROLLWAVE_TRUSTED_DOCUMENTS names; and whether that is all:
    ROLLWAVE_TRUSTED_DOCUMENTS_ONLY."""

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment; raises BadSetting."""
        port = environ.get("ROLLWAVE_PORT", "8000")
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            raise BadSetting(f"ROLLWAVE_PORT must be a port number, not “{port}”")
        secret = environ.get("ROLLWAVE_WEBHOOK_SECRET") or None
        if secret is not None and len(secret) < 16:
            raise BadSetting("ROLLWAVE_WEBHOOK_SECRET must have 16 characters at least")
        try:
            networks = Allowed.parse(environ.get("ROLLWAVE_CHECK_NETWORKS", ""))
        except ValueError as bad:
            raise BadSetting(f"ROLLWAVE_CHECK_NETWORKS must be networks such as “10.8.0.0/16, fd00::/8”: {bad}") from bad
        return cls(
            check_networks=networks,
            proxies=_proxies(environ.get("ROLLWAVE_TRUSTED_PROXIES", ""), environ.get("ROLLWAVE_CLIENT_CERTIFICATE_HEADER") or None),
            encryption_keys=_keys(environ.get("ROLLWAVE_ENCRYPTION_KEY", "")),
            database_url=environ.get("DATABASE_URL") or None,
            data_dir=Path(environ.get("ROLLWAVE_DATA_DIR") or default_data_dir()),
            host=environ.get("ROLLWAVE_HOST", "127.0.0.1"),
            port=int(port),
            pace=Pace(_seconds(environ, "ROLLWAVE_POLL_SECONDS", 60.0), _seconds(environ, "ROLLWAVE_HURRIED_POLL_SECONDS", 15.0)),
            webhook_secret=secret,
            graphiql=_is_on(environ, "ROLLWAVE_GRAPHIQL"),
            graphql_points=_points(environ.get("ROLLWAVE_GRAPHQL_POINTS") or "600000"),
            streams_per_address=_streams(environ, "ROLLWAVE_STREAMS_PER_ADDRESS"),
            streams_per_token=_streams(environ, "ROLLWAVE_STREAMS_PER_TOKEN"),
            allowed_origins=_origins(environ.get("ROLLWAVE_ALLOWED_ORIGINS", "")),
            documents=_documents(environ.get("ROLLWAVE_TRUSTED_DOCUMENTS", ""), _is_on(environ, "ROLLWAVE_TRUSTED_DOCUMENTS_ONLY")),
        )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "") in ("1", "true", "yes")


def _points(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1_000 <= int(text) <= 10**9):
        raise BadSetting(f"ROLLWAVE_GRAPHQL_POINTS must be 1000 to a billion points a minute, not “{text}”")
    return int(text)


def _streams(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name) or "1000"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise BadSetting(f"{name} must be 1 to {MOST} streams at once, which are the most that a process holds, not “{text}”")
    return int(text)


def _origins(text: str) -> frozenset[str]:
    given = [part.strip() for part in text.split(",") if part.strip()]
    try:
        origins = normalize_allowed_origins(given)
    except ValueError as bad:
        raise BadSetting(f"ROLLWAVE_ALLOWED_ORIGINS must be origins such as “https://fleet.example, http://localhost:5173”: {bad}") from bad
    if "*" in origins:
        raise BadSetting("ROLLWAVE_ALLOWED_ORIGINS must name the origins: “*” would let any page try the tokens it gets hold of")
    return origins


def _documents(manifest: str, only: bool) -> Documents:
    if not manifest:
        if only:
            raise BadSetting("ROLLWAVE_TRUSTED_DOCUMENTS_ONLY needs ROLLWAVE_TRUSTED_DOCUMENTS: without any, nothing could be asked")
        return Documents()
    try:
        return Documents.read(Path(manifest), only=only)
    except ValueError as bad:
        raise BadSetting(f"ROLLWAVE_TRUSTED_DOCUMENTS: {bad}") from bad


def _seconds(environ: Mapping[str, str], name: str, usual: float) -> float:
    try:
        seconds = float(environ.get(name) or usual)
    except ValueError as bad:
        raise BadSetting(f"{name} must be seconds, not “{environ[name]}”") from bad
    if not 1 <= seconds <= SLOWEST:
        raise BadSetting(f"{name} must be 1 to {SLOWEST} seconds: whoever polls less often and misses a poll would be told of as offline")
    return seconds


def _proxies(trusted: str, header: str | None) -> Proxies:
    try:
        networks = tuple(ip_network(part.strip()) for part in trusted.split(",") if part.strip())
    except ValueError as bad:
        raise BadSetting(f"ROLLWAVE_TRUSTED_PROXIES must be addresses or networks such as “127.0.0.1, 10.8.0.0/24”: {bad}") from bad
    if header is not None and not re.fullmatch(r"[A-Za-z0-9-]+", header):
        raise BadSetting(f"ROLLWAVE_CLIENT_CERTIFICATE_HEADER must be the name of a header, not “{header}”")
    if header is not None and (not networks or any(network.prefixlen == 0 for network in networks)):
        raise BadSetting(
            "ROLLWAVE_CLIENT_CERTIFICATE_HEADER needs ROLLWAVE_TRUSTED_PROXIES, and not everybody in it: who is trusted may be any device"
        )
    return Proxies(networks, header)


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    try:
        for key in keys:
            Fernet(key)
    except ValueError as bad:
        raise BadSetting("ROLLWAVE_ENCRYPTION_KEY must be keys of 32 random bytes in URL-safe base64, separated by commas") from bad
    return keys
