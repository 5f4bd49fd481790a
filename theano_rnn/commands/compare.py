"""Train the same text with one cell after another, and print a table of their perplexities.

All other options go to the trainings, but for --cell, --run, --resume and --from. The run of each
cell is a folder in DIR; a cell whose training has ended is not trained again, and a run that was
stopped is resumed.
"""

import json
import math
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from rich.table import Table

from theano_rnn.commands import calling, train
from theano_rnn.commands.console import CONSOLE, table
from theano_rnn.common import files, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.options import given as given_options
from theano_rnn.common.types import Record
from theano_rnn.model.cells import CELLS
from theano_rnn.studies import grid
from theano_rnn.text.reading import STANDARD_INPUT
from theano_rnn.training.evaluation import format_perplexity, judged_on
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings

#: The cells that are compared by default.
USUAL = ("tanh", "sigmoid", "relu", "gru", "lstm")
#: Options of ``train`` that differ from cell to cell.
OWN = ("--cell", "--run", "--resume", "--from")


def parser() -> calling.Parser:
    p = calling.Parser(prog=calling.program("compare"), description=__doc__)
    p.add_argument("--runs", metavar="DIR", required=True, help="folder of the runs")
    p.add_argument(
        "--cells", default=",".join(USUAL), help="comma-separated (default: %(default)s)"
    )
    return p


@calling.ends_in_a_line("compare")
def main(argv: Optional[Sequence[str]] = None) -> int:
    arguments, options = parser().parse_known_args(argv)
    for option in OWN:
        if any(given.split("=")[0] == option for given in options):
            raise RNNError(
                f"{option} is set for each training by the comparison; leave it out (--cells and "
                "--runs are its own)"
            )
    cells = calling.listed(arguments.cells)
    _check(cells, options)  # before any of them is trained
    noted = Path(arguments.runs) / "options.json"
    _same_options(noted, options)
    results = {}
    for cell in cells:
        run = Run(Path(arguments.runs) / cell)
        if not is_done(run):
            how = ["--cell", cell, "--run", str(run.folder), *options]
            if (run.folder / "settings.json").is_file():
                how = ["--resume", str(run.folder)]
            code = ended([*calling.process("train"), *how])
            if run.folder.exists():  # not where the options were wrong
                with files.writing(noted):
                    files.replace(noted, json.dumps(options).encode())
            if code:
                return code
        results[cell] = run.result()
        if not is_done(run):
            raise RNNError(f"the training of {cell} was stopped; the same command goes on with it")
        if _text(results[cell]) != _text(results[cells[0]]):
            raise RNNError(
                f"{cells[0]} and {cell} were trained on different texts, and cannot be compared; "
                "name another folder: --runs"
            )
    CONSOLE.print(results_table(results))
    return 0


def _check(cells: Sequence[str], options: Sequence[str]) -> None:
    """Raise RNNError if the options do not do for one of the cells."""
    from theano_rnn.training import start  # here, so that --help does not wait for Theano

    arguments = train.parse_arguments(options)
    given = given_options(arguments, Settings)
    texts = (given.get(name) for name in start.TEXTS)
    if any(STANDARD_INPUT in ([text] if isinstance(text, str) else text or []) for text in texts):
        raise RNNError("each training reads the text again; write standard input to a file first")
    for cell in cells:
        validation.one_of(cell, "cell", CELLS)
        try:
            start.chosen({**given, "cell": cell}, arguments.recipe, None)
        except RNNError as error:
            raise RNNError(calling.as_options(str(error), "train")) from None


def _text(result: Record) -> tuple[object, ...]:
    """What tells the text of a result from another one."""
    perplexity = round(result["kneser_ney_perplexity"], 6)
    return result.get("train_tokens"), result.get("vocab_size"), perplexity


def is_done(run: Run) -> bool:
    """Whether a run has the result of a training that has ended, and was not stopped before."""
    result = run.result()
    return isinstance(result, dict) and result.get("ended", "epochs") is not None


def _same_options(noted: Path, options: list[str]) -> None:
    """Raise RNNError if the runs in a folder were trained with other options."""
    before = grid.read(noted, "file of options") if noted.exists() else options
    if not isinstance(before, list) or not all(isinstance(word, str) for word in before):
        raise RNNError(f"{noted} is no list of options; remove it, or name another folder: --runs")
    if before != options:
        raise RNNError(
            f"{noted.parent} is a comparison with other options: {shlex.join(before) or 'none'}; "
            "give these, or name another folder: --runs"
        )


def ended(command: Sequence[str]) -> int:
    """The exit code of a training. Ctrl-C reaches it too: it saves, and is waited for."""
    with subprocess.Popen(command) as training:
        while True:
            try:
                return training.wait()
            except KeyboardInterrupt:
                continue


def results_table(results: dict[str, Any]) -> Table:
    headings = "validation loss", "perplexity", "test perplexity", "seconds", "tokens/s"
    made = table("The same text, cell by cell", "cell", *headings)
    for cell, r in results.items():
        made.add_row(
            cell,
            f"{math.log(r['valid_perplexity']):.3f}",
            format_perplexity(r["valid_perplexity"], 2),
            format_perplexity(r["test_perplexity"], 2) if "test_perplexity" in r else "",
            f"{r['training_seconds']:,.0f}",
            f"{r['tokens_per_second']:,.0f}",
        )
    *_, last = results.values()
    for model, name in (("bigram", "bigram"), ("Kneser-Ney", "kneser_ney")):
        perplexity = format_perplexity(last[f"{name}_perplexity"], 2)
        figures = ("", perplexity) if judged_on(last) == "test" else (perplexity, "")
        made.add_row(model, "", *figures, "", "")
    return made
