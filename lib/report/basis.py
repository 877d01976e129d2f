"""What a run's numbers rest on: models, texts and samples, and where there were fewer than were asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.report.wording import number

_UNKNOWN = "not recorded"

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Basis:
    """One thing that the numbers rest on."""

    name: str
    value: str
    shortfall: bool = False
    """Whether there was less of it than params.yaml asks for."""


def basis(params: Values, metrics: Mapping[str, Values], numbers: Values, versions: Mapping[str, str]) -> list[Basis]:
    """Everything, in the order of the pipeline.

    Args:
        params: params.yaml.
        metrics: by stage what it left in its metrics and its further results.
        numbers: lib.metrics.headline's.
        versions: of the packages.
    """
    return [
        Basis(name="edits", value=f"{numbers['n']:,}"),
        *_model(metrics),
        *_texts(params, metrics, numbers),
        *_statistics(params, metrics.get("statistics", {})),
        *_paraphrases(params, metrics),
        *_neighbors(params, metrics),
        *_locality(metrics),
        *_scope(params, metrics),
        Basis(name="seeds", value=_seeds(params)),
        Basis(name="versions", value=", ".join(f"{name} {version}" for name, version in versions.items())),
    ]


def shortfalls(lines: Sequence[Basis]) -> list[Basis]:
    """Where there was less than was asked for."""
    return [line for line in lines if line.shortfall]


def _counted(name: str, there: int, requested: int | None, unit: str, more: str = "") -> Basis:
    """`there` of `requested` units; None asks for all there are."""
    short = requested is not None and there < requested
    value = f"{there:,} {unit}{f', of {requested:,} asked for' if short else ''}{more}"
    return Basis(name=name, value=value, shortfall=short)


def _model(metrics: Mapping[str, Values]) -> Iterator[Basis]:
    """Device and dtype as the scoring had them, because the numbers come from there."""
    for name in ("device", "dtype"):
        values = [metrics[stage][name] for stage in ("score", "edit", "base") if name in metrics.get(stage, {})]
        yield Basis(name=name, value=str(values[0]) if values else _UNKNOWN)


def _texts(params: Values, metrics: Mapping[str, Values], numbers: Values) -> Iterator[Basis]:
    facts = metrics.get("facts", {})
    pieces = f", {facts['text']:,} pieces" if "text" in facts else ""
    yield Basis(name="plain text", value=f"{facts.get('text_source', _UNKNOWN)}{pieces}")
    requested = params.get("score", {}).get("plain_texts", {}).get("limit")
    count = numbers["counts"]["perplexity_ratio"]
    if count or requested:
        yield _counted("held-out text", count, requested, "texts")


def _statistics(params: Values, statistics: Values) -> Iterator[Basis]:
    if statistics.get("layers"):
        yield _counted("second moments", statistics["texts"], params["statistics"]["n_samples"], "texts")


def _paraphrases(params: Values, metrics: Mapping[str, Values]) -> Iterator[Basis]:
    para, stage = params.get("para", {}), metrics.get("paraphrase", {})
    if "kept" not in stage:
        return
    written_by = f", written by {stage['backend']}" if stage.get("backend") else ""
    requested = None if para["method"] == "none" else stage["kept"] + stage["shortfall"]
    yield _counted("training paraphrases", stage["kept"], requested, "prompts", written_by)


def _neighbors(params: Values, metrics: Mapping[str, Values]) -> Iterator[Basis]:
    settings, stage = params.get("neighbors", {}), metrics.get("neighbors", {})
    if "neighbors" not in stage:
        return
    if settings["kind"] == "none":
        yield Basis(name="training neighbors", value="none")
        return
    how = f", {settings['kind']}" + (f", by encoder {stage['encoder']}" if stage.get("encoder") else "")
    yield _counted("training neighbors", stage["neighbors"], stage["neighbors"] + stage["shortfall"], "facts", how)
    pool = metrics.get("recall", {}).get("pool")
    if pool is not None:
        yield Basis(name="pool of unedited facts", value=f"{pool:,} facts")


def _locality(metrics: Mapping[str, Values]) -> Iterator[Basis]:
    """Where locality prompts come from, where a file of one's own has given too few."""
    recall = metrics.get("recall", {})
    if of_pool := recall.get("locality_of_pool"):
        own = f"{recall['locality_of_subject']:,} of them about the subject of their own edit"
        sources = f"{recall['locality_of_file']:,} of the file, {of_pool:,} of the pool"
        yield Basis(name="locality prompts", value=f"{sources}; {own}")


def _scope(params: Values, metrics: Mapping[str, Values]) -> Iterator[Basis]:
    """For which prompts the edit is in force, where not for all; the tasks' prompts are among them."""
    settings = params.get("scope", {})
    if settings.get("encoder") is None:
        return
    where = f"near its facts alone: {settings['encoder']}, cosine at least {number(settings['threshold'])}"
    pairs = dict(metrics.get("score", {}).get("in_scope", {}))
    tasks = metrics.get("abilities", {}).get("tasks", {})
    pairs |= {name: (task["in_scope"], task["n"]) for name, task in tasks.items() if "in_scope" in task}
    counts = [f"{inside:,} of {total:,} {kind}" for kind, (inside, total) in pairs.items()]
    yield Basis(name="the edit is in force", value=f"{where}; {', '.join(counts)}" if counts else where)


def _seeds(params: Values) -> str:
    """Every seed by its section; one number where all are the same."""
    seeds = dict(_named_seeds(params))
    if len(set(seeds.values())) == 1:
        return f"{number(next(iter(seeds.values())))} everywhere"
    return ", ".join(f"{name} {number(value)}" for name, value in seeds.items())


def _named_seeds(values: Values, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _named_seeds(value, f"{path}{name}.")
        elif name == "seed":
            yield f"{path}{name}", value
