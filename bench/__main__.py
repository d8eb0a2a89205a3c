"""`python -m bench` (or `make bench`): measures Drystone, and a peer beside it. `pairs` compares commits, `path` counts
what one request passes through, `durability` says how likely data are lost, `cluster` has three nodes beside one,
`growth` adds a device under load, `nbd` has the NBD server beside qemu-nbd, `volumes` a volume beside a raw file.
`identity` has tokens beside Keystone, `identity-growth` has them with ever more users. `images` has images beside
Glance, and volumes made of them.
`volume-map` opens one of a terabyte, `volume-cleaning` overwrites one, `volume-snapshots` makes snapshots and clones,
`volume-backups` backs one up. `networks` has what they cost a host, and TCP from host to host beside a plain bridge.
`servers` lists many of them, and boots some of a small and of a large image.
"""

from __future__ import annotations

import click

from bench import (
    cluster,
    disk,
    growth,
    identity,
    images,
    load,
    nbd,
    networks,
    pairs,
    path,
    processes,
    report,
    servers,
    volume_backups,
    volume_cleaning,
    volume_map,
    volume_snapshots,
    volumes,
)
from bench.durability import command as durability
from bench.targets import Target, drystone, peer


@click.group(invoke_without_command=True)
@click.option("--seconds", default=10, show_default=True, help="For each small-object workload.")
@click.option("--connections", default=16, show_default=True)
@click.option("--devices", default=4, show_default=True)
@click.option("--replicas", default=3, show_default=True)
@click.option("--erasure/--no-erasure", default=True, show_default=True, help="Also a policy of 4+2 on 6 devices.")
@click.option("--where", default=None, type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
@click.option(
    "--peer",
    "peers",
    multiple=True,
    envvar="PEER",
    metavar="COMMAND",
    help="Prints ACCOUNT_URL= and TOKEN= of a Swift API to compare with, starting it if need be.",
)
@click.option("--save/--no-save", default=True, show_default=True, help="Append to the history and draw the chart.")
@click.pass_context
def main(
    context: click.Context,
    seconds: int,
    connections: int,
    devices: int,
    replicas: int,
    erasure: bool,
    where: str | None,
    peers: tuple[str, ...],
    save: bool,
) -> None:
    """The same work for Drystone and for each peer, on one machine in one run."""
    if context.invoked_subcommand is not None:
        return
    results: list[load.Result] = []

    def measure(target: Target, policy: str | None) -> None:
        for result in load.run(target, policy, seconds, connections):
            click.echo(f"{target.name}: {result.workload}: {result.rate:,.0f} {result.unit}, {result.failed} failed")
            results.append(result)

    with drystone("drystone", where or ".", devices, [f"standard={replicas}"]) as target:
        measure(target, None)
    if erasure:
        with drystone("drystone", where or ".", 6, [f"standard={replicas}", "ec42=4+2"]) as target:
            measure(target, "ec42")
    for command in peers:
        other = peer(command)
        measure(other, None)
        if erasure:
            try:
                measure(other, "ec42")
            except OSError as error:
                click.echo(f"{other.name}: no policy ec42 ({error})")
    itself = disk.write_rate(where or ".", devices)
    click.echo(f"\n{report.table(results)}\n\nDrystone ran on {report.interpreter()}")
    click.echo(
        f"the disk itself takes {itself:,.0f} MB/s from {devices} files, "
        f"{itself / replicas:,.0f} MB/s in {replicas} copies"
    )
    if save:
        report.append(
            results,
            {
                "seconds": seconds,
                "connections": connections,
                "devices": devices,
                "replicas": replicas,
                "disk_mb_s": round(itself),
            },
        )
        report.draw()
        click.echo(f"\nappended to {report.HISTORY}, drawn in {report.CHART}")


main.add_command(pairs.main, "pairs")
main.add_command(path.main, "path")
main.add_command(durability.main, "durability")
main.add_command(cluster.main, "cluster")
main.add_command(growth.main, "growth")
main.add_command(processes.main, "processes")
main.add_command(nbd.main, "nbd")
main.add_command(volumes.main, "volumes")
main.add_command(volume_map.main, "volume-map")
main.add_command(volume_cleaning.main, "volume-cleaning")
main.add_command(volume_backups.main, "volume-backups")
main.add_command(identity.main, "identity")
main.add_command(identity.growth, "identity-growth")
main.add_command(images.main, "images")
main.add_command(volume_snapshots.main, "volume-snapshots")
main.add_command(networks.main, "networks")
main.add_command(servers.main, "servers")

if __name__ == "__main__":
    main()
