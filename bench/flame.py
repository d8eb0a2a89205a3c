"""`python -m bench.flame`: draws where the time of small PUTs and GETs goes, as docs/flame-put.svg and -get.svg."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time

import click

from bench import load
from bench.load import HERE
from bench.targets import drystone, drystone_status

SAMPLES_A_SECOND = 40
"""Each sample stops the program for a millisecond or two: more of them would measure the profiler."""
WARM_SECONDS = 2


@click.command()
@click.option("--seconds", default=20, show_default=True, help="To sample each verb for.")
@click.option("--where", default=".", type=click.Path(file_okay=False, exists=True), help="Folder for bench data.")
def main(seconds: int, where: str) -> None:
    """Sample the program, all its threads, under 16 connections of wrk."""
    with drystone("drystone", where, 4, ["standard=3"]) as target:
        container = f"{target.account_url}/flame"
        load.request(target, "PUT", container, {})
        pid = drystone_status(target.folder)["pid"]
        for verb in ("PUT", "GET"):
            picture = os.path.join(os.path.dirname(HERE), "docs", f"flame-{verb.lower()}.svg")
            work = threading.Thread(
                target=load.small, args=(target, container, verb, verb, WARM_SECONDS + seconds + WARM_SECONDS, 16)
            )
            work.start()
            time.sleep(WARM_SECONDS)
            command = [os.path.join(os.path.dirname(sys.executable), "py-spy"), "record", "--pid", str(pid)]
            command += ["--duration", str(seconds), "--rate", str(SAMPLES_A_SECOND), "--output", picture]
            subprocess.run(command, check=True, capture_output=True)
            work.join()
            _entitle(picture, f"Small {verb}s under 16 connections: all threads of one Drystone")
            click.echo(f"drawn in {picture}")


def _entitle(picture: str, title: str) -> None:
    """py-spy writes its own command line over the picture."""
    with open(picture, encoding="utf-8") as file:
        drawn = file.read()
    with open(picture, "w", encoding="utf-8") as file:
        file.write(re.sub(r'(<text id="title"[^>]*>)[^<]*', rf"\g<1>{title}", drawn, count=1))


if __name__ == "__main__":
    main()
