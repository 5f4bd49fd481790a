"""The records of trials: their file, a table of successes, a picture of it."""

import io

from theano_rnn.common.types import PathLike, Record
from theano_rnn.common.validation import is_finite
from theano_rnn.long_term.trial import SETTINGS, Trial
from theano_rnn.studies import results

#: The task, the cell and the remedy of a row of the table, with what else tells it from others.
Row = tuple[str, str, str]

#: Settings that older records do not have, as these trials had them.
ADDED = {"flossing": None}
#: What may tell trials of one task, cell and remedy apart, beside length and seed.
OTHERS = [n for n in SETTINGS if n not in ("task", "length", "cell", "remedy", "seed")]


class Results(results.Results[Trial]):
    """The records of trials in a folder, see ``studies.results``."""

    def __init__(self, folder: PathLike) -> None:
        super().__init__(folder, trial_of)


def trial_of(record: Record) -> Trial:
    """The trial that a record is of.

    Raises
    ------
    KeyError, ValueError
        If a setting or the outcome is missing or bad.
    """
    _check_outcome(record)
    record = {**ADDED, **record}
    return Trial(**{name: record[name] for name in SETTINGS})


def _check_outcome(record: Record) -> None:
    """Raise ValueError or KeyError unless the record says how its trial ended."""
    rate = record["error_rate"]
    numbers = [record["updates"], record["seconds"], *([] if rate is None else [rate])]
    if not isinstance(record["solved"], bool) or not isinstance(record["ended"], str):
        raise ValueError
    if not all(is_finite(number) and number >= 0 for number in numbers):
        raise ValueError


def by_row_and_length(records: list[Record]) -> dict[Row, dict[int, list[Record]]]:
    """The records of all seeds: (task, cell, remedy) -> length -> records, by ascending length.

    Where the trials of a cell and a remedy differ in more than length and seed, the rest stands
    behind the remedy: "clip, learning_rate 0.1".
    """
    alike: dict[Row, list[Record]] = {}
    for r in records:
        alike.setdefault((r["task"], r["cell"], r["remedy"]), []).append({**ADDED, **r})
    table: dict[Row, dict[int, list[Record]]] = {}
    for (task, cell, remedy), those in alike.items():
        varied = [name for name in OTHERS if len({r[name] for r in those}) > 1]
        for r in those:
            name = ", ".join([remedy, *(f"{name} {r[name]}" for name in varied)])
            table.setdefault((task, cell, name), {}).setdefault(r["length"], []).append(r)
    return {name: dict(sorted(row.items())) for name, row in table.items()}


def picture(table: dict[Row, dict[int, list[Record]]]) -> bytes:
    """A PNG with one plot per task and one line per cell and remedy.

    Parameters
    ----------
    table : dict
        As ``by_row_and_length`` returns it.
    """
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(task for task, _, _ in table))
    figure = Figure(figsize=(5.5 * len(tasks), 4.2), layout="constrained")
    for task, axes in zip(tasks, figure.subplots(1, len(tasks), squeeze=False)[0]):
        rows = {f"{cell}, {remedy}": row for (t, cell, remedy), row in table.items() if t == task}
        for i, (label, row) in enumerate(rows.items()):
            # Each line is drawn a little below the one before, so that equal ones stay visible.
            shares = [sum(r["solved"] for r in seeds) / len(seeds) for seeds in row.values()]
            heights = [share - 0.012 * i for share in shares]
            axes.plot(list(row), heights, "osD^vP*X"[i % 8] + "-", label=label)
        axes.set_xscale("log")
        lengths = sorted({length for row in rows.values() for length in row})
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set_title(task.replace("_", " "))
        axes.set_xlabel("length of the sequences, steps")
        axes.set_ylabel("share of seeds that solve it (lines set apart)")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left", fontsize="small")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()
