"""`drystone up`: start everything from one data folder, making it first where it is empty."""

from __future__ import annotations

import gc
import platform
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click
import lmdb
import structlog
import trio

from authn.bootstrap import bootstrap
from authn.service import IdentityConfig, IdentityService
from compute_plugin.moving import is_moving
from compute_plugin.networks.trace.looking import look
from drystone import clients, control, logs
from drystone.access import Access, data_option
from drystone.api_services import ApiServices
from drystone.cluster import Cluster, read_cluster, with_policies
from drystone.cluster_init import first_of_one_machine, init_cluster
from drystone.compute_agent import HostServers
from drystone.control_client import read_status, short_path
from drystone.error_groups import first
from drystone.folder import NBD_SOCKET, DataFolder
from drystone.founding import ADMIN, DEVICES_DEFAULT, REPLICAS_DEFAULT, Wish, found, is_new
from drystone.founding import plan as plan_founding
from drystone.front import Front
from drystone.http_tls import HttpTls, http_tls
from drystone.identity_file import IdentityFile, read_identity_file
from drystone.loop_stalls import LoopStalls
from drystone.metrics import Metrics, Requests
from drystone.nbd_over_tcp import NbdOverTcp, nbd_over_tcp, port_of
from drystone.network_agent import HostAgent, parse_wires
from drystone.network_looks import HostLooks
from drystone.network_routes import network_routes
from drystone.node import Node, open_node
from drystone.node_identity import find_identity
from drystone.node_status import cluster_status, device_rows, own_status
from drystone.readiness import Readiness, reached
from drystone.served_disks import ServedDisks
from drystone.server_guests import GuestAnswers, GuestsOfAll
from drystone.service_manager import READY, STOPPING, notify
from drystone.shared_port import bind_shared, listen_shared
from drystone.slow_requests import SlowRequests
from drystone.standby import Standby
from drystone.supervisor import supervise
from drystone.volume_control import volume_routes
from drystone.volume_exports import limits_of, meant
from drystone.volume_links import VolumesOfAll
from drystone.volume_metrics import VolumeMetrics, status_row
from drystone.volume_report_routes import report_routes
from drystone.volumes import serving_volumes
from drystone.worker_places import PROCESSES_MAX, folder_of_process, forget_workers, known_count, worker_places
from gateway.http import serve
from gateway.http.asgi import App
from gateway.nbd import server as nbd
from gateway.swift.access.domain_remap import DomainRemap
from gateway.swift.app import SwiftApp
from gateway.swift.config import Config
from store.core.clock import SystemClock
from store.core.entropy import PooledRandom
from store.core.errors import DrystoneError, InvalidError, NotFoundError

log = structlog.get_logger()

SWITCH_SECONDS = 0.0025
GC_THRESHOLDS = 1_000, 20, 200
"""Objects made and not freed until the youngest are looked through, so often until the next older ones are, and so
often until all are: a listing of 10,000 makes many at once, and looking through ten times as many took 10 ms. At a
start, looking through what identity has read took as long as reading it.
"""


@click.command()
@click.option("--listen", default="127.0.0.1:8080", show_default=True, metavar="ADDR:PORT", help="Where to serve.")
@click.option(
    "--devices",
    default=None,
    metavar="N",
    type=click.IntRange(1, 256),
    help=f"Devices (folders) to make in a new data folder. Later: drystone device add.  [default: {DEVICES_DEFAULT}]",
)
@click.option(
    "--device",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(file_okay=False),
    help="Make a device of this empty folder, like the mount point of a disk. Repeated for each; only for a new data "
    "folder, in the place of --devices.",
)
@click.option(
    "--replicas",
    default=None,
    metavar="N",
    type=click.IntRange(1, 16),
    help=f"Copies of data under the policy 'standard' of a new data folder.  [default: {REPLICAS_DEFAULT}]",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME=N|K+M",
    help="A storage policy: N replicas or an erasure code of K+M. May be repeated. In a new folder the first is "
    "the default policy, of containers that name none, and there is no 'standard'; with --replicas too, 'standard' is "
    "made beside them and is the default. To an existing folder policies are added; its default stays.",
)
@click.option(
    "--storage-domain",
    "storage_domains",
    multiple=True,
    metavar="DOMAIN",
    help="Serve the host CONTAINER.ACCOUNT.DOMAIN as that container. May be repeated.",
)
@click.option("--tls-certificate", type=click.Path(exists=True, dir_okay=False), help="Serve https with this chain.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its key, if it is in another file.")
@click.option(
    "--tls-client-ca",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates of the authorities whose clients may log in with a certificate of their own (x509).",
)
@click.option(
    "--identity-config",
    type=click.Path(exists=True, dir_okay=False),
    help="A file (TOML) with the OpenID providers and dashboards that are trusted, changes of policy, and rules for "
    "passwords; see docs/identity.md.",
)
@click.option(
    "--nbd-listen",
    default=None,
    metavar="ADDR:PORT",
    help="Serve volumes to other machines, too, by NBD in TLS; the usual port is 10809. Clients have to show a "
    "certificate, and who has one may use every volume. Without this they are served at nbd.sock in the data folder "
    "alone.",
)
@click.option(
    "--nbd-tls-certificate",
    type=click.Path(exists=True, dir_okay=False),
    help="The certificate chain for --nbd-listen, of the name by which clients call this machine.",
)
@click.option("--nbd-tls-key", type=click.Path(exists=True, dir_okay=False), help="Its key, if it is in another file.")
@click.option(
    "--nbd-tls-client-ca",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates of the authorities that sign those of clients. Not one that signs for others, too.",
)
@click.option(
    "--physical-network",
    "physical_networks",
    multiple=True,
    metavar="NAME=LINK",
    help="A wire that networks may be on ('--provider-physical-network NAME'), and the link of this machine that is "
    "connected to it; nothing else uses that link. May be repeated. A machine alone that is told of none has 'public', "
    "a bridge of its own. Networks are wired where this runs as root.",
)
@click.option(
    "--no-servers",
    is_flag=True,
    help="Run no servers on this machine: it is for storage and networks alone. Otherwise they are run, by libvirt, "
    "where this runs as root.",
)
@click.option(
    "--processes",
    "count",
    default=None,
    metavar="N",
    type=click.IntRange(1, PROCESSES_MAX),
    help="Processes that share the devices and the port, each with a core of its own; at most as many as devices. One "
    "that ends is started again.  [default: as many as last time; 1 in a new folder]",
)
@click.option("--process", "number", default=0, hidden=True, type=click.IntRange(0, PROCESSES_MAX))
@click.option("--log-format", type=click.Choice(["auto", "plain", "json"]), default="auto", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@data_option
@click.pass_obj
def up(access: Access, /, **options: Any) -> None:
    """Start the whole cloud on this machine, and stop it cleanly on SIGTERM or Ctrl-C.

    In an empty data folder this makes devices, a ring, keys and an administrator first, and says what to do next.
    """
    log_format, log_level = options.pop("log_format"), options.pop("log_level")
    logs.configure(log_format, log_level)
    count, number = options.pop("count"), options.pop("number")
    https = [options.pop(f"tls_{name}") for name in ("certificate", "key", "client_ca")]
    tcp = [options.pop(f"nbd_{name}") for name in ("listen", "tls_certificate", "tls_key", "tls_client_ca")]
    try:
        options["https"], options["nbd_tcp"] = http_tls(*https), nbd_over_tcp(*tcp)
        options["wires"] = parse_wires(options.pop("physical_networks"))
        if count is None:
            count = known_count(access.folder)
        if count > 1 and not number:
            said = ("--log-format", log_format, "--log-level", log_level)
            trio.run(partial(run_several, access.folder, count, said, **options))
        else:
            trio.run(partial(run, folder_of_process(access.folder, number), count, number, **options))
    except* DrystoneError as group:
        raise click.ClickException(str(first(group))) from group
    except* (OSError, lmdb.Error) as group:
        raise click.ClickException(f"{access.folder.path}: {first(group)}") from group


async def run_several(
    folder: DataFolder,
    count: int,
    said: Sequence[str],
    *,
    listen: str,
    devices: int | None,
    paths: tuple[str, ...],
    replicas: int | None,
    policies: tuple[str, ...],
    storage_domains: tuple[str, ...],
    https: HttpTls | None,
    identity_config: str | None,
    nbd_tcp: NbdOverTcp | None,
    wires: Mapping[str, str],
    no_servers: bool,
) -> None:
    """Have so many processes serve, until a signal comes. Raises as `run`."""
    tls = https.context() if https is not None else None
    if identity_config is not None:
        read_identity_file(identity_config)  # as for volumes
    host, port = _address(listen)
    if nbd_tcp is not None:
        nbd_tcp.context()  # of what is wrong there the first process would say it when the folder is made
    wish = Wish(devices, paths, replicas, policies)
    made = is_new(folder)
    plan = plan_founding(folder, wish) if made else None
    if made and wish.count < count:
        raise InvalidError(f"{count} processes need {count} devices at least: add --devices {count}")
    shared = await bind_shared(host, port)
    try:
        port = shared[0].getsockname()[1]
        url = _url(host, port, tls)
        if plan is not None:
            await found(folder, *plan, url)
        identity = find_identity(folder)
        if identity is None:
            identity = await first_of_one_machine(folder, count)
            await init_cluster(folder, identity, SystemClock())
        options = ["--listen", f"{_shown(host)}:{port}", *said]
        options += https.options if https is not None else []
        options += nbd_tcp.options if nbd_tcp is not None else []
        options += ["--identity-config", identity_config] if identity_config is not None else []
        for domain in storage_domains:
            options += ["--storage-domain", domain]
        options += ["--no-servers"] if no_servers else []
        for wire, link in wires.items():
            options += ["--physical-network", f"{wire}={link}"]
        if not made:
            for policy in policies:
                options += ["--policy", policy]

        names = {identity.name, *(place.name for place in worker_places(folder, identity, count))}

        def say() -> None:
            rows = read_status(folder)["devices"]
            places = [folder.device(row["label"]) for row in rows if row["node"] in names]
            click.echo(clients.welcome(folder, read_cluster(folder), places, url, made=made))

        await supervise(folder, identity, count, options, say)
    finally:
        for one in shared:
            one.close()
    log.info("stopped", folder=folder.path)


def _url(host: str, port: int, tls: ssl.SSLContext | None) -> str:
    return f"{'https' if tls else 'http'}://{_shown(host)}:{port}"


async def run(
    folder: DataFolder,
    count: int,
    number: int,
    *,
    listen: str,
    devices: int | None,
    paths: tuple[str, ...],
    replicas: int | None,
    policies: tuple[str, ...],
    storage_domains: tuple[str, ...],
    https: HttpTls | None,
    identity_config: str | None,
    nbd_tcp: NbdOverTcp | None,
    wires: Mapping[str, str],
    no_servers: bool,
) -> None:
    """Serve until a signal comes, as process `number` of `count` (0: alone). Raises InvalidError for options that do
    not fit, ConflictError if already served.

    All of that is found out before anything is written; a first start that fails leaves nothing behind.
    """
    tls = https.context() if https is not None else None
    said = read_identity_file(identity_config)
    host, port = _address(listen)
    wish = Wish(devices, paths, replicas, policies)
    made = is_new(folder)
    plan = plan_founding(folder, wish) if made else None
    nbd_tls = nbd_tcp.context() if nbd_tcp is not None else None
    listeners = await (listen_shared(host, port) if number else _listen(host, port))
    disks: list[trio.SocketListener] = []
    try:
        if nbd_tcp is not None and number < 2:  # as for the socket: one process of several serves volumes
            disks = await nbd_tcp.listen()
        url = _url(host, listeners[0].socket.getsockname()[1], tls)
        if plan is not None:
            await found(folder, *plan, url)
        known = read_cluster(folder)
        cluster = known if made else _extended(known, wish)
        gc.set_threshold(*GC_THRESHOLDS)
        async with open_node(folder, cluster, known, 0 if number > 1 else count) as node:
            if number < 2:
                forget_workers(folder, count)
            if not made and (wish.paths or wish.devices not in (None, len(node.membership.own))):
                click.echo(f"This folder has {len(node.membership.own)} devices already; see 'drystone device add'.")
            swift = Config(storage_domains=storage_domains)
            choices = IdentityConfig(
                policy=said.policy,
                federation=said.federation,
                password_rules=said.password_rules,
                limit_model=said.limit_model,
                saml=said.saml,
                cors_origins=said.cors_origins,
            )
            identity = IdentityService(node.registry, choices)
            # What this version needs and the one that made the folder did not.
            admin = await bootstrap(node.registry, directory=identity.directory)
            if admin.password is not None:
                clients.write(folder, url, ADMIN, admin.password, ADMIN)
            else:
                clients.update_url(folder, url)
            await _serve(
                node, identity, said, listeners, tls, url, swift, disks, nbd_tls, wires, made=made, number=number,
                runs_servers=not no_servers,
            )  # fmt: skip
    finally:
        for listener in (*listeners, *disks):
            listener.socket.close()
    log.info("stopped", folder=folder.path)


async def _serve(
    node: Node,
    identity: IdentityService,
    said: IdentityFile,
    listeners: list[trio.SocketListener],
    tls: ssl.SSLContext | None,
    url: str,
    swift: Config,
    disks: list[trio.SocketListener],
    nbd_tls: ssl.SSLContext | None,
    wires: Mapping[str, str],
    *,
    made: bool,
    number: int,
    runs_servers: bool,
) -> None:
    requests, stalls = Requests(), LoopStalls()
    trio.lowlevel.add_instrument(stalls)
    slow = SlowRequests(partial(_far_node_of, node), node.clock)
    metrics = Metrics(
        requests, slow, stalls, partial(device_rows, node), node.progress.rows,
        identity.unreadable, node.snapshots.age_s, lambda: node.health.trouble,
    )  # fmt: skip
    app = SwiftApp(node.store, identity, swift)
    readiness = Readiness(partial(reached, node.store), node.clock)
    felt = node.replicator.throttle.note

    async def status() -> dict[str, Any]:
        found = await cluster_status(node, url)
        return {**found, "loop_stalls": stalls.row(), "volumes": status_row(volumes)}

    def retry(number: int) -> None:
        if number not in node.ring.devices:
            raise NotFoundError(f"the ring has no device {number}")
        node.watch.retry(number)

    async def token(valid_s: int, name: str) -> str:
        if node.together is None:
            raise NotFoundError("this is a machine alone: stop it, and make it a node with 'drystone cluster init'")
        return await node.together.token_line(valid_s, name)

    if node.together is not None:
        node.together.status.of = partial(own_status, node)
    stop = trio.Event()
    inside = await control.listen(node.folder)
    # Its clients are gone before volumes are closed, and these before devices are.
    name = platform.node() if node.together is None else node.together.identity.name
    # A machine alone has no others that could have a volume, whatever its name was when it opened one.
    is_away = node.together.lives.is_away if node.together is not None else lambda _: True
    async with (
        serving_volumes(node.store, node.clock, PooledRandom(), name, is_away) as volumes,
        trio.open_nursery() as nursery,
    ):
        metrics.add(VolumeMetrics(volumes))
        everyones = VolumesOfAll(volumes, name, lambda: node.together.peers.processes if node.together else {})
        if node.together is not None:
            node.together.volumes.of = volumes
        processes = lambda: node.together.peers.processes if node.together else {}  # noqa: E731 - see above
        guests = node.together.guests if node.together is not None else GuestAnswers()
        services = ApiServices(
            node, identity, everyones, said.images, said.volumes, said.networks, said.compute, disks,
            GuestsOfAll(guests, name, processes),
        )  # fmt: skip
        standby = Standby(volumes, everyones, lambda export: is_moving(services.compute.store.records, name, export))
        served = ServedDisks(volumes, partial(meant, services.volumes), partial(limits_of, services.volumes), standby)
        front: App = Front(app, services.apps, requests, metrics, slow, felt, readiness.why_not)
        if swift.storage_domains:
            front = DomainRemap(front, swift)
        wirer = HostAgent(node, services.networks, name, wires, said.networks.settings, services.metadata())
        runner = HostServers(node, services.compute, name, guests)
        looks = HostLooks(
            look if number < 2 else None, name, lambda: node.together.peers.processes if node.together else {}
        )
        routes = [
            *volume_routes(volumes, port_of(disks)),
            *report_routes(volumes, stop.is_set),
            *network_routes(services.networks, looks),
        ]
        await nursery.start(services.run)
        if number < 2:  # one process of several wires the machine
            if node.together is not None:
                node.together.network_looks.of = look
            nursery.start_soon(wirer.run)
            if runs_servers:
                nursery.start_soon(runner.run)
        nursery.start_soon(app.run, node.progress.loop("remove owned segments"))
        await nursery.start(partial(serve, front, listeners, tls=tls, shutdown=stop))
        await nursery.start(
            partial(
                serve,
                control.control_app(node.registry, status, node.replicator.scrubber.want, retry, token, routes),
                [inside],
                shutdown=stop,
            )
        )
        if number < 2:  # one process of several is enough, and the socket is in its folder
            with short_path(node.folder, NBD_SOCKET) as path:
                local = nbd.open_unix_listener(path)
            await nursery.start(partial(nbd.serve, served, local, shutdown=stop))
        for disk in disks:
            log.info("volumes are served in TLS", address=disk.socket.getsockname()[0], port=port_of([disk]))
            await nursery.start(partial(nbd.serve, served, disk, tls=nbd_tls, shutdown=stop))
        _spare_the_collector()
        _share_the_interpreter()
        stalls.forget()
        if not number:
            places = [node.membership.path(number) for number in node.devices]
            click.echo(clients.welcome(node.folder, node.cluster, places, url, made=made))
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            notify(READY)
            number = await anext(signals)
            log.info("stopping", signal=signal.Signals(number).name)
            notify(STOPPING)
            with trio.move_on_after(readiness.stop()):
                await anext(signals)  # whoever says it twice does not want to wait
        stop.set()
        nursery.cancel_scope.cancel()


def _far_node_of(node: Node, number: int) -> str:
    """The node that has a device, where it is another."""
    return "" if node.membership.is_own(number) else node.membership.node_of(number)


def _share_the_interpreter() -> None:
    """Have threads that compute (records of compaction, keys of the index) give the interpreter back to the loop sooner
    than after the usual 5 ms, which every request would wait for."""
    sys.setswitchinterval(SWITCH_SECONDS)


def _spare_the_collector() -> None:
    """Leave all that lives as long as the program out of garbage collection: walking it again and again held every
    request up for 30 ms once a second. What requests leave behind is freed by counting, but for cycles of errors."""
    gc.collect()
    gc.freeze()


def _extended(known: Cluster, wish: Wish) -> Cluster:
    """The folder's cluster with the policies that are asked for. Raises InvalidError where one would change."""
    if wish.replicas is not None and wish.replicas != known.policies[0].replicas:
        raise InvalidError("the replicas of a policy cannot change: add another, like --policy careful=3")
    return Cluster(known.id, known.key, with_policies(known.policies, wish.policies))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidError(f"--listen takes ADDR:PORT, like 127.0.0.1:8080 or [::1]:8080, not {listen!r}")
    return host.strip("[]"), int(port)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _listen(host: str, port: int) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=1024)
    except OSError as error:
        raise InvalidError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
