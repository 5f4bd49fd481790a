"""Cases of the readers: valid files, and what is made of them."""

import io
import itertools
import json
import os
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuzz.hostile import (
    EDITS,
    KINDS,
    NUMBERS,
    altered,
    damage,
    damaged,
    documents,
    written,
)
from fuzz.judge import Target
from theano_rnn.common.errors import RNNError
from theano_rnn.long_term import grid
from theano_rnn.long_term.results import Results, by_row_and_length
from theano_rnn.long_term.trial import Trial
from theano_rnn.rnn import RNN
from theano_rnn.search.plan import Plan
from theano_rnn.search.ranges import SEARCHED, parse_all
from theano_rnn.search.study import Study, best_first
from theano_rnn.studies.grid import read
from theano_rnn.text.corpus import build_corpus
from theano_rnn.text.python_docs import python_sentences
from theano_rnn.text.reading import read_whole
from theano_rnn.text.sentences import split_text
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training import build
from theano_rnn.training.load import load, load_settings
from theano_rnn.training.loop import Training
from theano_rnn.training.recipes import RECIPES
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings
from theano_rnn.training.state import State

WORDS = "The cat sat.\n\nA dog ran home.\n\nIt didn't see 3.14 birds, a cat and the_dog.\n\nOh!\n"
LINES = "the cat sat\na dog ran\n<unk> home 3\n"
TABLE = 'id,text,"a, b"\n1,"The cat\nsat.",x\n2,"A ""dog"" ran.",\n3,Oh no.\n'
SOURCE = '''"""The module does what it is told. It returns a list of the words."""\n
class A:
    """Return the *sum* of ``a`` and b, which is a number::\n\n        add(1, 2)\n    """
    def f(self):
        \'\'\'It is a :class:`thing` that has been there.\n\n        - one of the things it does\n        \'\'\'
'''  # noqa: E501


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary.train(split_text(WORDS))


def settings(**changes: Any) -> Settings:
    return Settings(**{"hidden_size": 3, "epochs": 2, **changes})


@cache
def model() -> RNN:
    return build.build_model(settings(), vocabulary().size)


@cache
def safetensors_files() -> tuple[bytes, ...]:
    """Checkpoints as a run writes them: of a plain net, and with the state of an optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        step = build.build_step(settings(optimizer="momentum"), model())
        made = []
        text = zlib.crc32(np.concatenate(corpus().train).tobytes())
        state = asdict(State(learning_rate=0.1, best_loss=2.5, epoch=1, best_epoch=1, text=text))
        for arrays in (model().parameters(), {**model().parameters(), **step.state()}):
            run.save_checkpoint("x", arrays, state)
            made.append((Path(folder) / "x.safetensors").read_bytes())
        return tuple(made)


def unpacked(data: bytes) -> tuple[dict, bytes]:
    """The header and the numbers of a safetensors file."""
    (n,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def packed(header: bytes, numbers: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + numbers


@cache
def checkpoints() -> st.SearchStrategy[bytes]:
    """safetensors files, damaged anywhere or with a header that was altered part by part."""
    whole = safetensors_files()
    headers = [unpacked(data)[0] for data in whole]
    numbers = unpacked(whole[0])[1]
    state = json.loads(headers[0]["__metadata__"]["state"])

    def with_state(value: Any) -> bytes:
        metadata = {"state": written(value).decode(), "sha256": ""}
        return packed(written({**headers[0], "__metadata__": metadata}), numbers)

    return st.one_of(
        damaged(whole),
        altered(headers).map(lambda header: packed(written(header), numbers)),
        documents(headers).map(lambda header: packed(header, numbers)),
        altered([state]).map(with_state),
        st.sampled_from([2**20 + 1, 2**40, 2**63, 2**64 - 1]).map(
            lambda n: struct.pack("<Q", n) + whole[0][8:]
        ),
    )


# ---- npz


class Payload:
    """What a pickle would run."""

    def __reduce__(self) -> tuple:
        return os.system, ("true",)


@cache
def npz_files() -> tuple[bytes, ...]:
    made = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, **model().parameters())
        made.append(file.getvalue())
    for value in (np.array([Payload()], dtype=object), np.array([{}])):
        file = io.BytesIO()
        np.savez(file, **{**model().parameters(), "W": value})
        made.append(file.getvalue())
    return tuple(made)


HEADERS = st.builds(
    lambda descr, order, shape, more: f"{{'descr': {descr}, 'fortran_order': {order}, "
    f"'shape': {shape}, {more}}}".encode(),
    st.sampled_from(
        ["'<f4'", "'>f8'", "'|O'", "'<c16'", "'|V999999999'", "'<U9'", "[('a', '<f4')]", "'f,f'",
         "'<M8[s]'", "'|b1'", "'<f2'", "('<f4', (99999, 99999))", "1", "None", "'|V0'", "'<u1'"]
    ),
    st.sampled_from(["False", "True", "0", "None"]),
    st.one_of(
        st.lists(st.sampled_from([*NUMBERS, -1, 3, 27, True, 1.5]), max_size=4).map(
            lambda sizes: str(tuple(sizes))
        ),
        st.sampled_from(["(3, 3)", "(3, 27)", "[3, 3]", "3", "(" * 200, "()", "(3L, 3L)"]),
    ),
    st.sampled_from(["", "", "", "'x': 1", "'shape': (9, 9)"]),
)  # fmt: skip


def npy(header: bytes, version: int, room: int) -> bytes:
    """An .npy file with some header."""
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + b"\0" * room


@st.composite
def zips(draw: Callable) -> bytes:
    """Archives of arrays, some of them crafted: headers, bombs, names, ways to compress."""
    file = io.BytesIO()
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    method = draw(st.sampled_from(methods))
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, value in model().parameters().items():
            if draw(st.integers(0, 3)):
                room = io.BytesIO()
                np.lib.format.write_array(room, value)
                data = room.getvalue()
            else:
                room = draw(st.sampled_from([0, 36, 72, 10**4, 10**6]))
                data = npy(draw(HEADERS), draw(st.sampled_from([1, 2, 3])), room)
            names = [name + ".npy"] * 6 + [name, f"../{name}.npy", "/tmp/x.npy", ".npy"]
            if (chosen := draw(st.sampled_from(names))) not in archive.namelist():
                archive.writestr(chosen, data)
    data = file.getvalue()
    if draw(st.booleans()):  # of the directory, whose sizes are only what it says
        at = data.rfind(b"PK\x01\x02")
        data = data[:at] + damage(data[at:], draw(EDITS), [data])
    return data  # fmt: skip


def read_npz(case: bytes, folder: Path) -> None:
    path = folder / "x.npz"
    path.write_bytes(case)
    RNN.from_npz(path)


# ---- one file each


def read_checkpoint(case: bytes, folder: Path) -> None:
    (folder / "last.safetensors").write_bytes(case)
    Run(folder).last()


def read_settings(case: bytes, folder: Path) -> None:
    (folder / "settings.json").write_bytes(case)
    found = load_settings(Run.open(folder))
    if found.hidden_size * found.layers < 300:
        build.architecture(found, 1000)
        build.build_model(found, 1000)


def read_tokenizer(case: bytes, folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_bytes(case)
    found = Vocabulary.load(path)
    found.decode(found.encode("the cat didn't sit"))


def read_corpus(case: tuple, folder: Path) -> None:
    data, level, is_tokenized, size = case
    (folder / "text.txt").write_bytes(data)
    cut = split_text(read_whole(folder / "text.txt"), level, is_tokenized)
    build_corpus(cut, cut[:2], cut[:1], level, size, is_tokenized)


def read_table(case: tuple, folder: Path) -> None:
    data, column, suffix = case
    path = folder / f"text{suffix}"
    path.write_bytes(data)
    split_text(read_whole(path, column))


def read_python(case: bytes, folder: Path) -> None:
    (folder / "a.py").write_bytes(case)
    python_sentences(folder)


def read_grid(case: bytes, folder: Path) -> None:
    (folder / "grid.json").write_bytes(case)
    grid.read_grid(folder / "grid.json")


def read_ranges(case: bytes, folder: Path) -> None:
    (folder / "ranges.json").write_bytes(case)
    given = read(folder / "ranges.json", "file of ranges")
    if isinstance(given, dict):
        plan = Plan(*parse_all({"text": "a.txt", **given}))
        assert set(plan.ranges) <= set(SEARCHED) and plan.count > 1
        plan.options({name: each.ends[0] for name, each in plan.ranges.items()})


@cache
def study_files() -> tuple[bytes, bytes]:
    """Journal and results of a search of which one trial has ended, and another runs."""
    with tempfile.TemporaryDirectory() as folder:
        with Study(Path(folder) / "s", a_plan(), [1], seed=0) as study:
            jobs = study.jobs(3)
            outcome = {"ended": "complete", "loss": 4.0, "epochs": 2, "seconds": 1.0}
            study.end(next(jobs), outcome, None)
            next(jobs)
        names = "study.journal", "results.jsonl"
        journal, results = ((Path(folder) / "s" / name).read_bytes() for name in names)
        return journal, results


def a_plan() -> Plan:
    return Plan(*parse_all({"text": "a.txt", "dropout": "0.2..0.6", "layers": "1,2"}))


def read_study(case: tuple[bytes, bytes], folder: Path) -> None:
    for name, data in zip(("study.journal", "results.jsonl"), case):
        (folder / name).write_bytes(data)
    with Study(folder, a_plan(), [1], seed=0) as study:
        list(itertools.islice(study.jobs(3), 3))
        best_first(list(study.results.records.values()))


def read_results(case: bytes, folder: Path) -> None:
    (folder / "results.jsonl").write_bytes(case)
    with Results(folder) as results:
        by_row_and_length(list(results.records.values()))


def read_metrics(case: bytes, folder: Path) -> None:
    (folder / "metrics.jsonl").write_bytes(case)
    run = Run(folder)
    run.metrics(("epoch", "train_loss", "valid_loss"))
    run.drop_metrics_after(1)


# ---- a whole folder


@cache
def run_files() -> dict[str, bytes]:
    """The files of a run that has done one epoch of two."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.save_vocabulary(vocabulary())
        text = Path(folder) / "tokenizer.json"
        found = {"tokenizer.json": text.read_bytes()}
    record = {"epoch": 1, "train_loss": 3.0, "valid_loss": 2.5, "tokens": 9, "seconds": 1.0}
    return {
        **found,
        "settings.json": written(asdict(settings())),
        "best.safetensors": safetensors_files()[0],
        "last.safetensors": safetensors_files()[0],
        "last-1.safetensors": safetensors_files()[1],
        "metrics.jsonl": written(record) + b"\n",
        "result.json": written({"epochs": 1}),
        "lock": b"123",
    }


#: What may stand in a folder in place of a file.
TRAPS = [
    "link to a file",
    "link to nothing",
    "link to zeros",
    "loop",
    "pipe",
    "folder",
    "hard link",
]


def set_trap(path: Path, trap: str, outside: Path) -> None:
    """Put something else than a file at a path."""
    path.unlink(missing_ok=True)
    if trap == "pipe":
        os.mkfifo(path)
    elif trap == "folder":
        path.mkdir()
    elif trap == "hard link":
        os.link(outside, path)
    else:
        targets = {"link to a file": outside, "link to nothing": outside.with_name("new"),
                   "link to zeros": Path("/dev/zero"), "loop": path}  # fmt: skip
        path.symlink_to(targets[trap])


@cache
def folders() -> st.SearchStrategy[dict]:
    """Of a run folder, which files are damaged, and which are no files."""
    seeds = run_files()
    made = {
        name: damaged([data]) if name.endswith("safetensors") else documents([json.loads(data)])
        for name, data in seeds.items()
        if name != "lock"
    }
    made["last.safetensors"] = made["best.safetensors"] = checkpoints()
    names = st.sampled_from([*seeds, "loss.png", "settings.json.new", "next.safetensors.new"])
    return st.fixed_dictionaries(
        {
            "files": st.lists(st.sampled_from(list(made)), max_size=2, unique=True).flatmap(
                lambda chosen: st.fixed_dictionaries({name: made[name] for name in chosen})
            ),
            "traps": st.dictionaries(names, st.sampled_from(TRAPS), max_size=2),
            "missing": st.lists(names, max_size=1),
        }
    )


@cache
def corpus() -> Any:
    cut = split_text(WORDS)
    return build_corpus(cut, cut[:2], cut[:1])


def read_folder(case: dict, folder: Path) -> None:
    """Everything that is done with a run folder, but for the steps of a training."""
    inside, outside = folder / "run", folder / "outside" / "file"
    for each in (inside, outside.parent):
        each.mkdir()
    outside.write_bytes(b"not to be changed")
    for name, data in {**run_files(), **case["files"]}.items():
        if name not in case["missing"]:
            (inside / name).write_bytes(data)
    for name, trap in case["traps"].items():
        set_trap(inside / name, trap, outside)
    errors = []
    for use in (use_lock, load, use_metrics, use_result, use_training, use_writing):
        try:
            use(inside)
        except RNNError as error:
            errors.append(error)
    assert outside.read_bytes() == b"not to be changed", "a file elsewhere was written"
    assert os.listdir(outside.parent) == ["file"], "a file elsewhere was made"
    if errors:
        raise errors[0]


def use_lock(folder: Path) -> None:
    with Run.open(folder).locked():
        pass


def use_metrics(folder: Path) -> None:
    run = Run(folder)
    run.metrics()
    run.append_metrics({"epoch": 2})


def use_result(folder: Path) -> None:
    _ = Run(folder).epochs_judged


def use_training(folder: Path) -> None:
    run = Run.open(folder)
    found = load_settings(run)
    if (found.hidden_size, found.layers) == (3, 1):
        Training(found, run, corpus(), resume=True)


def use_writing(folder: Path) -> None:
    run = Run.open(folder)
    run.save_settings({"seed": 1})
    run.save_vocabulary(vocabulary())
    run.save_last({"W": np.zeros(2)}, {"epoch": 1})
    run.save_samples(["a"])


TEXTS = [WORDS.encode(), LINES.encode(), "“Ça” 東京 ٣\r\n\r\nİI ǅ ﬁ\u2028x\x85y".encode()]


def near(case: Any, drawn: random.Random) -> Any:
    """A file damaged once more; of a case of several parts, the first is the file."""
    if isinstance(case, tuple):
        return (near(case[0], drawn), *case[1:])
    edit = drawn.choice(KINDS), drawn.randrange(2**30), drawn.randrange(2**30)
    return damage(case, [edit], [case])


def lines_of(values: list[Any]) -> bytes:
    """A file of a JSON value a line."""
    return b"".join(written(value) + b"\n" for value in values)


def readers() -> list[Target]:
    """All of them, each with its cases."""
    tokenizers = [
        json.loads(Vocabulary.train(split_text(WORDS), *form).to_json())
        for form in (("word",), ("char",))
    ] + [json.loads(Vocabulary.train(["the cat sat"], tokenized=True).to_json())]
    known = [asdict(settings(**recipe)) for recipe in ({}, *RECIPES.values())]
    grids: list[Any] = [
        grid.DEFAULT[:2],
        {"task": "addition", "length": [10, 20], "seed": [0, 1]},
    ]
    trial = {**asdict(Trial("addition", 10)), "solved": True, "updates": 3, "seconds": 1.0,
             "error_rate": 0.0, "ended": "solved"}  # fmt: skip
    record = {"epoch": 1, "train_loss": 3.0, "valid_loss": 2.5, "tokens": 9, "seconds": 1.0}
    lines = st.lists(documents([record]), max_size=3).map(b"\n".join)
    results = st.lists(documents([trial]), max_size=3).map(lambda made: b"\n".join([*made, b""]))
    texts = st.tuples(
        damaged(TEXTS), st.sampled_from(["word", "char"]), st.booleans(),
        st.sampled_from([None, None, 5, 10**9]),
    )  # fmt: skip
    ranges: list[Any] = [
        {"dropout": "0.2..0.6", "hidden_size": "100..400:50", "cell": ["lstm", "gru"]},
        {"learning_rate": "0.001..0.01:log", "tied": "yes,no", "seed": 3, "minutes": "5"},
    ]
    journal, of_search = study_files()
    logs = [json.loads(line) for line in journal.splitlines()]
    records = [json.loads(line) for line in of_search.splitlines()]
    studies = st.one_of(
        st.tuples(damaged([journal]), damaged([of_search])),
        st.tuples(
            altered([logs]).map(lambda made: lines_of(made) if isinstance(made, list) else b"x\n"),
            st.just(of_search),
        ),
        st.tuples(st.just(journal), documents(records).map(lambda made: made + b"\n")),
    )
    tables = st.tuples(
        damaged([TABLE.encode(), TABLE.replace(",", "\t").encode()]),
        st.sampled_from(["text", "id", "a, b", "", None]),
        st.sampled_from([".csv", ".tsv", ".txt"]),
    )
    return [
        # Damage rarely leaves a zip that can be read: some are whole.
        Target(
            "npz",
            st.one_of(zips(), damaged(npz_files()), st.sampled_from(npz_files()[:2])),
            read_npz,
            near=near,
        ),
        Target("safetensors", checkpoints(), read_checkpoint, near=near),
        Target("settings.json", documents(known), read_settings, near=near),
        Target("tokenizer.json", documents(tokenizers), read_tokenizer, near=near),
        Target("metrics.jsonl", lines, read_metrics, near=near),
        Target("results.jsonl", results, read_results, near=near),
        Target("grid.json", documents(grids), read_grid, near=near),
        Target("ranges.json", documents(ranges), read_ranges, near=near),
        Target("study", studies, read_study),
        Target("text", texts, read_corpus, near=near),
        Target("table", tables, read_table, near=near),
        Target("python", damaged([SOURCE.encode()]), read_python, near=near),
        Target("run folder", folders(), read_folder),
    ]


#: The readers that atheris runs: its bytes as a case of each.
RAW: dict[str, Callable[[bytes], Any]] = {
    "npz": bytes,
    "safetensors": bytes,
    "settings.json": bytes,
    "tokenizer.json": bytes,
    "metrics.jsonl": bytes,
    "results.jsonl": bytes,
    "grid.json": bytes,
    "ranges.json": bytes,
    "text": lambda data: (data, "word", False, None),
    "table": lambda data: (data, "text", ".csv"),
    "python": bytes,
}


def raw_seeds(name: str) -> list[bytes]:
    """Valid files of a reader."""
    record = {"epoch": 1, "train_loss": 3.0, "valid_loss": 2.5}
    seeds = {
        "npz": list(npz_files()),
        "safetensors": list(safetensors_files()),
        "settings.json": [run_files()["settings.json"]],
        "tokenizer.json": [run_files()["tokenizer.json"]],
        "metrics.jsonl": [written(record) + b"\n"],
        "results.jsonl": [written(asdict(Trial("addition", 10))) + b"\n"],
        "grid.json": [written(grid.DEFAULT[:2])],
        "ranges.json": [written({"dropout": "0.2..0.6", "hidden_size": [8, 16]})],
        "text": TEXTS,
        "table": [TABLE.encode()],
        "python": [SOURCE.encode()],
    }
    return seeds[name]
