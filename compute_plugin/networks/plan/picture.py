"""A wiring as a picture: a flowchart in Mermaid's words, which documents and web pages draw. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from compute_plugin.networks.plan.wiring import HOST, Bridge, Link, Space, Veth, Vxlan, Wiring

LOOPBACK: Final = "lo"
LINK_LOCAL: Final = "fe80:"


def picture(wirings: Sequence[tuple[str, Wiring]]) -> str:
    """Of hosts, each with its name: spaces are boxes, links are nodes, and lines say what is plugged into what."""
    lines = ["flowchart LR"]
    tunnels: dict[int, list[str]] = {}
    for host, wiring in wirings:
        lines += _host(host, wiring)
        for link in wiring.host.links:
            if isinstance(link.form, Vxlan):
                tunnels.setdefault(link.form.vni, []).append(_node(host, HOST, link.name))
    for vni, ends in sorted(tunnels.items()):
        lines += [f"  {one} <-. VXLAN {vni} .-> {other}" for at, one in enumerate(ends) for other in ends[at + 1 :]]
    return "\n".join(lines) + "\n"


def _host(host: str, wiring: Wiring) -> Iterator[str]:
    yield f'  subgraph {_name(host)}["{host}{_tables(wiring.host)}"]'
    for space in wiring.spaces:
        if space.name == HOST:
            yield from (f"    {_shape(host, HOST, link)}" for link in space.links)
        else:
            yield from _inner(host, space)
    for link in wiring.host.links:
        here = _node(host, HOST, link.name)
        if link.master is not None:
            yield f"    {here} --- {_node(host, HOST, link.master)}"
        if isinstance(link.form, Veth):
            yield f"    {here} === {_node(host, link.form.space, link.form.peer)}"
    yield "  end"


def _inner(host: str, space: Space) -> Iterator[str]:
    services = "".join(f"<br/>{one.name}" for one in space.services)
    yield f'    subgraph {_name(host)}_{_name(space.name)}["{space.name}{services}{_tables(space)}"]'
    yield from (f"      {_shape(host, space.name, link)}" for link in space.links if link.name != LOOPBACK)
    yield "    end"


def _tables(space: Space) -> str:
    return "".join(f"<br/>table {one.family} {one.name}" for one in space.tables)


def _shape(host: str, space: str, link: Link) -> str:
    text = "<br/>".join([link.name, *(one for one in link.addresses if not one.startswith(LINK_LOCAL))])
    node = _node(host, space, link.name)
    return f'{node}{{{{"{text}"}}}}' if isinstance(link.form, Bridge) else f'{node}["{text}"]'


def _node(host: str, space: str, link: str) -> str:
    return "_".join(_name(one) for one in (host, space, link) if one)


def _name(text: str) -> str:
    return "".join(one if one.isalnum() else "_" for one in text)
