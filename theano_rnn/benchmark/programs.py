"""Programs in processes of their own: start them, ask them, time them in turns."""

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

import numpy as np

from theano_rnn.benchmark.child import Spec
from theano_rnn.common.types import PathLike, Record

#: Seconds between two measurements. The threads of OpenBLAS and of OpenMP spin for a while after
#: their last work, some for .2 seconds, on the cores that the next program needs.
REST = 0.3


class ProgramError(RuntimeError):
    """A child process ended by itself; the message has the last line that it wrote."""


class Program:
    """A child process with one program, which has taken its first step.

    Parameters
    ----------
    spec : Spec
    threads : int, optional
        The threads; by default each program decides.
    compiledir : str or Path, optional
        The compile cache; by default the usual one.
    python : str or Path, optional
        The interpreter of another environment. It gets this package on its path, and nothing else
        of this environment.

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

        self._files = tempfile.TemporaryDirectory()
        self._stderr = tempfile.TemporaryFile("w+")
        if spec.program in ("stock", "pytensor-c"):
            spec = dataclasses.replace(spec, blas_library=engine.BLAS.library)
        if spec.program not in ("ours", "limit"):
            path = str(Path(self._files.name, "parameters.npz"))
            save_first_parameters(spec, path)
            spec = dataclasses.replace(spec, parameters=path)
        package = None if python is None else package_alone(self._files.name)
        self.spec = spec
        module = [str(python or sys.executable), "-m", "theano_rnn.benchmark.child"]
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [*module, json.dumps(vars(spec))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=environment(spec.program, os.environ, threads, compiledir, package),
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise
        self.seconds_to_first_step = time.perf_counter() - start

    def ask(self, do: str, T: Optional[int] = None, **request: Any) -> Record:
        """The answer of the child's method ``do``, for the T of the spec or another."""
        request = {"do": do, "T": self.spec.T if T is None else T, **request}
        with contextlib.suppress(BrokenPipeError):  # ``_answer`` raises an error that says why
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
        self._files.cleanup()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def save_first_parameters(spec: Spec, path: str) -> None:
    """Write the parameters that ours begins with, as an .npz file."""
    from theano_rnn.model.architecture import Architecture
    from theano_rnn.model.initialization import initial

    shapes = Architecture(spec.vocab_size, spec.hidden_size, spec.cell).shapes
    np.savez(path, **initial(shapes, spec.cell, "uniform", spec.seed, "float64"))


def package_alone(folder: str) -> str:
    """A folder that has this package in it and nothing else.

    The folder of an installed package has all other packages in it too, and another environment
    would find our NumPy there before its own.
    """
    alone, package = Path(folder, "package"), Path(__file__).parents[1]
    alone.mkdir()
    (alone / package.name).symlink_to(package, target_is_directory=True)
    return str(alone)


def environment(
    program: str,
    environ: Mapping[str, str],
    threads: Optional[int] = None,
    compiledir: Optional[PathLike] = None,
    pythonpath: Optional[str] = None,
) -> dict[str, str]:
    """The environment of a child; it keeps the user's THEANO_FLAGS but for the compile cache.

    Python keeps the bytecode of what it imports, as it does by itself.

    Stock gets in THEANO_FLAGS what it needs to run and to be comparable: the BLAS that ours calls,
    and float32. It has a compile cache of its own.
    """
    from theano_rnn import engine

    theano_flags = [environ.get("THEANO_FLAGS", "").strip().strip(",")]
    if program == "stock":
        theano_flags = [
            engine.flags.theano_flags(engine.BLAS, environ),
            "compiledir_format="
            "theano_stock_%(short_platform)s-%(python_version)s-numpy_%(numpy_version)s",
        ]
    if compiledir is not None:
        theano_flags.append(f"compiledir={shlex.quote(str(compiledir))}")
    env = dict(environ, THEANO_FLAGS=",".join(filter(None, theano_flags)))
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if program == "pytensor-c":  # without a BLAS it would be slower than it need be
        names = ("blas__ldflags", "gcc__cxxflags")
        flags = engine.flags.theano_flags(engine.BLAS, {}).split(",")
        env["PYTENSOR_FLAGS"] = ",".join(f for f in flags if f.startswith(names))
    if pythonpath is not None:
        env["PYTHONPATH"] = str(pythonpath)
    if threads is not None:
        for library in ("OPENBLAS", "OMP", "MKL"):
            env[f"{library}_NUM_THREADS"] = str(threads)
    return env


def milliseconds(
    programs: Sequence[tuple[Program, int]], rounds: int, seconds: float
) -> list[list[float]]:
    """Milliseconds per step of each program, measured in turns: A B A B ...

    Parameters
    ----------
    programs : list of (Program, T)
    rounds : int
    seconds : float
        The length of one measurement, rounded up to whole steps.

    Returns
    -------
    list of lists
        For each program the milliseconds of each round.
    """
    steps = []
    for program, T in programs:
        program.ask("time", T, steps=2)  # to warm up
        once = program.ask("time", T, steps=2)["seconds"] / 2
        steps.append(max(1, math.ceil(seconds / once)))
    measured: list[list[float]] = [[] for _ in programs]
    for _ in range(rounds):
        for (program, T), n, results in zip(programs, steps, measured):
            time.sleep(REST)
            results.append(1000 * program.ask("time", T, steps=n)["seconds"] / n)
    return measured


def spread(values: Sequence[float]) -> Record:
    """The median, the minimum and the maximum of the rounds, and the rounds themselves."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "rounds": list(values),
    }


def ratio(above: Sequence[float], below: Sequence[float]) -> Record:
    """The spread of the quotients of each round."""
    return spread([a / b for a, b in zip(above, below)])
