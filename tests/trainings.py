"""Trainings for the tests: a new one, and what one has reached."""

from theano_rnn.training.loop import Training
from theano_rnn.training.run_folder import Run

#: What no two trainings share.
TIMES = {
    "seconds", "tokens_per_second", "training_seconds", "seconds_to_first_step", "elapsed",
    "begun", "validation",
}  # fmt: skip


def new_training(folder, corpus, settings):
    run = Run.create(folder)
    run.save_settings(vars(settings))
    return Training(settings, run, corpus)


def left_behind(run):
    """All that a run has reached, but for the time it took."""
    reached = [without_times(record) for record in run.metrics()]
    for name in ("best", "last"):
        arrays, state = run.checkpoint(name)
        reached.append(without_times(state))
        reached.append({n: (a.dtype, a.shape, a.tobytes()) for n, a in arrays.items()})
    return reached


def without_times(record):
    return {name: value for name, value in record.items() if name not in TIMES}
