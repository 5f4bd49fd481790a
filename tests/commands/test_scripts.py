"""The scripts, as a user runs them: what they leave, and how they refuse bad input."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, first
from interpreters import Forked

from theano_rnn.commands import train, training
from theano_rnn.common.errors import CompileFailed
from theano_rnn.model.cells import CELLS
from theano_rnn.model.initialization import SCHEMES
from theano_rnn.optim.clipping import CLIPPINGS
from theano_rnn.optim.optimizers import OPTIMIZERS
from theano_rnn.training.load import load
from theano_rnn.training.recipes import RECIPES
from theano_rnn.training.run_folder import Run
from theano_rnn.training.settings import Settings

SCRIPTS = ROOT / "scripts"
QUICK_COMPILING = "optimizer=fast_compile,cmodule__remove_gxx_opt=True"
#: The network that compiles in the shortest time.
PLAIN = ["--cell", "tanh", "--embedding-size", "0", "--dropout", "0"]
SMALL = ["--hidden-size", "5", "--epochs", "2", "--learning-rate", "0.1", *PLAIN]


def script(name, *arguments, folder=None):
    return Forked(SCRIPTS / name, *arguments, cwd=folder).wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with texts in all forms."""
    folder = tmp_path_factory.mktemp("texts")
    random = np.random.default_rng(0)
    words = np.array("the cat dog sat ran home to a and saw".split())
    lines = [" ".join(random.choice(words, size=random.integers(2, 8))) for _ in range(80)]
    (folder / "text.txt").write_text("\n\n".join(f"{line.capitalize()}." for line in lines))
    for name, part in (("train", lines[:60]), ("valid", lines[60:70]), ("test", lines[70:])):
        (folder / f"{name}.txt").write_text("".join(f" {line} <unk> \n" for line in part))
    (folder / "table.csv").write_text("id,body\n" + "".join(f'1,"{x}."\n' for x in lines))
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes("naïve text".encode("latin-1"))
    return folder


@pytest.fixture
def called(folder, monkeypatch, capsys):
    """Exit code, output and errors of a script in this process: one of its own takes seconds."""
    monkeypatch.chdir(folder)

    def call(name, *arguments):
        try:
            code = importlib.import_module(f"theano_rnn.commands.{name}").main(list(arguments))
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def run(folder):
    """A run that a fresh interpreter has trained, as a user's does."""
    done = subprocess.run(
        [sys.executable, SCRIPTS / "train.py", "--text", "text.txt", *SMALL, "--run", "run"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_what_a_recipe_sets_is_switched_off_by_0(folder, monkeypatch):
    monkeypatch.chdir(folder)
    off = "--embedding-size 0 --lr-decay-after 0 --patience 0 --dynamic 0 --no-bias --clip 0"
    given = ["--recipe", "mikolov", "--text", "text.txt", "--run", "off", *off.split()]
    with training.opened(train.parse_arguments(given)) as made:
        settings = made.settings
    assert settings.embedding_size is settings.lr_decay_after is settings.patience is None
    assert settings.dynamic is None and not settings.bias and not settings.clip
    assert settings.hidden_size == RECIPES["mikolov"]["hidden_size"]


def test_training_leaves_everything_in_the_run_folder(run):
    names = {path.name for path in run.iterdir()}
    assert names == {
        "settings.json", "tokenizer.json", "best.safetensors", "last.safetensors",
        "last-1.safetensors", "last-2.safetensors", "lock",
        "metrics.jsonl", "loss.png", "samples.txt", "result.json",
    }  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    assert {
        "valid_perplexity", "test_perplexity", "unigram_perplexity", "bigram_perplexity",
        "oov_rate", "tokens_per_second", "seconds_to_first_step",
    } <= set(result)  # fmt: skip
    assert 1 < result["test_perplexity"] < 14  # 10 words, end, and little more
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_resumed_run_goes_on_to_more_epochs_from_any_folder(run, folder, tmp_path):
    copy = folder / "resumed"
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    done = script("train.py", "--resume", copy, "--epochs", 3, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    epochs = [json.loads(x)["epoch"] for x in (copy / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    first(
        1,
        [
            ["--text", "text.txt", "--level", "char", "--truncation", "window:2"],
            ["--train", "train.txt", "--valid", "valid.txt", "--test", "test.txt", "--tokenized"],
            ["--text", "table.csv", "--column", "body"],
        ],
    ),
    ids=["char", "tokenized", "csv"],
)
def test_every_form_of_text_trains(folder, text):
    run = folder / f"run-{text[1]}-{len(text)}"
    done = script(
        "train.py", *text, *PLAIN, "--hidden-size", 4, "--epochs", 1, "--run", run, folder=folder
    )
    assert done.returncode == 0, done.stderr
    assert (run / "result.json").exists()


@pytest.mark.slow
def test_the_default_run_folder_is_under_runs(folder):
    done = script("train.py", "--text", "text.txt", *SMALL, "--epochs", 1, folder=folder)
    assert done.returncode == 0, done.stderr
    assert " 1 epoch, best after epoch 1." in done.stdout
    (run,) = (folder / "runs").iterdir()
    assert (run / "result.json").exists()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(run, folder):
    done = script("train.py", "--text", "text.txt", *SMALL, "--run", "again", folder=folder)
    assert done.returncode == 0, done.stderr
    for name in ("samples.txt", "tokenizer.json"):
        assert (folder / "again" / name).read_bytes() == (run / name).read_bytes()
    arrays, again = (Run.open(r).checkpoint("best")[0] for r in (run, folder / "again"))
    assert arrays.keys() == again.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
    losses = [
        [json.loads(x)["valid_loss"] for x in (r / "metrics.jsonl").read_text().splitlines()]
        for r in (run, folder / "again")
    ]
    assert losses[0] == losses[1]


def test_sentences_are_sampled_from_a_run(run):
    done = script("generate.py", run, "--count", 3, "--prime", "the cat", "--temperature", "0.8")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all(line.startswith("the cat") for line in lines)
    assert script("generate.py", run, "--count", 3, "--seed", 1).stdout != done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "nowhere.txt"], "nowhere.txt"),
        (["--text", "empty.txt"], "empty"),
        (["--text", "latin.txt"], "not UTF-8"),
        (["--text", "text.txt", "--vocab-size", "500"], "ask for at most 14"),
        (["--text", "text.txt", "--truncation", "window:0"], "at least"),
        (["--text", "text.txt", "--truncation", "fullest"], "'window:4'"),
        (["--text", "text.txt", "--epochs", "0"], "epochs"),
        (["--text", "text.txt", "--run", "run"], "exists"),
        (["--text", "text.txt", "--tied", "--cell", "gru"], "set --embedding-size 100, or --no"),
        (["--text", "text.txt", "--stream"], "needs truncation chunk:K"),
        (["--text", "text.txt", "--recipe", "zaremba-small", "--batch-size", "9000"], "9000"),
        (["--recipe", "mikolov", "--text", "nowhere.txt"], "nowhere.txt"),
        (["--recipe", "zaremba-small", "--train", "train.txt"], "valid and test are missing"),
        (["--recipe", "zaremba-small", "--text", "text.txt", "--omega", "2"], "not lstm"),
        (["--text", "text.txt", "--hidden-size", str(10**12)], "memory of this machine"),
        (["--text", "text.txt", "--hidden-size", "many"], "--hidden-size must be a whole"),
        (["--text", "text.txt", "--hiden-size", "7"], "--hiden-size"),
        (["--train", "train.txt"], "valid and test are missing"),
        (["--text", "text.txt", "--train", "train.txt"], "not both"),
        (["--resume", "nowhere"], "not a run folder"),
        (["--resume", "run", "--hidden-size", "7"], "--hidden-size"),
        (["--resume", "run", "--recipe", "tutorial"], "leave out --recipe"),
        (["--resume", "run", "--no-bias", "--seed", "3"], "leave out --bias, --seed, or start a"),
        (
            ["--resume", "run", "--epochs", "3", "--text", "table.csv", "--column", "body"],
            "--column",
        ),
        (["--resume", "run", "--from", "run"], "leave out --from"),
        (["--from", "run", "--recipe", "tutorial"], "leave out --recipe"),
        (["--from", "run"], "--from run needs a text"),
        (
            ["--from", "run", "--text", "text.txt", "--hidden-size", "7"],
            "--hidden-size 5, not --hidden-size 7",
        ),
        (
            ["--from", "run", "--text", "text.txt", "--level", "char"],
            "--level word, not --level char",
        ),
        (["--from", "nowhere", "--text", "text.txt"], "not a run folder"),
        (["--resume", "run"], "pass --epochs with a larger number"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, folder, called, arguments, message):
    before = sorted(folder.rglob("*"))
    code, _, err = called("train", *arguments)
    assert code == 2
    assert message in err and len(err.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before


def test_train_ends_in_a_line_where_its_output_is_full_and_in_none_where_its_reader_has_left(
    folder, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(training.CONSOLE, "quiet", False)  # a broken pipe would leave it quiet
    reader, writer = os.pipe()
    os.close(reader)
    for file, lines in ((open("/dev/full", "w"), 1), (open(writer, "w"), 0)):
        monkeypatch.setattr(sys, "stdout", file)
        try:
            code = train.main(["--text", "text.txt", *SMALL, "--run", "unwritten"])
        except SystemExit as end:
            code = end.code
        file.close()  # what the interpreter does when it ends
        err = capsys.readouterr().err
        assert code == 1 and err.count("\n") == lines == err.count("No space left on device")
        assert not (folder / "unwritten").exists()


def test_an_encoding_is_that_of_the_file_given(run, folder, called):
    (folder / "latin.txt").write_bytes("the caf\xe9 .".encode("latin-1"))
    for given in (("score", "run", "latin.txt"), ("evaluate", "run", "--text", "latin.txt")):
        code, _, err = called(*given)
        assert code == 2 and "give its --encoding" in err
        code, out, err = called(*given, "--encoding", "latin-1")
        assert code == 0 and "lower is better" in out, err
    for name in ("evaluate", "flow", "credit"):
        for option in ("encoding", "column"):
            code, _, err = called(name, "run", f"--{option}", "body")
            assert code == 2 and f"--{option} is that of --text FILE; give both" in err


def test_another_text_is_judged_and_the_run_stays_as_it_is(run, folder, called):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    code, out, err = called("evaluate", "run", "--text", "text.txt")
    assert code == 0 and "text.txt" in out and "lower is better" in out, err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    code, rms, err = called("evaluate", "run", "--text", "text.txt", "--dynamic-rms", "1e-5")
    assert (code, err) == (0, "") and "by RMS-scaled steps" in rms and "RMS" not in out
    code, _, err = called("evaluate", "run", "--dynamic-rms", "-1")
    assert (
        code == 2
        and "--dynamic-rms must be a positive, finite number" in err
        and "json" not in err
    )
    (folder / "text.txt").rename(folder / "elsewhere.txt")
    code, _, err = called("evaluate", "run", "--text", "elsewhere.txt")
    (folder / "elsewhere.txt").rename(folder / "text.txt")
    assert code == 2 and "to the text of the run, and " in err and "; restore it" in err
    code, _, err = called("evaluate", "run", "--text", "nowhere.txt")
    assert code == 2 and "nowhere.txt" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("text", ["-", ["-"]])
def test_a_run_of_standard_input_is_not_judged_on_standard_input(run, folder, called, text):
    piped = shutil.copytree(run, folder / f"piped{len(text)}{type(text).__name__}")
    settings = json.loads((piped / "settings.json").read_text())
    (piped / "settings.json").write_text(json.dumps({**settings, "text": text}))
    code, _, err = called("evaluate", piped.name, "--text", "-")
    assert code == 2 and "give the other text as a file" in err


def test_each_sentence_of_a_file_is_scored_and_the_whole(run, folder, called):
    (folder / "three.txt").write_text("The cat sat. A dog ran home. The zebra saw a cat.")
    code, out, err = called("score", "run", "three.txt")
    assert code == 0, err
    head, *rows, whole = out.splitlines()
    assert head.split() == ["perplexity", "tokens", "sentence"]
    perplexities, tokens, sentences = zip(*(row.split(None, 2) for row in rows))
    assert tokens == ("5", "6", "7") and sentences[1] == "A dog ran home."
    model, vocabulary = load("run")
    ids = [vocabulary.encode(sentence) for sentence in sentences]
    losses = [model.ce_error(s[:-1], s[1:]) for s in ids]
    for text, loss, n in zip(perplexities, losses, (5, 6, 7)):
        assert float(text) == pytest.approx(np.exp(loss / n), abs=0.06)
    perplexity = f"{np.exp(sum(losses) / 18):.1f}"
    assert f"perplexity {perplexity} per token, {perplexity} per word," in whole
    assert "bits per byte (lower is better)" in whole
    assert "18 tokens in 3 sentences" in whole and "6.7% unknown" in whole


def test_a_text_of_unknown_words_is_called_one(run, folder, called):
    (folder / "other.txt").write_text("Zebras quaff gin. The cat sat.")
    code, out, err = called("score", "run", "other.txt")
    assert code == 0, err
    assert "Most of the text is unknown" not in out  # 3 of 8, points counted
    (folder / "unknown.txt").write_text("Zebras quaff xylitol!")
    for command in (["score", "run", "unknown.txt"], ["evaluate", "run", "--text", "unknown.txt"]):
        code, out, err = called(*command)
        assert code == 0, err
        assert "Most of the text is unknown to the network" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "not a run folder"),
        (["run", "--temperature", "-1"], "temperature"),
        (["run", "--prime", "zebra"], "zebra"),
    ],
)
def test_bad_input_to_generate_is_one_line(run, called, arguments, message):
    code, _, err = called("generate", *arguments)
    assert code == 2
    assert message in err and len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_recipe_trains_resumes_and_is_sampled_on_files_of_the_penn_treebanks_form(folder):
    files = [word for name in ("train", "valid", "test") for word in (f"--{name}", f"{name}.txt")]
    small = ["--tokenized", "--hidden-size", 4, "--embedding-size", 3, "--dynamic", "--clip", 0]
    recipe = ["--recipe", "zaremba-small", "--batch-size", 3, "--epochs", 1, "--run", "recipe"]
    done = script("train.py", *files, *small, *recipe, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "The gradient is not clipped." in done.stdout.splitlines()
    for row in ("Kneser-Ney, order", "..., learning from it"):
        assert row in done.stdout
    settings = json.loads((folder / "recipe" / "settings.json").read_text())
    assert (settings["cell"], settings["layers"], settings["learning_rate"]) == ("lstm", 2, 1.0)
    done = script("train.py", "--resume", "recipe", "--epochs", 2, folder=folder)
    assert done.returncode == 0, done.stderr
    assert len((folder / "recipe" / "metrics.jsonl").read_text().splitlines()) == 2
    done = script("generate.py", "recipe", "--count", 2, folder=folder)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--recipe", RECIPES),
        ("--cell", CELLS),
        ("--optimizer", OPTIMIZERS),
        ("--clip-by", CLIPPINGS),
        ("--initialization", SCHEMES),
    ],
)
def test_an_unknown_name_is_refused_with_the_known(folder, called, option, known):
    code, _, err = called("train", "--text", "text.txt", option, "best")
    assert code == 2 and "'best'" in err and len(err.splitlines()) == 1
    assert all(name in err for name in known)


def test_an_option_changes_the_recipe(folder, called, tmp_path):
    given = ["--recipe", "zaremba-small", "--text", "text.txt", "--run", str(tmp_path / "run")]
    changes = ["--no-stream", "--no-bias", "--layers", "1", "--learning-rate", "0.5"]
    with training.opened(train.parse_arguments(given + changes)) as made:
        settings = made.settings
    expected = {**RECIPES["zaremba-small"], "stream": False, "bias": False, "layers": 1,
                "learning_rate": 0.5, "text": str(folder / "text.txt"),
                "sentences": settings.sentences}  # fmt: skip
    assert settings == Settings(**expected) and settings.sentences != "auto"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clip": 0}, "The gradient is not clipped."),
        ({"clip": None}, "The gradient is not clipped."),
        (
            {"clip": 2.5},
            "Clipped: the gradient's norm, to at most 2.5; |gradient| is unclipped.",
        ),
        ({"clip_by": "value"}, "Clipped: the gradient's values, to at most 5;"),
    ],
)
def test_the_summary_says_what_is_clipped(called, changes, words):
    assert training.clipping(Settings(**changes)).startswith(words)


@pytest.mark.slow
def test_a_run_that_loses_its_patience_says_so_and_one_without_matplotlib_has_no_picture(
    folder, called, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    still = ["--learning-rate", "1e-30", "--patience", "2", "--epochs", "9", "--run", "still"]
    code, out, _ = called("train", "--text", "text.txt", "--hidden-size", "5", *still)
    assert code == 0 and "2 epochs without a lower validation loss" in out
    assert "3 epochs, best after epoch 1." in out
    assert "There is no loss.png; matplotlib is not installed: pip" in out
    assert not (folder / "still" / "loss.png").exists()
    code, _, err = called("train", "--resume", "still", "--epochs", "20")
    assert code == 2 and "--patience" in err and len(err.splitlines()) == 1


def test_a_damaged_checkpoint_is_refused_by_name(run, folder):
    copy = folder / "damaged"
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "last.safetensors").write_bytes(b"torn")
    done = script("train.py", "--resume", "damaged", "--epochs", 5, folder=folder)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "checkpoint damaged/last.safetensors is damaged" in words
    for path in copy.glob("*.safetensors"):
        path.write_bytes(b"torn")
    for done in (
        script("train.py", "--resume", "damaged", "--epochs", 6, folder=folder),
        script("generate.py", "damaged", folder=folder),
    ):
        assert done.returncode == 2 and "safetensors is damaged" in done.stderr


def test_ctrl_c_ends_cleanly_with_a_run_that_can_be_used_and_resumed(folder):
    arguments = "--text text.txt --hidden-size 4 --epochs 100000 --run halted".split()
    process = Forked(SCRIPTS / "train.py", *arguments, cwd=folder)
    while not (folder / "halted" / "metrics.jsonl").exists():
        assert process.poll() is None, process.wait().stderr
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    done = process.wait()
    assert done.returncode == 130, done.stderr
    assert "--resume" in done.stdout and "Traceback" not in done.stderr
    assert not (folder / "halted" / "result.json").exists()  # the test text can wait
    assert "evaluate.py halted" in done.stdout
    done = script("evaluate.py", "halted", folder=folder)
    assert done.returncode == 0 and "Test perplexity" in done.stdout, done.stderr
    result = json.loads((folder / "halted" / "result.json").read_text())
    epochs = result["epochs"]
    assert epochs >= 1 and (folder / "halted" / "samples.txt").exists()
    assert script("generate.py", "halted", "--count", 1, folder=folder).returncode == 0
    done = script("train.py", "--resume", "halted", "--epochs", epochs + 1, folder=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "halted" / "result.json").read_text())["epochs"] == epochs + 1


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_while_an_epoch_is_written_waits(called, folder, monkeypatch, number, code):
    """Else metrics.jsonl would have an epoch that the checkpoint does not know."""
    shipped, name = Run.append_metrics, f"written{code}"

    def append(run, record):
        shipped(run, record)
        signal.raise_signal(number)

    monkeypatch.setattr(Run, "append_metrics", append)
    found, out, err = called("train", "--text", "text.txt", *SMALL, "--run", name)
    assert found == code and "Stopping" in out and err == ""
    run = Run(folder / name)
    assert "Stopped in epoch 2, after 0 of its steps" in out
    assert run.last()[1]["epoch"] == run.checkpoint("best")[1]["epoch"] == len(run.metrics()) == 1


def test_ctrl_c_after_the_last_epoch_says_that_the_training_is_done(called, folder, monkeypatch):
    shipped = Run.append_metrics

    def append(run, record):
        shipped(run, record)
        if record["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "append_metrics", append)
    options = *SMALL, "--clip", "0", "--run", "done"
    code, out, _ = called("train", "--text", "text.txt", *options)
    assert code == 130 and "the training is done and saved" in out and "--resume" not in out
    code, out, _ = called("evaluate", "done")
    assert code == 0 and "Test perplexity" in out and "clipped (--clip" not in out


def test_where_nothing_can_be_compiled_no_run_folder_is_left(called, folder, monkeypatch):
    def fails(*args, **settings):
        raise CompileFailed("no compiler; run theano-rnn doctor")

    monkeypatch.setattr("theano_rnn.optim.step.compile_function", fails)
    code, _, err = called("train", "--text", "text.txt", *SMALL, "--run", "unborn")
    assert code == 2 and err.endswith("no compiler; run theano-rnn doctor\n")
    assert not (folder / "unborn").exists()


@pytest.mark.slow
def test_ctrl_c_while_compiling_ends_cleanly(folder, tmp_path):
    """The terminal's Ctrl-C goes to the whole group of processes, compilers included."""
    process = subprocess.Popen(
        [sys.executable, SCRIPTS / "train.py", "--text", "text.txt", *SMALL, "--run", "early"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "THEANO_FLAGS": f"base_compiledir={tmp_path},{QUICK_COMPILING}"},
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 200
        while not any(tmp_path.rglob("mod.cpp")) and time.monotonic() < deadline:
            time.sleep(0.05)  # until a compiler has been started
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in err and "--resume" in out
    assert (folder / "early" / "best.safetensors").exists()


@pytest.mark.parametrize("name", [path.name for path in sorted(SCRIPTS.glob("*.py"))])
def test_help_says_what_a_script_is_for(name):
    done = script(name, "--help")
    assert done.returncode == 0 and "usage:" in done.stdout and not done.stderr
