"""`apps.tasks`: the ability tasks' files, downloaded from a server on this machine, converted, and read as tasks do."""

import io
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
from ruamel.yaml import YAML

from apps import tasks
from lib.abilities.documents import documents, rows
from lib.abilities.fetching import TaskFile
from lib.core import params
from lib.data import sources

QUESTION = {"question": "who?", "answer": ["Ann"], "output": ["\n\nIt was Ann."]}
DIALOGUES = {
    f"MuTual-b7/data/mutual/dev/dev_{number}.txt": json.dumps(
        {"answers": "B", "options": ["a", "b", "c", "d"], "article": f"m : {number}", "id": f"dev_{number}"}
    )
    for number in (10, 9)
}
RTE = 'index\tsentence1\tsentence2\tlabel\n0\tA "b" c.\tC.\tentailment\n'


def archive(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


SERVED = {
    "test.jsonl": b'{"question": "1 + 1?", "answer": "It is 2.\\n#### 2"}\n',
    "RTE.zip": archive({"RTE/dev.tsv": RTE, "RTE/train.tsv": RTE + RTE.splitlines()[1] + "\n", "RTE/test.tsv": "x"}),
    "SST-2.zip": archive({"SST-2/dev.tsv": 'sentence\tlabel\na "fine" film \t1\nno\t0\n', "SST-2/train.tsv": "x"}),
    "test-OpenDomainQA.jsonl": json.dumps(QUESTION).encode() + b"\n",
    "test-summarization.json": json.dumps([{"dialogue": "A: hi\r\nB: ho", "summary": "They greet."}]).encode(),
    "dev.jsonl": b'{"passage": "p", "question": "q", "answer": true, "title": "t"}\n',
    "b7b16a072679af4769f4201a47e4926464d91725.zip": archive(
        DIALOGUES | {"MuTual-b7/data/mutual/test/test_1.txt": "{}"}
    ),
}
"""What the server has, by the last part of the published address."""
READ: dict[str, dict[str, object]] = {
    "reasoning": {"question": "1 + 1?", "rationale": "It is 2.\n", "answer": "2"},
    "nli": {"sentence1": 'A "b" c.', "sentence2": "C.", "label": "True"},
    "open_qa": {"question": "who?", "passage": "It was Ann.", "answers": ["Ann"]},
    "closed_qa": {"passage": "p", "question": "q", "label": "yes"},
    "dialogue": {"article": "m : 9", "options": ["a", "b", "c", "d"], "label": "B"},
    "summarization": {"dialogue": "A: hi\nB: ho", "summary": "They greet."},
    "sentiment": {"text": 'a "fine" film', "label": "positive"},
}
"""The first document of each task."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The published addresses lead to this machine; the folder that is served, in which a file is not yet absent."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in SERVED.items():
        (folder / name).write_bytes(content)
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yaml = YAML()
    (tmp_path / "configs/task_files").mkdir(parents=True)
    for path in (params.PRESETS / "task_files").glob("*.yaml"):
        values = yaml.load(path)
        for source in filter(None, [values["source"]]):
            names = [Path(urlparse(url).path).name for url in source["urls"]]
            source["urls"] = [f"http://127.0.0.1:{server.server_port}/{name}" for name in names]
            source["sha256"] = None  # what is served here is made up
        yaml.dump(values, tmp_path / "configs/task_files" / path.name)
    monkeypatch.setattr(params, "PRESETS", tmp_path / "configs")
    yield folder
    server.shutdown()
    server.server_close()


def run_app(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["tasks", *arguments])
    tasks.main()


def test_every_file_that_has_an_open_way_comes_in_the_form_that_its_task_reads(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"still to get:\n  ner: .*conll2003_test.txt: no open way; ask NIST") as left:
        run_app(monkeypatch, str(tmp_path / "data"))
    assert str(left.value).count("\n") == 1
    for name, document in READ.items():
        task = params.preset("task_files", name, TaskFile)
        path = tmp_path / "data" / task.file
        first = documents(rows(path), task.reader, "it")[0]
        assert first == document | {"source": "it"}, name
    printed = capsys.readouterr().out
    assert "dialogue: mutual_dev.jsonl; terms: see its authors" in printed
    assert f"nli_published: {tmp_path}/data/rte_train.tsv: 2 records (the published file has 2,490)" in printed


def test_what_lies_in_the_folder_is_read_and_not_fetched_again(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conll = "EU B-ORG\nsaid O\n\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data/conll2003_test.txt").write_text(conll)
    for path in served.iterdir():
        path.unlink()
    run_app(monkeypatch, str(tmp_path / "data"), "--tasks", "ner")
    assert (tmp_path / "data/conll2003_test.txt").read_text() == conll
    with pytest.raises(SystemExit, match=r"closed_qa: .*boolq_dev.jsonl: not downloaded from http://127"):
        run_app(monkeypatch, str(tmp_path / "data"), "--tasks", "closed_qa")
    assert not (tmp_path / "data/boolq_dev.jsonl").exists()


def test_another_file_than_the_published_one_is_named_with_the_record_that_does_not_fit(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served / "dev.jsonl").write_text('{"passage": "p", "question": "q", "answer": "perhaps"}\n')
    with pytest.raises(SystemExit, match=r"record 1: answer: wanted true or false; found 'perhaps'"):
        run_app(monkeypatch, str(tmp_path / "data"), "--tasks", "closed_qa")
