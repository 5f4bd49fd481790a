"""The notebook of docs/: its cells run, in order and in one name space, and show what they say."""

import ast
import json

import pytest
from conftest import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def kinds(cell):
    """The kinds of output that a cell has in the file, such as image/png."""
    return {kind for output in cell["outputs"] for kind in output.get("data", {})}


def test_the_outputs_in_the_file_are_those_of_one_run_without_an_error():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" for output in outputs)
    for cell in CELLS:
        if "flow.plot(" in "".join(cell["source"]):
            assert "image/png" in kinds(cell)  # in a kernel that knew of no Matplotlib
    assert any("text/html" in kinds(cell) for cell in CELLS)


@pytest.mark.slow
def test_all_cells_run(capsys):
    names = {}
    for cell in CELLS:
        parts = ast.parse("".join(cell["source"])).body
        last = parts.pop() if isinstance(parts[-1], ast.Expr) else None
        exec(compile(ast.Module(parts, []), "tour.ipynb", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "tour.ipynb", "eval"), names)
            for kind, method in (("image/png", "_repr_png_"), ("text/html", "_repr_html_")):
                if kind in kinds(cell):
                    assert getattr(value, method)()
    assert capsys.readouterr().out
    right, wrong = (perplexity for _, perplexity in names["score"].sentences)
    assert right < wrong  # the network has learned to agree over a clause
