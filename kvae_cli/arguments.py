"""The verbs of the command and their arguments.

Only the standard library is imported here, so that help and refusals come at once.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any, NoReturn

_PATH = pathlib.Path


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one sentence, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """Makes the parser of the whole command."""
    parser = _Parser(
        prog="kvae",
        description="Variational autoencoders: train, evaluate, sample, export.",
        epilog="example: kvae quickstart",
    )
    verbs = parser.add_subparsers(
        required=True, metavar="VERB", dest="verb", parser_class=_Parser
    )

    def verb(name: str, words: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=words,
            description=words,
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("-q", "--quiet", action="store_true", help="only warnings")
        return added

    _add_quickstart(
        verb(
            "quickstart",
            "Train on bundled digits, evaluate, draw samples and export.",
            "kvae quickstart --out first-run",
        )
    )
    _add_train(
        verb(
            "train",
            "Train a model by a recipe or on a data source, or go on with a run.",
            "kvae train mnist --set epochs=20 --out runs/mnist",
        )
    )
    judge = verb(
        "evaluate",
        "Measure a run on its test set; the numbers go into its metrics.json.",
        "kvae evaluate runs/mnist --num-samples 16",
    )
    _add_run(judge)
    judge.add_argument(
        "--num-samples",
        type=_positive,
        help="latents per example; with --only those of log_likelihood",
    )
    judge.add_argument(
        "--only",
        metavar="NAME,NAME",
        help="other numbers than the ELBO of training: log_likelihood, elbo, information, "
        "latents, gaps, ais, samples",
    )
    _add_examples(judge, None)
    page = verb(
        "report",
        "Write one HTML page about a run: every evaluation with its error, and pictures.",
        "kvae report runs/mnist --out mnist.html",
    )
    _add_run(page)
    _add_importance(page, 5000)
    page.add_argument("--out", type=_PATH, help="the page (RUN/report.html)")
    several = verb(
        "compare",
        "Compare runs on the same test examples, with paired standard errors.",
        "kvae compare runs/mnist runs/other --out compared.html",
    )
    several.add_argument(
        "paths", metavar="RUN", type=_PATH, nargs="+", help="folders of kvae train"
    )
    several.add_argument("--data-dir", help="where TFDS keeps its data")
    _add_importance(several, 1000)
    several.add_argument("--out", type=_PATH, help="a page with pictures too")
    _add_sample(
        verb(
            "sample",
            "Draw new examples from a run's model.",
            "kvae sample runs/mnist --num 100 --seed 1 --out more.png",
        )
    )
    _add_complete(
        verb(
            "complete",
            "Complete images of which a part is hidden.",
            "kvae complete runs/mnist_half image.png --mask left-half",
        )
    )
    _add_encode(
        verb(
            "encode",
            "Encode and score data of any size into a folder of shards.",
            "kvae encode runs/mnist --data more.npy --out shards",
        )
    )
    ship = verb(
        "export",
        "Export a run's model for servers and phones, and prove the files equal.",
        "kvae export runs/mnist --out exported",
    )
    _add_run(ship)
    ship.add_argument("--out", type=_PATH, help="folder to make (RUN/export)")
    _add_export(ship)
    again = verb(
        "verify",
        "Repeat the parity checks of an export, from its folder alone.",
        "kvae verify exported",
    )
    again.add_argument(
        "path", metavar="DIR", type=_PATH, help="a folder of kvae export"
    )
    _add_explore(
        verb(
            "explore",
            "Show an exported model on a page in the browser, on this machine alone.",
            "kvae explore exported --fetch",
        )
    )
    return parser


def _add_quickstart(parser: argparse.ArgumentParser) -> None:
    folder = pathlib.Path("kvae-quickstart")
    parser.add_argument("--out", type=_PATH, default=folder, help=f"folder ({folder})")
    _add_settings(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", nargs="?", help="digits, mnist, ..., a .toml, or a run"
    )
    of_config = parser.add_argument_group("changes to the recipe")
    for flag, kind, words in (
        (
            "--data",
            str,
            "digits, a TFDS name, .npy or .npz, a folder of images or .npy",
        ),
        ("--data-dir", str, "where TFDS keeps its data"),
        (
            "--size",
            str,
            "height x width to which a folder's images are scaled: 64x48, 64",
        ),
        ("--resize", str, "how: crop what is too long (default), or stretch"),
        (
            "--preset",
            str,
            "a model of kvae.presets by its name: beta_vae, vamp_vae, ...",
        ),
        ("--latent-dim", int, "number of latent dimensions"),
        ("--epochs", int, "passes over the training set"),
        ("--batch-size", int, "examples per step"),
        ("--likelihood", str, "bernoulli, normal, ..."),
        ("--condition", str, "label: the model is given the label of each example"),
        ("--seed", int, "same seed, same numbers"),
        ("--strategy", str, "mirrored or multi_worker: several devices, or machines"),
    ):
        of_config.add_argument(
            flag, type=kind, help=words, action=_Change, default=argparse.SUPPRESS
        )
    of_config.add_argument(
        "--skip-unreadable",
        action=_Change,
        nargs=0,
        const=True,
        default=argparse.SUPPRESS,
        help="pass over damaged images of a folder",
    )
    parser.set_defaults(changes={})
    _add_settings(parser)
    parser.add_argument("--out", type=_PATH, help="folder of the run (runs/NAME)")
    parser.add_argument(
        "--resume",
        type=_PATH,
        metavar="RUN",
        help="go on with an interrupted run, bit for bit; nothing else but --data-dir",
    )
    parser.add_argument(
        "--keys", action="store_true", help="only list every key that --set takes"
    )


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN", type=_PATH, help="a folder of kvae train"
    )
    parser.add_argument("--num", type=_positive, default=64, help="how many (64)")
    parser.add_argument(
        "--seed", type=_seed, default=0, help="same seed, same samples (0)"
    )
    parser.add_argument(
        "--condition", help="of a conditional model: a label, 7 or its name, or several"
    )
    parser.add_argument(
        "--temperature", type=_spread, default=1.0, help="of the prior (1)"
    )
    parser.add_argument(
        "--draw-pixels", dest="mean", action="store_false", help="draws, not means"
    )
    parser.add_argument("--out", type=_PATH, help="a .png, or a .npy for the numbers")


def _add_complete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN", type=_PATH, help="a folder of kvae train"
    )
    parser.add_argument("images", metavar="IMAGE", type=_PATH, nargs="+")
    parser.add_argument(
        "--mask",
        help="what is hidden: left-half, right-half, top-half, bottom-half, any-half, "
        "rectangle, random, or an image, white where visible (the run's own)",
    )
    parser.add_argument("--num", type=_positive, default=8, help="of each image (8)")
    parser.add_argument("--seed", type=_seed, default=0, help="of the draws (0)")
    parser.add_argument("--out", type=_PATH, help="a .png, or a .npy for the numbers")


def _add_encode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN", type=_PATH, help="a folder of kvae train, or a .keras"
    )
    parser.add_argument(
        "--out", type=_PATH, required=True, help="folder to make, or to go on with"
    )
    parser.add_argument(
        "--data", help="digits, a TFDS name, a .npy, ... (what the run was trained on)"
    )
    parser.add_argument("--data-dir", help="where TFDS keeps its data")
    parser.add_argument(
        "--part", choices=("train", "validation", "test"), help="one part alone (all)"
    )
    parser.add_argument(
        "--format",
        dest="file_format",
        choices=("parquet", "tfrecord"),
        default="parquet",
        help="of the files (parquet)",
    )
    for flag, default, words in (
        ("--shard-size", 65536, "examples per file"),
        ("--batch-size", 512, "examples per pass"),
        ("--num-samples", 1, "latents per example of the ELBO"),
    ):
        parser.add_argument(
            flag, type=_positive, default=default, help=f"{words} ({default})"
        )
    parser.add_argument("--seed", type=_seed, default=0, help="of those latents (0)")
    parser.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="pass over damaged images of a folder",
    )
    parser.add_argument(
        "--no-scores", dest="scores", action="store_false", help="leave the ELBO out"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN", type=_PATH, help="a folder of kvae train"
    )
    parser.add_argument("--data-dir", help="where TFDS keeps its data")


def _add_examples(parser: argparse.ArgumentParser, num: int | None) -> None:
    words = "how many test examples, the first ones"
    parser.add_argument(
        "--examples", type=_positive, default=num, help=f"{words} ({num or 'all'})"
    )


def _add_importance(parser: argparse.ArgumentParser, samples: int) -> None:
    parser.add_argument(
        "--num-samples",
        type=_positive,
        default=samples,
        help=f"latents per example for log p(x) ({samples})",
    )
    _add_examples(parser, 1000)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--precisions",
        default="float32",
        metavar="P,P",
        help="of the .tflite files: float32,float16,int8_dynamic,int8 (float32)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        dest="everything",
        help="every precision, batch size 1 too, and files with every endpoint",
    )
    parser.add_argument("--licence", help="of the weights, for the model cards")
    parser.add_argument(
        "--serving", action="store_true", help="warm-up and configuration of a server"
    )


def _add_explore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="DIR", type=_PATH, help="a folder of kvae export"
    )
    parser.add_argument(
        "--litertjs", type=_PATH, metavar="PATH", help="folder of the npm packages"
    )
    parser.add_argument(
        "--fetch", action="store_true", help="install them by npm, into DIR/explore"
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="of the page (a free one)"
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    words = (
        "any key of a recipe (kvae train --keys), for example encoder.units=512; repeat"
    )
    parser.add_argument(
        "--set", action="append", dest="settings", metavar="KEY=VALUE", help=words
    )


class _Change(argparse.Action):
    """Collects what replaces a key of the recipe, by the name that the key has there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        key = {"size": "image_size"}.get(self.dest, self.dest)
        value = self.const if self.nargs == 0 else values
        namespace.changes = {**namespace.changes, key: value}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1; got {text!r}"
        )
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port up to 65535; got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(
            f"expected a whole number below 2**31; got {text!r}"
        )
    return int(text)


def _spread(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number from 0; got {text!r}")
    return value
