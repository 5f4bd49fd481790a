"""A dataclass of settings as the options of a command, and as a page of the docs.

Both are made from the metadata of ``fields.setting``, so a new field appears in both.
"""

import argparse
import shlex
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Optional


def option(name: str) -> str:
    """The option of a setting.

    >>> option("hidden_size")
    '--hidden-size'
    """
    return "--" + name.replace("_", "-")


def command_line(values: Mapping[str, Any], settings: Optional[type] = None) -> str:
    """Settings as options of a shell.

    Parameters
    ----------
    values : dict
        By the names of the settings.
    settings : type, optional
        Their dataclass. It knows the options that switch a setting off by another name, and the
        defaults that no option can say, such as None of ``dropout_output``: they are left out.

    Examples
    --------
    >>> command_line({"bias": True, "tied": False, "epochs": 14, "patience": None})
    '--bias --no-tied --epochs 14 --patience 0'
    >>> command_line({"text": ("a.txt", "the b.txt")})
    "--text a.txt 'the b.txt'"
    """
    known = () if settings is None else _settings(settings)
    off = {field.name: field.metadata["option"].get("off") for field in known}
    unsaid = {f.name for f in known if f.default is None and not f.metadata["zero"]}
    words = []
    for name, value in values.items():
        if value is None and name in unsaid:
            continue
        if isinstance(value, bool):
            words.append(option(name) if value else off.get(name) or option(f"no_{name}"))
        elif isinstance(value, (list, tuple)):
            words.append(f"{option(name)} {shlex.join(value)}")
        else:
            words.append(f"{option(name)} {shlex.quote(str(0 if value is None else value))}")
    return " ".join(words)


def add_options(
    parser: argparse.ArgumentParser, settings: type, words: Collection[str] = ()
) -> None:
    """Add an option for each setting, in groups. An option that the user leaves out is None.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    settings : type
        A dataclass; its fields that ``fields.setting`` has made become options.
    words : collection of str
        Settings whose options take any word, which is read later; a switch is "yes" or "no".
    """
    group: Any = parser
    for field in _settings(settings):
        if field.metadata["group"]:
            group = parser.add_argument_group(field.metadata["group"])
        kind = field.metadata["kind"]
        choices = {"choices": list(kind.names)} if kind.names else {}
        help = ". ".join(_sentences(field)) + _default(field, " (default: {})")
        how = {**kind.option, **choices, **field.metadata["option"]}
        if field.name in words:
            how = _as_word(how)
            if "const" in how:
                no = {"dest": field.name, "action": "store_const", "const": "no"}
                group.add_argument(option(f"no_{field.name}"), help=argparse.SUPPRESS, **no)
        group.add_argument(option(field.name), help=help.replace("%", "%%"), **how)


def _as_word(how: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with which argparse reads an option as a word."""
    if "action" in how:
        return {"nargs": "?", "const": "yes", "metavar": "yes|no"}
    return {"metavar": how.get("metavar") or "|".join(how["choices"])}


def given(arguments: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The settings that the user gave as options, by name; None for a 0 that switches off.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of a parser with ``add_options``.
    settings : type
    """
    found = {field: getattr(arguments, field.name) for field in _settings(settings)}
    return {
        field.name: None if field.metadata["zero"] and value == 0 else value
        for field, value in found.items()
        if value is not None
    }


def markdown(settings: type) -> str:
    """A table of the settings for each group: option, values, default, effect.

    Returns
    -------
    str
        Markdown with headings of the second level.
    """
    lines: list[str] = []
    for field in _settings(settings):
        if field.metadata["group"]:
            heading = field.metadata["group"].capitalize()
            lines += ["", f"## {heading}", "", "| option | values | default | what it does |"]
            lines += ["|---|---|---|---|"]
        kind = field.metadata["kind"]
        values = ", ".join(f"`{name}`" for name in kind.names) or kind.words
        text = "<br>".join(map(_escaped, _sentences(field)))
        old = "".join(f"<br>(older runs: `{name}`)" for name in field.metadata["old"])
        default = _default(field, "`{}`")
        lines.append(f"| `{option(field.name)}` | {_escaped(values)} | {default} | {text}{old} |")
    return "\n".join(lines[1:]) + "\n"


def _settings(settings: type) -> "list[Field[Any]]":
    return [field for field in fields(settings) if "help" in field.metadata]


def _sentences(field: "Field[Any]") -> list[str]:
    """What a setting does, what each of its names means, and what 0 does."""
    kind, zero = field.metadata["kind"], field.metadata["zero"]
    summaries = {name: kind.summary(name) for name in kind.names}
    return [
        field.metadata["help"],
        *(f"{name}: {summary}" for name, summary in summaries.items() if summary),
        *([f"0: {zero}"] if zero else []),
    ]


def _default(field: "Field[Any]", form: str) -> str:
    if field.default is False:
        return form.format("no")
    if field.default is None and field.metadata["zero"]:
        return form.format(0)
    return "" if field.default in (None, MISSING) else form.format(field.default)


def _escaped(text: str) -> str:
    """The text, escaped for a cell of a Markdown table."""
    return text.replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")
