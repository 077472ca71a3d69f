"""Runs the tutorials, and writes what they print and draw into their pages.

    ./run tutorials [NAME ...]

Each page of docs/tutorials is run from top to bottom in a folder of its own. Under each
block of Python, the block ```text becomes what it printed, and the pictures linked there
become what it showed with `plt.show()`.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import keras
import matplotlib.pyplot as plt
from PIL import Image

PAGES = Path(__file__).parents[1] / "tutorials"
LARGEST = 60_000  # bytes of a picture
# A block of Python, and what comes after it up to the next one.
STEP = re.compile(r"(^```python\n(.*?)^```\n)(.*?)(?=^```python\n|\Z)", re.M | re.S)
OUTPUT = re.compile(r"\A\n*^```text\n.*?^```\n", re.M | re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+\.png)\)")


def run(page: Path) -> str:
    """Runs a page and returns it with its output; writes its pictures."""
    keras.utils.set_random_seed(0)
    names: dict[str, object] = {"__name__": "__main__"}

    def step(found: re.Match[str]) -> str:
        block, code, rest = found.groups()
        wanted = PICTURE.findall(rest)
        plt.close("all")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        figures = [plt.figure(number) for number in plt.get_fignums()]
        if len(figures) != len(wanted):
            raise SystemExit(
                f"{page.name}: a block drew {len(figures)} pictures, but {len(wanted)} "
                f"are linked under it:\n{code}"
            )
        for figure, target in zip(figures, wanted, strict=True):
            save(figure, page.parent / target)
        rest = OUTPUT.sub("", rest)
        output = "\n".join(map(str.rstrip, printed.getvalue().splitlines())).strip("\n")
        return f"{block}\n```text\n{output}\n```\n{rest}" if output else block + rest

    return STEP.sub(step, page.read_text("utf-8"))


def save(figure: plt.Figure, path: Path) -> None:
    """Writes a figure as a small PNG of at most 256 colors."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, bbox_inches="tight", pad_inches=0.05)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes: draw it smaller")


def pages(names: list[str]) -> Iterator[Path]:
    """Yields the pages of these names, or all."""
    for name in names or sorted(path.stem for path in PAGES.glob("*.md")):
        if (PAGES / f"{name}.md").is_file():
            yield PAGES / f"{name}.md"
        else:
            raise SystemExit(f"docs/tutorials has no page {name}.md")


def main(names: list[str]) -> None:
    """Runs pages, and says how long each took."""
    plt.show = lambda *_, **__: None  # figures stay open until the end of their block
    for page in list(pages(names)):
        start = time.process_time()
        here = Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                text = run(page)
            finally:
                os.chdir(here)
        page.write_text(text, "utf-8")
        print(f"{page.name}: {time.process_time() - start:.0f} processor seconds")


if __name__ == "__main__":
    main(sys.argv[1:])
