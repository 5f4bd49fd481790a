"""A report folder: report.html and the same figures as PNG.

report.html    the whole report, interactive; it needs no other file and no network
*.png          heat, lag, activation, saturation, contributions, truncation
               of the demonstration, gradient_flow.png
"""

import contextlib
import tempfile
from pathlib import Path

from theano_rnn.common import extras, files
from theano_rnn.common.types import PathLike
from theano_rnn.flow import demo
from theano_rnn.flow.findings import Findings
from theano_rnn.flow.report import html, png
from theano_rnn.flow.report.headline import headline


class Report:
    """A folder for a report, made, and seen to be writable, before anything is computed.

    It replaces the files of an earlier report, each atomically, and leaves all others alone.

    Parameters
    ----------
    folder : path
        Made if it is not there.

    Raises
    ------
    RNNError
        If the folder cannot be made or written to, or what draws the figures is not installed.
    """

    def __init__(self, folder: PathLike) -> None:
        extras.need("report", "--report")
        self.folder = Path(folder)
        with files.writing(self.folder):
            self.is_new = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass

    def discard(self) -> None:
        """Remove the folder again if it was made for this report and is still empty."""
        if self.is_new:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def write(self, f: Findings) -> Path:
        """Write the report of one model; return the path of its page."""
        title = f"The gradient flow of {f.name}"
        made = html.page(title, headline(f), html.sections_of(f), html.numbers_of(f))
        return self._write({"report.html": made.encode("utf-8"), **png.pictures(f)})

    def write_demo(self, several: list[Findings]) -> Path:
        """Write the report of the demonstration; return the path of its page.

        Parameters
        ----------
        several : list of Findings
            As ``demo.findings`` returns them.
        """
        schemes = demo.MEANT, demo.DONE
        numbers = {f.name: html.numbers_of(f) for f in several}
        said, sections = html.demo_said(several), html.demo_sections(several, *schemes)
        made = html.page("The gradient flow of four untrained networks", said, sections, numbers)
        return self._write(
            {
                "report.html": made.encode("utf-8"),
                "gradient_flow.png": png.demo_picture(several, schemes),
            }
        )

    def _write(self, contents: dict[str, bytes]) -> Path:
        for name, data in contents.items():
            path = self.folder / name
            with files.writing(path):
                files.replace(path, data)
        return self.folder / "report.html"
