"""docs/first-principles.py runs as it stands, and prints what the tutorial and the README say."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

PROGRAM = ROOT / "docs/first-principles.py"


@pytest.mark.slow
def test_the_idea_in_one_file_runs_agrees_and_writes_sentences():
    ended = subprocess.run([sys.executable, PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    apart = re.findall(r"dE/d\w: .* differ by (\S+)", ended.stdout)
    assert len(apart) == 3 and all(float(a) < 1e-12 for a in apart)
    (lengths,) = re.findall(r"\|g\|\^2 is (\S+), and E grows by (\S+)", ended.stdout)
    assert abs(float(lengths[0]) / float(lengths[1]) - 1) < 1e-6
    losses = [float(loss) for loss in re.findall(r"epoch .*: (\S+) nats a word", ended.stdout)]
    assert losses[0] > 2.5 and losses[-1] < 0.5
    assert len(re.findall(r"^  the \w+ ", ended.stdout, re.MULTILINE)) == 8


def test_the_idea_is_read_in_one_go():
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 120
