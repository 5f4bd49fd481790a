"""The study of a search: its file survives kills, and is that of one search over one text."""

import json
import os
import subprocess
import sys

import pytest

from theano_rnn import RNNError
from theano_rnn.search.plan import Plan
from theano_rnn.search.ranges import parse_all
from theano_rnn.search.study import COMPLETE, EARLIEST, PARTS, Progress, Study, best_first

TEXT = [1, 2, 3]


def plan(recipe=None, **ranges):
    given = {"text": "a.txt", "dropout": "0.2..0.6", "layers": "1,2", **ranges}
    given = {name: value for name, value in given.items() if value is not None}
    return Plan(*parse_all(given), recipe)


def finished(loss, ended="complete"):
    return {"ended": ended, "loss": loss, "epochs": 3, "seconds": 1.5}


def test_a_search_goes_on_with_what_was_interrupted_and_has_each_trial_once(tmp_path):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        jobs = study.jobs(5)
        first, second = next(jobs), next(jobs)
        assert study.interrupted == [0, 1]
        study.end(second, finished(4.5), None)
        study.end(next(jobs), None, RNNError("training diverged"))
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        assert study.interrupted == [0]
        jobs = list(study.jobs(5))
        assert jobs[0] == first and [job.number for job in jobs] == [0, 3, 4]
        assert jobs[0].run == tmp_path / "s" / "trials" / "0000"
        assert {1, 2} == set(study.results.records)
        assert study.results.records[2]["error"] == "training diverged"
        for job in jobs:
            study.end(job, finished(4.0 + job.number), None)
        assert list(study.jobs(5)) == []


def test_draws_depend_on_the_trials_before_and_not_on_when_it_was_killed(tmp_path):
    def run(folder, stops):
        chosen = []
        for stop in stops:
            with Study(tmp_path / folder, plan(), TEXT, seed=3) as study:
                for job in study.jobs(stop):
                    chosen.append(job.chosen)
                    study.end(job, finished(job.chosen["dropout"]), None)
        return chosen

    assert run("a", [14]) == run("b", [3, 11, 14])
    assert len({str(chosen) for chosen in run("a2", [6])}) == 6


def test_all_values_of_ranges_that_have_a_count_are_tried_once(tmp_path):
    found = plan(dropout="0.1..0.3:0.1", layers="1,2")
    with Study(tmp_path / "s", found, TEXT, seed=0) as study:
        chosen = []
        for job in study.jobs(100):
            chosen.append(tuple(job.chosen.values()))
            study.end(job, finished(1.0), None)
    assert sorted(chosen) == [(d, n) for d in (0.1, 0.2, 0.3) for n in (1, 2)]


def test_a_kill_between_two_files_loses_nothing(tmp_path):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        jobs = study.jobs(3)
        job = next(jobs)
        # Killed when the record was written, and not yet told to the study; and when a trial was
        # queued, and not yet begun.
        record = {"trial": 0, **finished(4.0), "error": None, "settings": job.chosen}
        study.results.add(record)
        study._study.enqueue_trial({"dropout": 0.5, "layers": 2})
    with open(tmp_path / "s" / "study.journal", "ab") as file:
        file.write(b'{"op_code":')  # and while it wrote a line
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        assert study.interrupted == []
        jobs = list(study.jobs(3))
        assert [job.number for job in jobs] == [1, 2]
        assert jobs[0].chosen == {"dropout": 0.5, "layers": 2}


@pytest.mark.parametrize(
    "other, text, said",
    [
        (plan(dropout="0.2..0.5"), TEXT, "it has --dropout 0.2..0.6, not --dropout 0.2..0.5"),
        (plan(layers=None, dropout="0.2..0.6"), TEXT, "it has --layers 1,2, not its default"),
        (plan(tied="yes"), TEXT, "it has its default, not --tied"),
        (plan(recipe="words"), TEXT, "it has no --recipe, not --recipe words"),
        (plan(), [1, 2, 4], "another text; restore it"),
    ],
)
def test_the_folder_of_another_search_is_refused_and_stays(tmp_path, other, text, said):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        study.end(next(study.jobs(3)), finished(4.0), None)
    before = {path: path.read_bytes() for path in (tmp_path / "s").iterdir() if path.is_file()}
    with pytest.raises(RNNError) as refused:
        Study(tmp_path / "s", other, text, seed=0)
    assert said in str(refused.value) and "name another --run" in str(refused.value)
    assert {path: path.read_bytes() for path in before} == before
    Study(tmp_path / "s", plan(text="moved.txt"), TEXT, seed=0).__exit__()  # the same text


def test_a_folder_of_something_else_and_a_damaged_study_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text("{}")
    with pytest.raises(RNNError, match="is no folder of a search; name another with --run"):
        Study(tmp_path / "run", plan(), TEXT, seed=0)
    Study(tmp_path / "s", plan(), TEXT, seed=0).__exit__()
    journal = (tmp_path / "s" / "study.journal").read_bytes()
    of_null = journal.replace(b'"recipe":null', b'"recipe":null,"none":null')
    (tmp_path / "s" / "study.journal").write_bytes(of_null)
    with pytest.raises(RNNError, match=r"it has .*, not its default"):
        Study(tmp_path / "s", plan(), TEXT, seed=0)
    for damage in (b"x\n", b"{}\n", b"[1]\n"):
        (tmp_path / "s" / "study.journal").write_bytes(damage)
        with pytest.raises(RNNError, match=r"study.journal is damaged .*name another --run"):
            Study(tmp_path / "s", plan(), TEXT, seed=0)


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_kill_while_a_trial_begins_loses_nothing(tmp_path, lines):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        chosen = next(study.jobs(1)).chosen
    path = tmp_path / "s" / "study.journal"
    *written, last = path.read_bytes().splitlines(keepends=True)
    assert b'"param_name":"layers"' in last
    path.write_bytes(b"".join(written[: len(written) + 1 - lines]))
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        (job,) = study.jobs(1)
        assert (job.number, job.chosen) == (0, chosen)
        study.end(job, finished(4.0), None)
        assert study._study.trials[0].params == chosen


def test_a_search_that_was_killed_before_its_study_was_made_begins_anew(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "results.jsonl").write_text("")
    Study(tmp_path / "s", plan(), TEXT, seed=0).__exit__()
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "results.jsonl").write_text("{}\n")  # of another command
    with pytest.raises(RNNError, match="is no folder of a search"):
        Study(tmp_path / "t", plan(), TEXT, seed=0)


@pytest.mark.parametrize(
    "change",
    [{"settings": {}}, {"settings": {"layers": 1, "cell": "gru"}}, {"settings": None},
     {"loss": None}, {"loss": float("nan")}, {"loss": True}, {"trial": -1}, {"trial": True},
     {"ended": "done"}, {"epochs": None}, {"seconds": "1"}],
)  # fmt: skip
def test_a_record_that_is_none_of_this_search_is_named(tmp_path, change):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        record = study.end(next(study.jobs(3)), finished(4.0), None)
    path = tmp_path / "s" / "results.jsonl"
    path.write_text(json.dumps({**record, **change}) + "\n")
    with pytest.raises(RNNError, match=r"remove (the|its) line"):
        Study(tmp_path / "s", plan(), TEXT, seed=0)


def test_two_searches_cannot_go_on_in_one_folder(tmp_path):
    with Study(tmp_path / "s", plan(), TEXT, seed=0):
        with pytest.raises(RNNError, match="another process writes to "):
            Study(tmp_path / "s", plan(), TEXT, seed=0)


@pytest.mark.slow
def test_on_a_full_disk_the_study_stays_whole_and_says_so(tmp_path):
    program = (
        "import os, resource, signal\n"
        "from search import test_study as t\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with t.Study('s', t.plan(), t.TEXT, seed=0) as study:\n"
        "    size = os.stat('s/study.journal').st_size\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 250, resource.RLIM_INFINITY))\n"
        "    try: list(study.jobs(9))\n"
        "    except Exception as error: print(error)\n"
    )
    tests = os.path.dirname(os.path.dirname(__file__))
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": f"{os.path.dirname(tests)}:{tests}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.stderr == "" and "study.journal cannot be written: File too large" in done.stdout
    for line in (tmp_path / "s" / "study.journal").read_text().splitlines():
        json.loads(line)
    Study(tmp_path / "s", plan(), TEXT, seed=0).__exit__()


def test_a_trial_is_pruned_above_the_median_at_the_same_share_but_not_too_early(tmp_path):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        jobs = study.jobs(100)
        for loss in range(COMPLETE):
            job = next(jobs)
            progress = Progress(job)
            for part in range(1, PARTS):
                assert not progress.is_worse(part / PARTS, 5 + loss - part / PARTS)
            study.end(job, finished(4.0 + loss), None)
        good, bad, late = (Progress(next(jobs)) for _ in range(3))
        median = 5 + (COMPLETE - 1) / 2
        for part in range(1, PARTS):
            share = part / PARTS
            assert not good.is_worse(share, median - share - 0.1)
            assert bad.is_worse(share, median - share + 0.1) == (part >= EARLIEST)
        assert not late.is_worse(0.3, 0.1) and not late.is_worse(0.31, 99)  # of one part
        often = next(jobs)
        progress = Progress(often)
        for share, loss in ((0.6, median - 0.65), (0.61, 0.1), (0.7, 99)):  # the lowest in between
            assert not progress.is_worse(share, loss)
        assert not Progress(often).is_worse(0.8, 99)  # and after a stop


def test_trials_that_end_their_epochs_at_other_shares_are_compared(tmp_path):
    with Study(tmp_path / "s", plan(), TEXT, seed=0) as study:
        jobs = study.jobs(100)
        for trial in range(COMPLETE):  # of six epochs and of seven
            job, epochs = next(jobs), 6 + trial % 2
            progress = Progress(job)
            for epoch in range(1, epochs + 1):
                assert not progress.is_worse(epoch / epochs, 5 - epoch / epochs)
            study.end(job, finished(4.0), None)
        for part in range(EARLIEST, PARTS):
            good, bad = Progress(next(jobs)), Progress(next(jobs))
            assert not good.is_worse(part / PARTS, 4.05)
            assert bad.is_worse(part / PARTS, 9.9)


def test_the_best_trial_comes_first_then_pruned_and_failed_ones():
    records = [
        {"trial": i, "ended": ended, "loss": loss}
        for i, (ended, loss) in enumerate(
            [("failed", None), ("pruned", 1.0), ("complete", 3.0), ("complete", 2.0)]
        )
    ]
    assert [record["trial"] for record in best_first(records)] == [3, 2, 1, 0]
