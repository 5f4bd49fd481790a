"""The readers under atheris, which looks for input that goes where none has gone before."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from rich.console import Console

from fuzz.hostile import LARGEST
from fuzz.judge import Guard, Tally, Target, emptied, end, on_alarm
from fuzz.processes import fast_folder
from fuzz.readers import RAW, raw_seeds

#: What is traced for its coverage; the engine is no reader.
TRACED = ["theano_rnn", "json", "zipfile", "csv", "safetensors", "numpy.lib.format"]


def run_readers(
    console: Console, targets: Sequence[Target], only: Optional[Sequence[str]], seconds: float
) -> int:
    """Each reader that takes bytes, so long, in a process of its own."""
    try:
        import atheris
    except ImportError:
        console.print("atheris is not installed: nothing was run (pip install atheris)")
        return 0
    worst = 0
    for target in targets:
        if target.name in RAW and (only is None or target.name in only):
            with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
                child = os.fork()
                if child == 0:
                    _fuzz(atheris, target, seconds, Path(folder))
                _, status = os.waitpid(child, 0)
            worst = max(worst, os.waitstatus_to_exitcode(status) != 0)
    return worst


def _fuzz(atheris: Any, target: Target, seconds: float, folder: Path) -> None:
    """It does not return: libFuzzer ends the process."""
    inside, corpus = folder / "cases", folder / "corpus"
    inside.mkdir()
    corpus.mkdir()
    for i, seed in enumerate(raw_seeds(target.name)):
        (corpus / str(i)).write_bytes(seed)
    signal.signal(signal.SIGALRM, on_alarm)
    tally, guard = Tally(), Guard(inside)
    last: list[float] = []

    def one(data: bytes) -> None:
        if not last:  # what is loaded has been instrumented by now
            last.append(time.monotonic() + seconds)
        end(target, RAW[target.name](data), inside, tally, guard)
        emptied(inside)
        if tally.failures or time.monotonic() > last[0]:
            print(
                f"{target.name}: {tally.cases:,} executions, {tally.results:,} results, "
                f"{tally.errors:,} errors, {sum(tally.counts.values())} failures, "
                f"{seconds:.0f} seconds", flush=True,
            )  # fmt: skip
            for what, case in tally.failures.items():
                print(f"    {what}, as in {case:.1000}", flush=True)
            os._exit(1 if tally.failures else 0)

    for name in list(sys.modules):
        if name.split(".")[0] in TRACED or name in TRACED:
            _instrument(atheris, sys.modules[name])
    options = [
        "-verbosity=0",
        "-rss_limit_mb=4096",
        f"-max_len={min(LARGEST, 2**16)}",
        "-timeout=60",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()
    os._exit(1)


def _instrument(atheris: Any, module: Any) -> None:
    """The functions and methods of a module that is loaded already."""
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if hasattr(value, "__code__"):
            setattr(module, name, atheris.instrument_func(value))
        elif isinstance(value, type):
            for inner, method in list(vars(value).items()):
                if inner[:2] != "__" and hasattr(method, "__code__"):
                    setattr(value, inner, atheris.instrument_func(method))
