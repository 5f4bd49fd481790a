"""Programs in processes of their own: starting them, asking them, timing them in turns."""

import contextlib
import dataclasses
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from theano_rnn.benchmark.child import Spec
from theano_rnn.common.types import PathLike, Record

#: Seconds between two measurements: OpenBLAS's threads spin for some time after their last
#: work, on the cores that the next program needs.
REST = 0.05


class ProgramError(RuntimeError):
    """A child process ended by itself; the message has the last line it wrote."""


class Program:
    """A child process with one program, which has taken its first step.

    Parameters
    ----------
    spec : Spec
    threads : int, optional
        Of BLAS, which decides by itself where not given.
    compiledir : str or Path, optional
        Its compile cache, where that is not to be the usual one.
    python : str or Path, optional
        The interpreter of another environment, which has this package on its path and nothing
        else of this environment.

    Attributes
    ----------
    seconds_to_first_step : float
        From the start of the process to the end of its first step.
    """

    def __init__(
        self,
        spec: Spec,
        threads: Optional[int] = None,
        compiledir: Optional[PathLike] = None,
        python: Optional[PathLike] = None,
    ) -> None:
        from theano_rnn import engine

        if spec.program == "stock":
            spec = dataclasses.replace(spec, blas_library=engine.BLAS.library)
        self.spec = spec
        self._stderr = tempfile.TemporaryFile("w+")
        self._package = None if python is None else package_alone()
        folder = None if self._package is None else self._package.name
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [
                str(python or sys.executable),
                "-m",
                "theano_rnn.benchmark.child",
                json.dumps(vars(spec)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(spec.program, os.environ, threads, compiledir, folder),
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise
        self.seconds_to_first_step = time.perf_counter() - start

    def ask(self, do: str, T: Optional[int] = None, **request: Any) -> Record:
        """The answer of the child's method ``do`` to a request, at the workload's T or another."""
        request = {"do": do, "T": self.spec.T if T is None else T, **request}
        with contextlib.suppress(BrokenPipeError):  # the answer says why
            print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Record:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            answer: Record = json.loads(line)
            return answer
        self._process.wait()
        self._stderr.seek(0)
        last_words = self._stderr.read().strip().splitlines() or ["without a word"]
        raise ProgramError(f"{self.spec.program} ended: {last_words[-1]}")

    def close(self) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._stderr.close()
        if self._package is not None:
            self._package.cleanup()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def package_alone() -> "tempfile.TemporaryDirectory[str]":
    """A folder with this package in it and nothing else.

    Where the package is installed its own folder is that of all packages, and another
    environment would find our NumPy there before its own.
    """
    folder = tempfile.TemporaryDirectory()
    package = Path(__file__).parents[1]
    Path(folder.name, package.name).symlink_to(package, target_is_directory=True)
    return folder


def environment(
    program: str,
    environ: Mapping[str, str],
    threads: Optional[int] = None,
    compiledir: Optional[PathLike] = None,
    pythonpath: Optional[str] = None,
) -> dict[str, str]:
    """The environment of a child. The user's own THEANO_FLAGS stay, but for the compile cache.

    Stock gets by THEANO_FLAGS what it needs to run at all and to be compared: the BLAS that we
    call and float32. Its compile cache is not ours, nor the one of the user's other programs.
    """
    from theano_rnn import engine

    theano_flags = [environ.get("THEANO_FLAGS", "").strip().strip(",")]
    if program == "stock":
        theano_flags = [
            engine.flags.theano_flags(engine.BLAS, environ),
            "compiledir_format=theano_stock_%(short_platform)s-%(python_version)s",
        ]
    if compiledir is not None:
        theano_flags.append(f"compiledir={shlex.quote(str(compiledir))}")
    env = dict(environ, THEANO_FLAGS=",".join(filter(None, theano_flags)))
    if pythonpath is not None:
        env["PYTHONPATH"] = str(pythonpath)
    if threads is not None:
        for library in ("OPENBLAS", "OMP", "MKL"):
            env[f"{library}_NUM_THREADS"] = str(threads)
    return env


def milliseconds(
    programs: Sequence[tuple[Program, int]], rounds: int, seconds: float
) -> list[list[float]]:
    """What a step costs in each of several programs, measured in turns: A B A B ...

    Parameters
    ----------
    programs : list of (Program, T)
    rounds : int
    seconds : float
        How long one measurement is to take, in whole steps.

    Returns
    -------
    list of lists
        Milliseconds a step, for each program in each round.
    """
    steps = []
    for program, T in programs:
        program.ask("time", T, steps=2)  # warm
        once = program.ask("time", T, steps=2)["seconds"] / 2
        steps.append(max(1, math.ceil(seconds / once)))
    measured: list[list[float]] = [[] for _ in programs]
    for _ in range(rounds):
        for (program, T), n, results in zip(programs, steps, measured):
            time.sleep(REST)
            results.append(1000 * program.ask("time", T, steps=n)["seconds"] / n)
    return measured


def spread(values: Sequence[float]) -> Record:
    """Median, least and greatest of the rounds, and the rounds themselves."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "rounds": list(values),
    }


def ratio(above: Sequence[float], below: Sequence[float]) -> Record:
    """The spread of the quotients, round by round."""
    return spread([a / b for a, b in zip(above, below)])
