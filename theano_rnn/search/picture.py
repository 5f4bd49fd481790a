"""Which settings matter, as a picture: their importance, and the loss by the values of each."""

import io
import math
from collections.abc import Mapping
from typing import Any

from theano_rnn.common.types import Record
from theano_rnn.search.ranges import Choices, Interval, Range, word

#: Trials that are needed to tell which settings matter.
FEWEST = 5
#: Of the picture: panels in a row, and the trials that are best, whose values are compared with
#: those of all: a tenth of them, but FEWEST at least.
COLUMNS, BEST = 3, 0.1


def importances(records: list[Record], ranges: Mapping[str, Range]) -> dict[str, float]:
    """How much each setting matters for being among the best trials; together 1.

    By PED-ANOVA (Watanabe, Bansal, Hutter 2023, arXiv:2304.10255): how far the values of the best
    trials are spread unlike those of all. A pruned trial counts with its lowest loss.

    Parameters
    ----------
    records : list of dict
        As ``Study.end`` returns them.
    ranges : dict

    Returns
    -------
    dict
        The most important first; empty for fewer than FEWEST trials with a loss.
    """
    import optuna

    having = [record for record in records if record["loss"] is not None]
    if len(having) < FEWEST:
        return {}
    study = optuna.create_study()
    distributions = {name: each.distribution() for name, each in ranges.items()}
    for record in having:
        study.add_trial(
            optuna.trial.create_trial(
                params=record["settings"], distributions=distributions, value=record["loss"]
            )
        )
    share = min(0.5, max(BEST, FEWEST / len(having)))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    found: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return found


def picture(records: list[Record], ranges: Mapping[str, Range]) -> bytes:
    """A PNG: bars of importance, and for each setting the loss of the trials by its value.

    Parameters
    ----------
    records : list of dict
        Those without a loss are left out.
    ranges : dict
    """
    from matplotlib.figure import Figure

    having = [record for record in records if record["loss"] is not None]
    weights = importances(records, ranges)
    names = list(weights) or list(ranges)
    rows = -(-(len(names) + 1) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.4 * rows), layout="constrained")
    first, *others = figure.subplots(rows, COLUMNS, squeeze=False).flat
    first.barh(names[::-1], [weights.get(name, 0.0) for name in names[::-1]])
    first.set_title("importance" if weights else f"importance: needs {FEWEST} trials")
    first.set_xlim(0, 1)
    for name, axes in zip(names, others):
        draw(axes, name, ranges[name], having)
    for axes in others[len(names) :]:
        axes.set_axis_off()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    return data.getvalue()


def draw(axes: Any, name: str, values: Range, records: list[Record]) -> None:
    """Draw the loss of trials by the value of a setting.

    Parameters
    ----------
    axes : matplotlib axes
    name : str
    values : Choices or Interval
    records : list of dict
        With a loss.
    """
    for ended, marker in (("complete", "o"), ("pruned", "x")):
        of_it = [record for record in records if record["ended"] == ended]
        x = [record["settings"][name] for record in of_it]
        if isinstance(values, Choices):
            x = [values.values.index(value) for value in x]
        axes.plot(x, [record["loss"] for record in of_it], marker, alpha=0.7, label=ended)
    if isinstance(values, Choices):
        axes.set_xticks(range(len(values.values)), [word(value) for value in values.values])
    elif isinstance(values, Interval) and values.log:
        axes.set_xscale("log")
        # Of less than a decade Matplotlib labels the ticks between, one over the other.
        ticks = values.low, math.sqrt(values.low) * math.sqrt(values.high), values.high
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.set_xticks([], minor=True)
    axes.set_xlabel(name)
    axes.set_ylabel("validation loss, nats a token")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
