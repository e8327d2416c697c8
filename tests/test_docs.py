"""The documentation says what is true: examples run, links lead somewhere, lists are complete."""

from __future__ import annotations

import ast
import contextlib
import csv
import inspect
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity
from privity import ml
from privity.ml.saving import kinds

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "privity"
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(language: str) -> list[str]:
    """The README's code blocks in this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The link targets of a page's headings, as GitHub and most renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            broken.append(target)
    assert not broken


def test_quick_start_prints_what_the_readme_says() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("python")[0], "README.md", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() in blocks("text")


def test_every_python_block_of_the_readme_compiles_and_imports() -> None:
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


def test_the_example_across_processes_runs(tmp_path: Path) -> None:
    """The README's consortium, program and job, with two small files of banks, in five processes."""
    (tmp_path / "joint.py").write_text(blocks("python")[1], "utf-8")
    table, job = blocks("toml")
    (tmp_path / "joint.toml").write_text(job, "utf-8")
    generator = np.random.default_rng(7)
    for bank in ("bank_a", "bank_b"):
        income = generator.lognormal(10.0, 0.5, 100).round(2)
        defaulted = generator.random(100) < 1 / (1 + np.exp(income / 15_000))
        with (tmp_path / f"{bank}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = zip(generator.integers(18, 80, 100), income, defaulted.astype(int), strict=True)
            csv.writer(file).writerows([("age", "income", "defaulted"), *rows])

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "privity", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600
        )

    founded = command("consortium", "init", ".", "--owner", "bank_a", "--owner", "bank_b")
    assert founded.returncode == 0, founded.stderr
    consortium = tmp_path / "consortium.toml"
    text = consortium.read_text("utf-8")
    for bank in ("bank_a", "bank_b"):
        key = f'key = "certificates/{bank}.key"\n'
        assert key in text
        text = text.replace(key, key + "\n" + table.replace("bank_a.csv", f"{bank}.csv"))
    consortium.write_text(text, "utf-8")

    ran = command("run", "joint.py", "--consortium", "consortium.toml", "--out", "out")
    assert ran.returncode == 0, ran.stderr
    reports = {p.parent.name: json.loads(p.read_text("utf-8")) for p in (tmp_path / "out").glob("*/report.json")}
    assert set(reports) == {"compute_0", "compute_1", "compute_2", "bank_a", "bank_b"}
    model: list[float] = reports["bank_a"]["output"]
    assert model == reports["bank_b"]["output"]
    assert len(model) == 3 and model[1] < 0  # higher income, fewer defaults
    assert not isinstance(reports["compute_0"]["output"], list)


def test_the_plan_prints_what_the_readme_says(tmp_path: Path) -> None:
    """Rounds, bytes and openings; estimated seconds may move."""
    (tmp_path / "joint.py").write_text(blocks("python")[1], "utf-8")
    (tmp_path / "joint.toml").write_text(blocks("toml")[1], "utf-8")
    command = next(b for b in blocks("sh") if b.startswith("privity plan")).split()[1:]
    ran = subprocess.run(
        [sys.executable, "-m", "privity", *command], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr
    said = next(b for b in blocks("text") if b.startswith("stage"))

    def exact(text: str) -> list[str]:
        lines = [line.rstrip() for line in text.splitlines() if not line.startswith("estimated")]
        return [re.sub(r" +[0-9.]+$", "", line) if line[:1] in "(t" else line for line in lines]

    assert exact(ran.stdout) == exact(said)


def test_api_page_lists_exactly_the_public_names() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert listed == sorted(privity.__all__)


def test_api_page_lists_exactly_the_models() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert re.findall(r"^\| `ml\.(\w+)` \|", page, re.MULTILINE) == list(ml.__all__)
    made = {k for k in kinds().values() if hasattr(k, "fit") and not inspect.isabstract(k) and "__init__" in vars(k)}
    models = {k.__name__ for k in made if not k.__module__.startswith("privity.ml.preprocessing.")}
    assert models <= set(ml.__all__)
    assert all((getattr(ml, name).__doc__ or "").strip() for name in ml.__all__)


def test_every_public_name_has_a_docstring() -> None:
    assert [n for n in privity.__all__ if not (getattr(privity, n).__doc__ or "").strip()] == []


def test_architecture_names_exactly_the_modules_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(p.relative_to(SOURCE).as_posix() for p in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("index", ["docs/index.md", "docs/security/index.md"])
def test_indexes_list_every_page_of_their_folder(index: str) -> None:
    page = ROOT / index
    text = page.read_text("utf-8")
    assert [p.name for p in page.parent.glob("*.md") if p != page and f"]({p.name})" not in text] == []


def test_commands_in_the_documentation_exist() -> None:
    """Every ``privity word`` and ``make word`` that a page tells people to run."""
    cli = ast.parse((SOURCE / "cli.py").read_text("utf-8"))
    known = {n.name.replace("_", "-") for n in ast.walk(cli) if isinstance(n, ast.FunctionDef)} | groups(cli)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    unknown = []
    for page in PAGES:
        text = page.read_text("utf-8")
        code = "\n".join([*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`([^`\n]+)`", text)])
        unknown += [f"{page.name}: privity {w}" for w in re.findall(r"^privity ([a-z]+)", code, re.M) if w not in known]
        unknown += [f"{page.name}: make {w}" for w in re.findall(r"^make ([a-z]+)", code, re.M) if w not in targets]
    assert not unknown


def groups(tree: ast.Module) -> set[str]:
    """Names given in ``add_typer(..., name=...)`` and ``@app.command("name")``."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given: list[Any] = [k.value for k in node.keywords if k.arg == "name"] + node.args[:1]
            found |= {v.value for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)}
    return found


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0" in text and "END OF TERMS AND CONDITIONS" in text


def test_changelog_has_the_current_version() -> None:
    from importlib.metadata import version

    assert f"## [{version('privity')}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
