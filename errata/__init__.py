"""Errata as a library: `from errata import fix, load, score` (docs/errata.md); the command is errata.command.

What is named here is imported when it is first asked for, so that `errata --help` loads no torch.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

__all__ = ["Edit", "fix", "load", "score"]

_REPOSITORY = Path(__file__).resolve().parent.parent


def _bind(name: str) -> None:
    """Let `import lib` (or apps) mean the repository's, also where Python starts beside another folder of that name.

    Raises ImportError where the other was imported first, or where the repository is not around this file.
    """
    path = _REPOSITORY / name / "__init__.py"
    if not path.is_file() or not (_REPOSITORY / "dvc.yaml").is_file():
        raise ImportError(
            f"errata: wanted {name}/ and dvc.yaml in {_REPOSITORY}: install it there by `pip install -e .`"
        )
    if name not in sys.modules:
        spec = spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    if Path(str(sys.modules[name].__file__)).resolve() != path:
        raise ImportError(
            f"errata: wanted {path} as `{name}`; {sys.modules[name]} was imported first. Import errata before it"
        )


for _name in ("lib", "apps"):
    _bind(_name)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("errata.library"), name)
    raise AttributeError(f"module 'errata' has no attribute {name!r}; it has {', '.join(__all__)}")
