"""Commands answer at once: what only some of them need is imported when they are run."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from drystone.__main__ import COMMANDS, main


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["scrub", "--help"]])
def test_light_commands_import_little(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from drystone.__main__ import main\n"
        "try:\n"
        f"    main({arguments!r}, standalone_mode=False)\n"
        "except Exception as error:\n"
        "    print(error)\n"
        "heavy = {'cryptography', 'lmdb', 'msgpack', 'starlette', 'structlog', 'trio', 'zfec'}\n"
        "print('imported', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "imported []"


def test_every_command_is_there_and_says_what_it_does() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output
    for name, lazy in COMMANDS.items():
        assert lazy.help in shown
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
        assert name in result.output
