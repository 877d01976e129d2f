"""What git knows of the repository that experiments are run in: its commit, what differs from it, its experiments."""

import re
import subprocess
from pathlib import Path

from lib.core.errors import InputError

_EXPERIMENT = re.compile(r"(?P<commit>\w+) refs/exps/(?P<start>[0-9a-f]{2})/(?P<rest>[0-9a-f]{38})/(?P<name>[^/]+)")
"""A line of `git for-each-ref`: DVC keeps an experiment's commit under the commit that it started from."""


def git(root: Path, *arguments: str) -> str:
    """What this git command prints in `root`. Raises InputError with git's message where it fails."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise InputError(f"git {' '.join(arguments)} failed in {root}: {done.stderr.strip()}")
    return done.stdout


def head(root: Path) -> str:
    """The 40 digits of the commit at HEAD. Raises InputError where nothing is committed."""
    return git(root, "rev-parse", "--verify", "HEAD").strip()


def committed(root: Path, path: str, commit: str = "HEAD") -> str | None:
    """The text of `path` in this commit, or None where it has no such file."""
    if not git(root, "ls-tree", commit, "--", path):
        return None
    return git(root, "show", f"{commit}:{path}")


def changed(root: Path) -> list[str]:
    """The files that git tracks and that are not as the commit at HEAD has them, sorted."""
    return sorted(git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD").split("\0")[:-1])


def untracked(root: Path) -> list[str]:
    """The files that git neither tracks nor ignores, sorted."""
    return sorted(git(root, "ls-files", "-z", "--others", "--exclude-standard").split("\0")[:-1])


def experiments(root: Path, name: str) -> dict[str, str]:
    """The commits of all experiments of this name, by the commit that each started from."""
    lines = git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    matches = filter(None, map(_EXPERIMENT.fullmatch, lines))
    return {match["start"] + match["rest"]: match["commit"] for match in matches if match["name"] == name}
