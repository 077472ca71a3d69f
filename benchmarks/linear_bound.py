"""The ELBO of a linear VAE, epoch by epoch, beside the exact value of probabilistic PCA.

    python benchmarks/linear_bound.py docs/images/linear_bound.png

It runs the Python of docs/from-scratch.md up to the training of the linear model.
"""

import pathlib
import re
import sys

from kvae.reports.pictures import figure_png, new_figure

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs/from-scratch.md"


def main(out: pathlib.Path) -> None:
    """Trains the model of the document and draws its curve."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    names: dict = {}
    exec("\n".join(blocks[:2]), names)
    curve = names["history"].history["elbo"]
    figure, axes = new_figure((6.0, 3.0))
    axes.plot(range(1, len(curve) + 1), curve, label="ELBO of the linear VAE")
    axes.axhline(
        names["exact"], color="#c8452f", linestyle="--", label="exact log p(x) of PPCA"
    )
    axes.set_ylim(names["exact"] - 4, names["exact"] + 0.4)
    axes.set_xlabel("epoch")
    axes.set_ylabel("nats per example")
    axes.legend(frameon=False, fontsize=8)
    out.write_bytes(figure_png(figure))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
