"""What a mutant is, and which tests are to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("authn", "store")
"""What drawn mutants are made of."""

_COVERS: Final = (
    ("authn/federation/", ("tests/federation",), ()),
    ("authn/saml/", ("tests/saml",), ()),
    ("authn/v3/saml2.py", ("tests/saml",), ()),
    ("authn/federated_login.py", ("tests/federation",), ()),
    ("authn/mapped_places.py", ("tests/federation",), ()),
    ("authn/shadow_users.py", ("tests/federation",), ()),
    ("authn/v3/federated_auth.py", ("tests/federation",), ()),
    ("authn/v3/methods/mapped.py", ("tests/federation",), ()),
    ("authn/", ("tests/authn",), ()),
    ("compute_plugin/", ("tests/guests",), ()),
    ("drystone/volume_transfer.py", ("tests/volumes",), ("tests/process/test_volume_images.py",)),
    ("drystone/volumes.py", ("tests/volumes",), ()),
    ("drystone/volume_metrics.py", ("tests/volumes",), ()),
    ("drystone/volume_report_routes.py", ("tests/volumes",), ()),
    ("drystone/counted_disk.py", ("tests/volumes",), ()),
    ("gateway/nbd/", ("tests/nbd",), ()),
    ("image_registry/conversion/", ("tests/image_conversion",), ("tests/process/test_volume_images.py",)),
    ("image_registry/formats/", ("tests/image_formats",), ()),
    ("gateway/volumes/", ("tests/gateway_volumes",), ()),
    ("image_registry/", ("tests/image_registry",), ()),
    ("store/core/", ("tests/core", "tests/engine"), ("tests/objects", "tests/replicator")),
    (
        "store/device/",
        ("tests/device", "tests/engine", "tests/objects"),
        ("tests/replicator", "tests/simulation/test_crashes.py"),
    ),
    (
        "store/engine/",
        ("tests/device", "tests/engine", "tests/objects"),
        ("tests/replicator", "tests/simulation/test_crashes.py"),
    ),
    ("store/blocks/", ("tests/blocks",), ()),
    ("store/objects/", ("tests/objects",), ("tests/replicator", "tests/simulation/test_crashes.py")),
    ("store/registry/", ("tests/registry",), ("tests/process/test_start.py",)),
    ("store/replicator/", ("tests/replicator",), ("tests/objects", "tests/simulation/test_crashes.py")),
    ("store/remote/", ("tests/remote", "tests/device"), ("tests/objects",)),
    ("store/wire/", ("tests/wire", "tests/remote"), ("tests/device",)),
    ("store/ring/", ("tests/ring",), ("tests/replicator", "tests/process/test_membership.py")),
)
"""(files that begin with this, the tests that are quick to notice, those that are asked after them)"""


class DoesNotApplyError(Exception):
    """The tree has changed under a mutant: there is no such text any more, or more than one."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: in `file` the only `before` becomes `after`. `stages` are tests, the first ones asked first.

    With a reason in `accepted` it may survive, and is to: one that is noticed after all no longer needs the reason.
    """

    name: str
    file: str
    before: str
    after: str
    stages: tuple[tuple[str, ...], ...]
    accepted: str = ""

    def apply(self, source: str) -> str:
        count = source.count(self.before)
        if count != 1:
            raise DoesNotApplyError(f"{self.name}: {self.file} has {count} times {self.before!r}, not once")
        return source.replace(self.before, self.after)

    def mutated(self, root: Path = ROOT) -> str:
        """The whole file with the mistake in it. Raises DoesNotApplyError."""
        path = root / self.file
        if not path.exists():
            raise DoesNotApplyError(f"{self.name}: there is no {self.file}")
        return self.apply(path.read_text())


def stages_for(file: str) -> tuple[tuple[str, ...], ...]:
    """The tests of a file, by the package that it is in."""
    for start, *stages in _COVERS:
        if file.startswith(start):
            return tuple(stage for stage in stages if stage)
    raise KeyError(f"no tests are named for {file}")


def planted(name: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    """Without tests of its own it is judged by those of its file."""
    return Mutant(name, file, before, after, (tests,) if tests else stages_for(file))
