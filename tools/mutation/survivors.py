"""Why some mutants live: read from ``survivors.json``, found by what stands in the line."""

import json
from pathlib import Path
from typing import Any

from mutation.trying import Result

FILE = Path(__file__).with_name("survivors.json")


def read() -> list[dict[str, Any]]:
    """Entries of a file, a line of it, the lines that mutants made of it, and the reason."""
    entries: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return entries


def reasons() -> dict[tuple[str, str, str], str]:
    return {
        (entry["file"], entry["line"], mutant): entry["reason"]
        for entry in read()
        for mutant in entry["mutants"]
    }


def key(result: Result) -> tuple[str, str, str]:
    return result.mutant.path, result.before, result.after
