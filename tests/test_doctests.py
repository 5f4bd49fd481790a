"""The examples in docstrings, in the README and in the pages of docs/ do what they say."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest
from conftest import ROOT, first

import theano_rnn

MODULES = [
    module.name
    for module in pkgutil.walk_packages(theano_rnn.__path__, "theano_rnn.")
    if not module.name.endswith("__main__")
]
#: What the page of the API shows: modules, classes and functions by their full names.
ON_THE_PAGE = re.findall(r"^::: (\S+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
#: How many examples a page has at least.
LEAST = {
    "README.md": 8,
    "docs/credit.md": 8,
    "docs/engine.md": 3,
    "docs/gradient-flow.md": 11,
    "docs/guide.md": 12,
    "docs/index.md": 4,
    "docs/truncation.md": 6,
    "docs/tutorial.md": 60,
}


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page, least", first(1, LEAST.items()))
def test_examples_of_a_page(page, least):
    # To doctest the fence after an output would be a line of it; an empty line ends it.
    text = re.sub(r"^```.*$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    failed, attempted = doctest.DocTestRunner().run(examples)
    assert attempted >= least and failed == 0


def test_the_examples_of_every_page_are_run():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    with_examples = [page for page in pages if ">>> " in page.read_text(encoding="utf-8")]
    assert [page.relative_to(ROOT).as_posix() for page in with_examples] == list(LEAST)


@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_docstrings_name_every_parameter_or_leave_all_to_the_signature(name):
    """In the docstring itself, in that of the class or the module, or in a field's own help."""
    for path, thing, around in documented(name):
        text = inspect.getdoc(thing)
        assert text, f"{path} has no docstring"
        if "Parameters\n---" not in text:
            continue
        words = set(re.findall(r"\w+", " ".join([text, *around])))
        fields = getattr(thing, "__dataclass_fields__", {})
        with_help = {name for name, field in fields.items() if field.metadata.get("help")}
        missing = set(parameters(thing)) - words - with_help
        assert not missing, f"{path} says nothing of {missing}"


def documented(name):
    """Every public thing in a module or class, or the one itself, with the docstrings around."""
    thing = pkgutil.resolve_name(name if name in MODULES else ":".join(name.rsplit(".", 1)))
    if inspect.ismodule(thing):
        for key, value in public(thing):
            if getattr(value, "__module__", None) == thing.__name__:
                yield from with_methods(f"{name}.{key}", value, [thing.__doc__])
    else:
        yield from with_methods(name, thing, [])


def with_methods(path, thing, around):
    if inspect.isclass(thing) and not issubclass(thing, tuple):
        yield path, thing, around
        for key, value in public(thing):
            value = getattr(value, "__func__", getattr(value, "fget", value))
            if inspect.isfunction(value) and value.__name__ != "<lambda>":
                yield f"{path}.{key}", value, [*around, thing.__doc__]
    elif inspect.isfunction(thing):
        yield path, thing, around


def public(thing):
    return [(k, v) for k, v in vars(thing).items() if not k.startswith("_") or k == "__call__"]


def parameters(thing):
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return []
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]
