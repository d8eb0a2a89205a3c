"""A packet's way as a picture: a flowchart in Mermaid's words. Pure."""

from __future__ import annotations

from compute_plugin.networks.trace.walk import Way


def picture(way: Way) -> str:
    """A node for each step, by host and space."""
    lines = ["flowchart TB"]
    place = ""
    for number, step in enumerate(way.steps):
        here = f"{step.host} {step.space}".strip()
        if here != place:
            if place:
                lines.append("  end")
            lines.append(f'  subgraph place{number}["{here}"]')
            place = here
        lines.append(f'    step{number}["{step.link}<br/>{step.text}"]')
    if place:
        lines.append("  end")
    lines += [f"  step{number} --> step{number + 1}" for number in range(len(way.steps) - 1)]
    if way.dropped:
        lines.append(f'  step{len(way.steps) - 1} --x dropped["{way.dropped}"]')
    return "\n".join(lines) + "\n"
