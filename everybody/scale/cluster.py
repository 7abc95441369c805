"""Ray: a cluster that is there, or one of this machine; told errors, and nothing sent anywhere."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError

PATIENCE = 5.0  # seconds for a cluster's door to open
MOST_CPUS = 4  # cores of a worker: with more, threads of one process wait for each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the work is done, and by how many.

    address: of Ray ("auto", HOST:PORT), of which this machine is a node; None: this machine alone.
    runtime_env: Ray's.
    cpus: cores of a worker; 0: up to 4, as nodes have them. workers: least and most of them;
    (0, 0): as many as the cluster has room for. gpus: of an actor that runs the networks, a share
    or several; 0: each worker runs them itself. networks: such actors; 0: as many as there are
    GPUs for, or none. store: bytes of this machine's object store; 0: Ray's choice.
    """

    address: str | None = None
    runtime_env: dict[str, Any] = field(default_factory=dict)
    cpus: int = 0
    workers: tuple[int, int] = (0, 0)
    gpus: float = 0.0
    networks: int = 0
    store: int = 0
    dashboard: bool = False

    def __post_init__(self) -> None:
        least, most = self.workers
        if min(self.cpus, self.gpus, self.networks, least) < 0 or most < least:
            raise OptionError("workers, cores and GPUs must be 0 or more, the least first")
        if (self.address or "").startswith("ray://"):
            raise OptionError(
                f"{self.address}: Ray Data does not work through Ray's client; run the command on "
                "a node of the cluster with --address auto (ray exec, ray job submit, kubectl exec)"
            )


@dataclass(frozen=True, slots=True)
class Room:
    """What a cluster has for us: workers of so many cores, least and most, and network actors."""

    cpus: int
    least: int
    most: int
    networks: int


@contextmanager
def connected(cluster: Cluster) -> Iterator[Room]:
    """Ray for as long as the block lasts; left as it was where it is running already. Raises
    OptionError where there is no cluster at the address.
    """
    keep_private()
    import ray

    if ray.is_initialized():
        yield _room(cluster, ray)
        return
    if cluster.address:
        _answers(cluster.address)
    options: dict[str, Any] = {
        "address": cluster.address or "local",  # without one, Ray joins any that it finds
        "runtime_env": cluster.runtime_env or None,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if not cluster.address:
        options |= {"include_dashboard": cluster.dashboard}
        options |= {"object_store_memory": cluster.store} if cluster.store else {}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = cluster.address or "this machine"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError(
            f"no Ray cluster at {where} ({reason}); start one (ray start --head), or leave "
            "--address out to use this machine"
        ) from error
    keep_quiet()
    try:
        yield _room(cluster, ray)
    finally:
        ray.shutdown()


def keep_quiet() -> None:
    """Of Ray Data, only errors go to the terminal; the rest is in the logs of its session."""
    import ray.data  # which sets its handlers up

    for handler in logging.getLogger(ray.data.__name__).handlers:
        if handler.get_name() == "console":
            handler.setLevel(logging.ERROR)


def keep_private() -> None:
    """To be called before Ray is imported: it sends usage data unless it is told not to. A user's
    own value stays.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _answers(address: str) -> None:
    """Raises OptionError where nobody listens: Ray itself would try for half a minute."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE):
            return
    except ValueError:
        reason = "expected HOST:PORT or auto"
    except OSError as error:
        reason = error.strerror or str(error)
    raise OptionError(
        f"no Ray cluster at {address} ({reason}); start one (ray start --head), or leave --address "
        "out to use this machine"
    )


def _room(cluster: Cluster, ray: Any) -> Room:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise OptionError("the cluster has no node with a free core; add nodes")
    cpus = min(cluster.cpus or MOST_CPUS, max(cores))
    fits = sum(count // cpus for count in cores) or 1
    gpus = sum(node.get("GPU", 0) for node in nodes)
    if cluster.gpus > gpus:
        raise OptionError(
            f"{cluster.gpus:g} GPUs for an actor, the cluster has {gpus:g}: leave --num-gpus out "
            "or add nodes"
        )
    networks = cluster.networks or (int(gpus / cluster.gpus) if cluster.gpus else 0)
    if networks and not cluster.gpus:  # they run on cores, too
        fits = max(1, fits - networks)
    least, most = cluster.workers
    return Room(cpus, least or (1 if most else fits), most or fits, networks)
