"""The requirements with hashes name what the requirements do, in the same versions, and pin every package."""

import re

import pytest

from tests.helpers.imports import ROOT

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
FILES = {"requirements": ["requirements.txt"]}
FILES["requirements-dev"] = ["requirements-dev.txt", "requirements-ray.txt", "requirements.txt"]


def pins(*names: str) -> dict[str, set[str]]:
    """The versions of each package; a lock for every platform may have several."""
    versions: dict[str, set[str]] = {}
    for name in names:
        for package, version in PIN.findall((ROOT / name).read_text()):
            versions.setdefault(re.sub(r"[-_.]+", "-", package).lower(), set()).add(version)
    return versions


@pytest.mark.parametrize("name", FILES)
def test_what_is_hashed_is_what_is_required(name: str) -> None:
    required, hashed = pins(*FILES[name]), pins(f"{name}-hashed.txt")
    differing = {package: versions for package, versions in required.items() if hashed.get(package) != versions}
    assert differing == {}, f"make {name}-hashed.txt again, as its first lines say"
    assert len(hashed) > len(required)


@pytest.mark.parametrize("name", FILES)
def test_every_package_has_a_hash_and_comes_from_the_index_that_pip_has(name: str) -> None:
    text = (ROOT / f"{name}-hashed.txt").read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == sum(map(len, pins(f"{name}-hashed.txt").values()))
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)] == []
    assert "://" not in text
