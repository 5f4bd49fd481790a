"""The benchmark: both programs compute the same, the result has its shape. Nothing is timed."""

import contextlib
import dataclasses
import json
import platform
import subprocess
import sys
import types
import typing

import numpy as np
import pytest
from conftest import ROOT

from theano_rnn.benchmark import busy, child, machine, programs, roofline, sections, whole
from theano_rnn.commands import benchmark
from theano_rnn.common.errors import RNNError
from theano_rnn.engine.blas import usable_cores
from theano_rnn.optim.optimizers import OPTIMIZERS

TINY = {"vocab_size": 11, "hidden_size": 5, "T": 7}
BRIEF = sections.Conditions(rounds=2, seconds=1e-4, warm_starts=2)
SCRIPT = ROOT / "scripts" / "benchmark.py"


@pytest.fixture(scope="module")
def both():
    with programs.Program(child.Spec("ours", **TINY)) as ours:
        with programs.Program(child.Spec("stock", **TINY)) as stock:
            yield ours, stock


@pytest.fixture
def script():
    return benchmark


class FakeProgram:
    """Answers at once: a step of T tokens takes T ms, ours a tenth of it, and T kilobytes."""

    made: typing.ClassVar = []

    def __init__(self, spec, threads=None, compiledir=None, python=None):
        self.spec, self.threads, self.python = spec, threads, python
        self.seconds_to_first_step = 1.5
        self.made.append(self)
        if compiledir is not None:
            (compiledir / "tmpabc").mkdir(parents=True, exist_ok=True)
            (compiledir / "tmpabc" / f"{len(self.made)}.so").touch()

    def ask(self, do, T=None, steps=1):
        T = self.spec.T if T is None else T
        if do == "largest_loop":
            return {"seconds": [0.5, 0.25]}
        if do == "memory":
            return {"bytes": 1000 * T}
        if do == "losses":
            return {"losses": [0.0 if self.spec.program == "limit" else 5.0] * steps, "peak": 1e6}
        return {"seconds": steps * T / 1000 * (0.1 if self.spec.program == "ours" else 1)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class FakeMachine:
    """Needs half of what ours needs for the operations of 20 tokens, nothing for reads."""

    operations = 1e11

    def __init__(self, threads):
        assert threads in (1, usable_cores())

    def milliseconds(self, cell, vocab_size, hidden_size, T, B=1):
        return T / 20, 0.0


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(sections, "Program", FakeProgram)
    monkeypatch.setattr(roofline, "Machine", FakeMachine)
    monkeypatch.setattr(programs, "REST", 0)
    monkeypatch.setattr(FakeProgram, "made", [])
    return FakeProgram


# ---- the programs


@pytest.mark.slow
def test_ours_and_stock_have_the_same_losses_and_parameters(both):
    # Each has taken one step already, on the same sequence; the last step is on another.
    ours, stock = (program.ask("train", steps=20) for program in both)
    np.testing.assert_allclose(ours["losses"], stock["losses"], rtol=1e-5)
    assert len(set(ours["losses"])) == 20
    for name, shape in {"U": (5, 11), "V": (11, 5), "W": (5, 5)}.items():
        a, b = (np.array(answer["parameters"][name]) for answer in (ours, stock))
        assert a.shape == b.shape == shape
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_only_the_loops_of_the_largest_step_are_compiled(tmp_path):
    with programs.Program(child.Spec("ours", **TINY), compiledir=tmp_path) as ours:
        seconds = ours.ask("largest_loop")["seconds"]
    assert 2 <= len(seconds) <= 9 and all(0 < each < 60 for each in seconds)


@pytest.mark.slow
def test_memory_grows_with_a_long_sequence(both):
    short, long = (both[0].ask("memory", T)["bytes"] for T in (10, 20000))
    if short is None:
        pytest.skip("this system does not tell")
    assert long - short > 20000 * 5 * 4  # s alone is (T, H) float32


def test_sequences_of_a_batch_are_time_first():
    spec = child.Spec("ours", **TINY, B=3)
    x, y = child.Child.sequences(types.SimpleNamespace(spec=spec), T=4)[1]
    assert x.shape == y.shape == (4, 3) and (x[1:] == y[:-1]).all()


@pytest.mark.slow
def test_timing_answers_with_seconds(both):
    for times in programs.milliseconds([(program, 3) for program in both], 2, 1e-4):
        assert len(times) == 2 and min(times) > 0


def test_a_child_that_fails_says_why():
    with pytest.raises(programs.ProgramError, match=r"ours ended: .*'oops' is unknown"):
        programs.Program(child.Spec("ours", **TINY, truncation="oops"))


def test_stock_does_not_import_the_engine():
    source = (SCRIPT.parent.parent / "theano_rnn" / "benchmark" / "stock.py").read_text()
    imports = [
        line for line in source.splitlines() if line.lstrip().startswith(("import", "from"))
    ]
    assert imports == [
        "import sys",
        "from typing import Any, Callable",
        "import theano",
        "from theano import tensor",
    ]


def test_a_child_imports_theano_only_with_its_program():
    code = "import sys, theano_rnn.benchmark.child; print('theano' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_environment_keeps_the_users_flags_and_separates_the_caches():
    user = {
        "THEANO_FLAGS": "floatX=float64,exception_verbosity=high",
        "HOME": "/nowhere",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ours = programs.environment("ours", user, threads=2, compiledir="/a, b/c")
    assert ours["HOME"] == "/nowhere" and "PYTHONDONTWRITEBYTECODE" not in ours
    assert ours["THEANO_FLAGS"] == user["THEANO_FLAGS"] + ",compiledir='/a, b/c'"
    assert ours["OPENBLAS_NUM_THREADS"] == "2"
    stock = programs.environment("stock", user)
    assert user["THEANO_FLAGS"] in stock["THEANO_FLAGS"]
    assert "compiledir_format=theano_stock_" in stock["THEANO_FLAGS"].rsplit("=float64", 1)[1]
    assert "floatX=float32" not in stock["THEANO_FLAGS"]
    assert "OPENBLAS_NUM_THREADS" not in stock
    assert programs.environment("ours", {})["THEANO_FLAGS"] == ""


# ---- the sections


def test_steps_compares_the_programs_round_by_round(fake):
    settings = sections.Conditions(rounds=3, threads=(1, 2))
    rows = sections.steps(settings)
    assert [(row["workload"], row["threads"]) for row in rows] == [
        ("sentence", 1), ("sentence", 2), ("char", 1), ("char", 2)
    ]  # fmt: skip
    assert [program.threads for program in fake.made] == [1, 1, 2, 2] * 2
    row = rows[0]
    assert row["ours"]["ms"]["rounds"] == pytest.approx([2] * 3)
    assert row["stock"]["ms"]["median"] == pytest.approx(20)
    assert row["ours"]["tokens_per_second"]["median"] == pytest.approx(20 / 0.002)
    assert row["times_as_fast"]["min"] == pytest.approx(10)


def test_where_a_program_does_not_start_the_others_are_closed(fake, monkeypatch):
    class Program(fake):
        closed: typing.ClassVar = []

        def __init__(self, spec, *arguments, **settings):
            if spec.program == "stock":
                raise programs.ProgramError("stock ended: no compiler")
            super().__init__(spec, *arguments, **settings)

        def __exit__(self, *_):
            self.closed.append(self.spec.program)

    monkeypatch.setattr(sections, "Program", Program)
    specs = [child.Spec(program, **TINY) for program in ("ours", "stock", "limit")]
    with pytest.raises(programs.ProgramError, match="no compiler"):
        sections.time_in_turns(specs, BRIEF)
    assert sorted(Program.closed) == ["limit", "ours"]


def test_peers_run_in_an_environment_of_their_own_on_all_cores(fake):
    settings = dataclasses.replace(BRIEF, peers_python="/theirs")
    rows = sections.peers(settings)
    assert [(r["workload"], r["cell"], r["truncation"]) for r in rows] == [
        case[:3] for case in sections.BESIDE_PEERS
    ]
    peers = ["jax", "torch", "torch.compile", "pytensor", "pytensor-c"]
    assert list(rows[0]["programs"]) == ["ours", *peers, "stock", "limit"]
    assert list(rows[1]["programs"]) == ["ours", "jax"] and "roofline" not in rows[1]
    assert list(rows[3]["programs"]) == ["ours", *peers, "limit"]
    assert rows[0]["roofline"]["share"]["median"] == pytest.approx(0.5)
    assert rows[0]["roofline"]["of"] == "operations"
    for program in fake.made:
        is_peer = program.spec.program in peers
        assert program.python == ("/theirs" if is_peer else None)
        assert program.threads == usable_cores()
    jax = rows[0]["programs"]["jax"]
    assert jax["ours_is_faster"]["median"] == pytest.approx(10) and jax["peak_bytes"] == 1e6
    long = next(row for row in rows if row["truncation"] == "chunk:100")
    assert long["T"] == 100_000


def test_pytensor_is_left_out_where_it_compiles_for_a_minute_and_time_is_short(fake):
    rows = sections.peers(dataclasses.replace(BRIEF, slow_compilers=False))
    with_pytensor = {row["cell"] for row in rows if "pytensor" in row["programs"]}
    assert with_pytensor == {"tanh"}
    assert all("torch" in row["programs"] for row in rows if row["truncation"] == "full")


def test_programs_that_compute_something_else_are_not_compared(fake, monkeypatch):
    def ask(self, do, T=None, steps=1):
        return {"losses": [5.1 if self.spec.program == "jax" else 5.0], "peak": None}

    monkeypatch.setattr(FakeProgram, "ask", ask)
    monkeypatch.setattr(sections, "milliseconds", lambda children, *_: [[1.0]] * len(children))
    with pytest.raises(programs.ProgramError, match=r"jax .*\[5.1\], ours \[5.0\]"):
        sections.peers(BRIEF)


PEERS = SCRIPT.parent.parent / ".venv-peers" / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="JAX and PyTorch are not there: make benchmark")
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("cell", sections.CELLS)
@pytest.mark.parametrize("truncation", ["full", "window:4", "chunk:4"])
@pytest.mark.parametrize("program", sections.PEERS)
def test_peers_have_the_losses_and_parameters_of_ours(program, truncation, cell, B):
    written = ("tanh", "lstm") if program.startswith("torch") else sections.TRAINED
    if cell not in written or (program != "jax" and truncation != "full"):
        pytest.skip("not written for this peer, or another network there")
    spec = child.Spec("ours", 11, 5, 12, cell=cell, truncation=truncation, B=B)
    theirs = dataclasses.replace(spec, program=program)
    with programs.Program(spec) as a, programs.Program(theirs, python=PEERS) as b:
        ours, theirs = (each.ask("train", steps=20) for each in (a, b))
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e-5)
    for name in "UVW":
        a, b = (np.array(answer["parameters"][name]) for answer in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_options_are_relative_to_plain_sgd_and_dropouts_to_two_layers_without(fake):
    rows = sections.options(BRIEF)
    assert [row["option"] for row in rows] == [
        *sections.OPTIONS, *sections.DROPOUTS, *sections.OF_A_SENTENCE
    ]  # fmt: skip
    assert all(row["times_first"]["median"] == pytest.approx(1) for row in rows)
    optimizers = {program.spec.step.get("optimizer", "sgd") for program in fake.made}
    assert optimizers == set(OPTIMIZERS)


@pytest.mark.slow
@pytest.mark.parametrize("option", [*sections.OPTIONS, *sections.DROPOUTS])
def test_each_option_trains(option):
    network, step = sections.OPTIONS.get(option) or (
        {**sections.TIED, **sections.DROPOUTS[option]}, {"optimizer": "adam"}
    )  # fmt: skip
    network = {"embedding_size": TINY["hidden_size"], **network}
    spec = child.Spec("ours", **TINY, cell="lstm", network=network, step=step)
    train, parameters = child.load_ours(spec)
    before = parameters()
    x, y = np.random.default_rng(0).integers(11, size=(2, 7))
    assert train(x, y) > 0
    assert all((before[name] != value).any() for name, value in parameters().items())


@pytest.mark.parametrize("names", [["float32", "bf16"], ["float32"]])
def test_precisions_are_those_of_the_machine(fake, monkeypatch, names):
    monkeypatch.setattr(sections, "has_bf16", lambda: "bf16" in names)
    rows = sections.precision(BRIEF)
    assert [(r["cell"], r["precision"]) for r in rows] == [
        (cell, name) for cell in sections.TRAINED for name in names
    ]
    measured = sorted(program.spec.step["precision"] for program in fake.made)
    assert measured == sorted(names * len(sections.TRAINED))  # they start side by side
    assert all(program.threads == usable_cores() for program in fake.made)
    assert all(row["times_as_fast"]["median"] == pytest.approx(1) for row in rows)


def test_training_is_relative_to_its_steps(monkeypatch):
    monkeypatch.setattr(sections.whole, "rates", lambda folder, mode, cell, epochs: (200.0, 100.0))
    rows = sections.training(BRIEF)
    assert [row["share"] for row in rows] == [0.5] * 3 * len(sections.whole.MODES)


@pytest.mark.slow
@pytest.mark.parametrize("mode", sections.whole.MODES)
def test_a_training_as_a_whole_is_measured(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(sections.whole, "SENTENCES", 60)
    sections.whole.write_text(tmp_path / "text.txt", seed=0)
    assert min(sections.whole.rates(tmp_path, mode, "tanh", epochs=2)) > 0


def test_startup_counts_modules_and_starts_cold_once(fake):
    ours, stock = sections.startup(BRIEF)
    assert (ours["program"], stock["program"]) == ("ours", "stock")
    assert ours["cold_seconds"]["rounds"] == [1.5] and ours["warm_seconds"]["rounds"] == [1.5] * 2
    # The fake makes one a start.
    assert ours["modules"] == stock["modules"] == 1
    assert ours["modules_after_warm_starts"] == 3
    assert ours["largest_loop_seconds"] == 0.5


def test_truncation_is_relative_to_full(fake):
    rows = sections.truncation(BRIEF)
    assert [row["truncation"] for row in rows] == [
        "full",
        "window:4",
        "chunk:4",
        "last:4",
        "artbp:4",
    ]
    measured = sorted(program.spec.truncation for program in fake.made)
    assert measured == sorted(row["truncation"] for row in rows)
    assert all(row["times_full"]["median"] == pytest.approx(1) for row in rows)


def test_cells_are_relative_to_tanh_and_a_batch_counts_all_its_tokens(fake):
    rows = sections.cells(BRIEF)
    assert [row["cell"] for row in rows] == [*sections.CELLS] * 3
    assert [row["workload"] for row in rows[::5]] == ["sentence", "char", "batch"]
    measured = sorted(program.spec.cell for program in fake.made)
    assert measured == sorted(row["cell"] for row in rows)
    assert rows[-1]["tokens_per_second"]["median"] == pytest.approx(35 * 32 / 0.0035)
    assert all(row["times_tanh"]["median"] == pytest.approx(1) for row in rows)


@pytest.mark.slow
def test_less_than_a_tenth_of_a_batch_of_sentences_is_padding():
    rows = sections.padding(BRIEF)
    assert [row["batch_size"] for row in rows] == [16, 32, 64]
    assert all(0 < row["padding"] < 0.1 for row in rows)


def test_length_tells_the_bytes_each_token_adds(fake):
    rows = sections.length(BRIEF)
    assert [row["T"] for row in rows] == [100, 1000, 10_000] * 3 + [1_000_000]
    assert [row["bytes_per_token"] for row in rows[:3]] == [None, 1000, 1000]
    assert rows[2]["us_per_token"]["median"] == pytest.approx(100)


class FakeChoice(FakeProgram):
    """One thread takes a second for 50 tokens, two for 100; to compare them 6 seconds for 300."""

    def ask(self, do, threads=1, seconds=1, steps=0):
        if do == "compare_threads":
            return {"tokens": 300, "seconds": 6}
        return {"tokens": 50 if threads == 1 else 100, "seconds": 1}


def test_what_threads_0_reaches_counts_a_comparison_a_minute(monkeypatch):
    beside = []
    count = lambda n: contextlib.nullcontext(beside.append(n))  # noqa: E731
    monkeypatch.setattr(busy, "busy_processes", count)
    monkeypatch.setattr(busy, "Program", FakeChoice)
    monkeypatch.setattr(busy, "REST", 0)
    monkeypatch.setattr(busy, "most_threads", lambda: 2)
    rows = sections.busy(BRIEF)
    assert beside == [0, 1, 2, 4] * 2 == [row["processes"] for row in rows]
    for row in rows:
        assert row["tokens_per_second"] == {0: 95, 1: 50, 2: 100} and row["share"] == 0.95
    cells = [list(column.cells) for column in benchmark.busy(rows).columns]
    assert cells[0][::4] == ["words", "characters"] and cells[1][:4] == ["0", "1", "2", "4"]
    assert [column[0] for column in cells[2:]] == ["95.0", "50.0", "100", "0.95"]


def test_busy_processes_end_with_the_block():
    with busy.busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)


@pytest.mark.slow
def test_a_program_chooses_its_threads_and_takes_those_it_is_given(both):
    ours, _ = both
    for answer in (
        ours.ask("compare_threads"),
        *(ours.ask("run_with_threads", threads=n, seconds=0.1) for n in (0, 1)),
    ):
        assert answer["tokens"] > 0 and answer["seconds"] > 0.1


def test_spread_keeps_every_round():
    assert programs.spread([3.0, 1.0, 2.0]) == {
        "median": 2.0, "min": 1.0, "max": 3.0, "rounds": [3.0, 1.0, 2.0]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (
            "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\n"
            "processor\t: 1\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: other\n",
            "AMD EPYC, family 25, model 17",
        ),
        ("processor\t: 0\nmodel name\t: ARMv8\n", "ARMv8"),
        ("processor\t: 0\n", platform.processor() or platform.machine()),
    ],
)
def test_a_processor_is_named_with_its_generation(tmp_path, info, name):
    (tmp_path / "cpuinfo").write_text(info)
    assert machine.cpu(tmp_path / "cpuinfo") == name
    assert machine.cpu(tmp_path / "none") == (platform.processor() or platform.machine())


@pytest.mark.slow
def test_machine_is_described_in_json():
    facts = machine.describe()
    assert facts["theano-pymc"] == "1.1.2" and facts["cores"] >= 1
    assert json.loads(json.dumps(facts)) == facts


def test_a_compiler_that_is_not_there_is_named():
    assert machine.compiler("/no/such/compiler") == "/no/such/compiler"
    assert machine.compiler("") == "none"


# ---- bad input


@pytest.mark.parametrize("text", ["", "step", "steps,", "steps;length"])
def test_unknown_sections_are_refused(text):
    with pytest.raises(RNNError, match="is unknown; use peers, steps, cells, options, precision"):
        sections.parse_sections(text)


def test_sections_are_measured_in_their_order():
    assert sections.parse_sections("length, steps") == ["steps", "length"]
    assert sections.parse_sections(None) == [s for s in sections.SECTIONS if s != "peers"]


@pytest.mark.parametrize("text", ["", "0", "1,", "-1", "two", "1.5", "²"])
def test_bad_threads_are_refused(text):
    with pytest.raises(RNNError, match="pass numbers of at least 1"):
        sections.parse_threads(text)


def test_threads_are_numbers():
    assert sections.parse_threads("1, 2") == (1, 2)
    assert sections.parse_threads(None) == (1,)


@pytest.mark.parametrize(
    "setting", [{"rounds": 0}, {"seconds": 0}, {"warm_starts": 0}, {"seed": -1}]
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(RNNError):
        sections.Conditions(**setting)


@pytest.mark.parametrize(
    "arguments", [["--only", "speed"], ["--threads", "0"], ["--seed", "-1"], ["--json", "/"]]
)
def test_script_says_in_one_line_what_is_wrong(script, monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments])
    assert script.main() == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("benchmark.py: ") and len(err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.in_c
def test_flow_holds_few_arrays_and_is_measured_for_each_cell(monkeypatch):
    monkeypatch.setattr(sections, "CELLS", ("tanh",))
    (row,) = sections.flow(dataclasses.replace(BRIEF, rounds=2))
    assert row["cell"] == "tanh" and 1 < row["arrays"] < 4
    assert len(row["errors_ms"]["rounds"]) == 2
    assert row["errors_ms"]["min"] > 0 and row["contributions_ms"]["min"] > 0


# ---- the script


@pytest.mark.slow
def test_script_writes_tables_and_json(script, fake, monkeypatch, capsys, tmp_path):
    # What the fake program does not answer, as little of it as there can be.
    monkeypatch.setattr(sections, "CELLS", ("tanh",))
    monkeypatch.setattr(sections, "TRAINED", ("tanh",))
    monkeypatch.setattr(whole, "MODES", {"batch": whole.MODES["batch"]})
    monkeypatch.setattr(busy, "PROCESSES", (0,))
    monkeypatch.setattr(busy, "WORKLOADS", {"characters": busy.WORKLOADS["characters"]})
    file = tmp_path / "benchmark.json"
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--quick", "--json", str(file)])
    assert script.main() == 0
    result = json.loads(file.read_text())
    assert list(result) == ["machine", "settings", *sections.parse_sections(None)]
    assert "peers_python" not in result["settings"]  # a path of the machine
    out = capsys.readouterr().out
    for words in (
        "One SGD step",
        "Cells",
        "Padding",
        "Start-up",
        "Truncation",
        "Length",
        "Gradient flow",
        "times as fast",
        "10.0",
    ):
        assert words in out


@pytest.mark.slow
def test_peers_are_measured_where_they_are_asked_for(script, fake, monkeypatch, capsys, tmp_path):
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setattr(script, "PEERS", (tmp_path / "none", python))
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--peers", "--only", "padding", "--quick"])
    monkeypatch.setitem(sections.SECTIONS, "padding", lambda settings: [])
    assert script.main() == 0
    out = capsys.readouterr().out
    for words in (
        "beside other programs",
        "char tanh chunk:100 T 100,000",
        "batch lstm",
        "limit",
        "jax 0.10.2",
    ):
        assert words in out


def test_without_their_environment_peers_are_not_measured(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(script, "PEERS", (tmp_path / "none",))
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--peers"])
    assert script.main() == 2
    assert "make benchmark" in capsys.readouterr().err


def test_script_writes_nothing_but_json_to_stdout(script, fake, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--only", "steps", "--json", "-"])
    assert script.main() == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["machine", "settings", "steps"]


def test_script_reports_a_program_that_ended(script, fake, monkeypatch, capsys):
    def ended(settings):
        raise programs.ProgramError("stock ended: no memory")

    monkeypatch.setitem(sections.SECTIONS, "steps", ended)
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--only", "steps", "--json", "-"])
    assert script.main() == 1
    assert capsys.readouterr().err.splitlines()[-1] == "benchmark.py: stock ended: no memory"


def test_a_comparison_says_where_the_kept_result_is_of_another_machine():
    now = {"cpu": "A, family 1", "vectors": "AVX2", "cores": 2}
    assert "another machine" not in benchmark.changes([], now, now).caption
    then = {**now, "cores": 64}
    assert (
        "another machine: A, family 1 (AVX2), 64 cores;"
        in benchmark.changes([], then, now).caption
    )
