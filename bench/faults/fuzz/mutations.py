"""Files as faults, tools and people leave them: one file or record after a few random changes.

Pure functions of a `Random`: structural ones on JSON values, textual ones on bytes, and kinds of file that are no file.
"""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench.faults.fuzz.letters import UNICODE

LONG = (10_000, 140_000)
"""Letters of a long word, and of one beyond what Python's csv takes for a cell."""
HUGE = 10**30
Values = Any


def odd_value(random: Random) -> Values:
    """A value that is seldom what a field wants."""
    makers: tuple[Callable[[], Values], ...] = (
        lambda: None,
        lambda: "",
        lambda: " \t ",
        list,
        dict,
        lambda: [None],
        lambda: [[]],
        lambda: [""],
        lambda: {"": ""},
        lambda: True,
        lambda: False,
        lambda: 0,
        lambda: -1,
        lambda: 1.5,
        lambda: HUGE,
        lambda: -HUGE,
        lambda: 2**63,
        lambda: float("nan"),
        lambda: float("inf"),
        lambda: -float("inf"),
        lambda: 1e308,
        lambda: 5e-324,
        lambda: "x" * random.choice(LONG),
        lambda: random.choice(UNICODE),
        lambda: random.choice(UNICODE),
        lambda: [random.choice(UNICODE), 1, None],
        lambda: nested(random),
        lambda: {"prompt": random.choice(UNICODE), "ground_truth": 1, "str": None},
        lambda: list(range(500)),
    )
    return random.choice(makers)()


def nested(random: Random) -> Values:
    """A list or record in lists or records, to a depth at which recursive readers end."""
    value: Values = random.choice(("a", None, 1))
    depth = random.choice((2, 5, 100, 400, 800, 960))
    for _ in range(depth):
        value = [value] if random.random() < 0.7 else {"a": value}
    return value


def places(values: Values, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside nested lists and records, that of the value itself left out."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def restructured(values: Values, random: Random) -> tuple[Values, str]:
    """A copy of nested values with one change of their structure, and what kind of change it is."""
    values = copy.deepcopy(values)
    paths = list(places(values))
    if not paths:
        return odd_value(random), "another value"
    *way, key = random.choice(paths)
    holder = values
    for step in way:
        holder = holder[step]
    return values, _changed(holder, key, random)


def _changed(holder: Values, key: Any, random: Random) -> str:
    """Change what `holder` has at `key`, in place; the kind of the change."""
    value = holder[key]
    kind = random.choice(
        ("absent", "odd", "odd", "odd", "null", "wrapped", "unicode", "unicode", "twice", "renamed", "other")
    )
    if kind == "absent":
        del holder[key]
    elif kind == "null":
        holder[key] = None
    elif kind == "wrapped":
        holder[key] = random.choice(([value], {"a": value}, [[value], value], str(value)))
    elif kind == "unicode" and isinstance(value, str):
        holder[key] = with_unicode(value, random)
    elif kind == "twice" and isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), copy.deepcopy(value))
    elif kind == "renamed" and isinstance(holder, dict):
        renamed = (key.upper(), f" {key}", key[:-1], f"{key}\u200b", f"{key}_x", "", key.replace("_", " "))
        holder[random.choice(renamed)] = holder.pop(key)
    elif kind == "other" and isinstance(holder, dict):
        holder[random.choice(("notes", "id", "Unnamed: 0", "", "\u202e", "case_id"))] = odd_value(random)
    else:
        holder[key] = odd_value(random)
        kind = "odd"
    return kind


def with_unicode(text: str, random: Random) -> str:
    """The text with one of UNICODE in it, or in its place."""
    start = random.randrange(len(text) + 1)
    piece = random.choice(UNICODE)
    return random.choice((text[:start] + piece + text[start:], piece, piece * 3 + text, text + piece))


def json_bytes(values: Values, random: Random) -> bytes:
    """The values as one of many tools writes JSON, lone surrogates as escapes."""
    escaped = random.random() < 0.5
    text = json.dumps(values, ensure_ascii=escaped, indent=random.choice((None, None, 1)))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(values).encode()


def with_repeated_key(data: bytes, random: Random) -> bytes:
    """A JSON text in which one record has a key a second time, with another value."""
    text = data.decode()
    starts = [index for index, letter in enumerate(text) if letter == "{" and text[index + 1 : index + 2] == '"']
    if not starts:
        return data
    start = random.choice(starts) + 1
    key = text[start : text.index('"', start + 1) + 1]
    value = random.choice(('"another"', "null", "1", "[]"))
    return f"{text[:start]}{key}: {value}, {text[start:]}".encode()


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _flipped(data: bytes, random: Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 20))):
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _inserted(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data) + 1)
    pieces = (
        b'"',
        b"'",
        b",",
        b"\n",
        b"\r",
        b"\x00",
        b"\t",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b"\\",
        b"\xff",
        b"\xed\xa0\x80",
        b";",
        b'""',
        b"#",
    )
    return data[:start] + random.choice(pieces) * random.choice((1, 1, 2, 100)) + data[start:]


def _left_out(data: bytes, random: Random) -> bytes:
    start = random.randrange(len(data))
    return data[:start] + data[start + random.choice((1, 1, 5, 200)) :]


def _repeated(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] + data[end:]


def _zeroed(data: bytes, random: Random) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + bytes(end - start) + data[end:]


def _recoded(data: bytes, random: Random) -> bytes:
    text = data.decode("utf-8", errors="replace")
    codec = random.choice(
        ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-7", "cp037")
    )
    return text.encode(codec, errors="replace")


def _other_lines(data: bytes, random: Random) -> bytes:
    return data.replace(
        b"\n", random.choice((b"\r", b"\r\n", b"\n\n", b"\n\r", b" \n", b"\x0b", b"\xe2\x80\xa8", b"\n,\n"))
    )


def _other_delimiters(data: bytes, random: Random) -> bytes:
    return data.replace(
        random.choice((b",", b":", b'"', b"\t", b" ")), random.choice((b";", b"\t", b"|", b"'", b"", b",,"))
    )


def _another_file(data: bytes, random: Random) -> bytes:
    heads = (
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"PK\x03\x04",
        b"PAR1PAR1",
        b"GGUF",
        b"\x80\x04\x95",
        b"\x93NUMPY\x01\x00",
        b"\x1f\x8b\x08",
        b"\x89PNG\r\n",
        b"[",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'""',
        b"\n\n",
        b" ",
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"9" * 5000,
        b"[1e999]",
        b"{",
        b"\x00" * 100,
    )
    return random.choice(heads) + (data if random.random() < 0.2 else b"")


TEXTUAL: dict[str, Callable[[bytes, Random], bytes]] = {
    "cut": _cut,
    "bytes flipped": _flipped,
    "inserted": _inserted,
    "left out": _left_out,
    "repeated": _repeated,
    "zeroed": _zeroed,
    "another coding": _recoded,
    "other line ends": _other_lines,
    "other delimiters": _other_delimiters,
    "another file": _another_file,
}


def damaged(data: bytes, random: Random) -> tuple[bytes, str]:
    """The bytes after a textual change, and its kind."""
    kind = random.choice([*TEXTUAL])
    return (TEXTUAL[kind](data, random) if data else b"\x00"), kind


def no_file(path: Path, random: Random) -> str:
    """Put something at `path` that is no readable file; its kind."""
    kind = random.choice(("empty", "folder", "FIFO", "symlink loop", "dangling link", "absent", "device", "unreadable"))
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind in ("symlink loop", "dangling link", "device"):
        target = {"symlink loop": path, "dangling link": path.with_name("nowhere"), "device": Path("/dev/zero")}[kind]
        path.symlink_to(target)
    elif kind == "unreadable":
        path.write_bytes(b"[]")
        path.chmod(0)
    return kind
