"""The verbs of the command and their arguments, on one page.

Only the standard library is imported here, so that help and refusals come at once.
"""

from __future__ import annotations

import argparse
import os
import pathlib
from typing import Any

from kvae_cli.argument_types import (
    Change,
    Help,
    Parser,
    Version,
    factor,
    minutes,
    numbers,
    port,
    positive,
    seed,
    shape,
    share,
    temperature,
)

_PATH = pathlib.Path
_RUN = "the folder of a run (the --out of kvae train)"
_DATA_DIR = "the folder of TensorFlow Datasets, if it isn't the usual one"
_METAVARS = {
    "--data": "SOURCE",
    "--data-dir": "DIR",
    "--size": "HxW",
    "--latent-shape": "HxWxC",
}


def parser() -> argparse.ArgumentParser:
    """Builds the parser of the whole command."""
    command = os.environ.get("KVAE_COMMAND", "kvae")  # how `run` was started
    parser = Parser(
        prog=command,
        description="Train, evaluate, sample, and export variational autoencoders.",
        epilog=f"example: {command} quickstart",
    )
    parser.add_argument("--version", action=Version, help="print the versions and exit")
    _add_quiet(parser, default=False)
    verbs = parser.add_subparsers(
        required=True, metavar="VERB", dest="verb", parser_class=Parser
    )

    def verb(name: str, words: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=words,
            description=words,
            epilog=f"example: {command} {name} {example}",
            formatter_class=Help,
        )
        _add_quiet(added, default=argparse.SUPPRESS)
        return added

    _add_quickstart(
        verb(
            "quickstart",
            "Train on bundled digits, evaluate, sample, and export.",
            "--out first-run",
        )
    )
    _add_train(
        verb(
            "train",
            "Train from a recipe or data source, or resume a run.",
            "mnist --set epochs=20 --out runs/mnist",
        )
    )
    _add_study(
        verb(
            "study",
            "Train a recipe with every combination of values, and recommend some.",
            "digits --vary latent_dim=2,4,8,16 --seeds 3 --out studies/size",
        )
    )
    _add_fit_prior(
        verb(
            "fit-prior",
            "Fit a prior to the latents of a trained model, so that samples look like "
            "the data.",
            "runs/mnist --prior flow_matching",
        )
    )
    _add_evaluate(
        verb(
            "evaluate",
            "Evaluate a run on its test set and add the numbers to its metrics.json.",
            "runs/mnist --num-samples 16",
        )
    )
    _add_report(
        verb(
            "report",
            "Write an HTML page about a run: its numbers, with errors, and pictures.",
            "runs/mnist --out mnist.html",
        )
    )
    _add_compare(
        verb(
            "compare",
            "Compare runs on the same test examples, with paired standard errors.",
            "runs/mnist runs/other --out compared.html",
        )
    )
    _add_sample(
        verb(
            "sample",
            "Draw new examples from a trained model.",
            "runs/mnist --num 100 --seed 1 --out more.png",
        )
    )
    _add_interpolate(
        verb(
            "interpolate",
            "Draw a row of pictures between two images.",
            "runs/mnist --num 9 --out walk.png",
        )
    )
    _add_attribute(
        verb(
            "attribute",
            "Draw images with more and less of an attribute, which is a label of the data.",
            "runs/mnist 7 --strengths=-1,0,1,2 --out sevens.png",
        )
    )
    _add_complete(
        verb(
            "complete",
            "Fill in the hidden part of images.",
            "runs/mnist_half image.png --mask left-half",
        )
    )
    _add_forecast(
        verb(
            "forecast",
            "Draw several futures of series, given their past.",
            "runs/forecast --data past.npy --steps 12 --out future.png",
        )
    )
    _add_detect(
        verb(
            "detect",
            "Find unusual examples, at a false-alarm rate that you choose.",
            "runs/mnist --data new.npy --alpha 0.01 --out found",
        )
    )
    _add_impute(
        verb(
            "impute",
            "Fill in the missing values of a table.",
            "runs/credit --data holes.csv --out filled.csv",
        )
    )
    _add_encode(
        verb(
            "encode",
            "Write the posterior and the ELBO of each example to a folder of shards.",
            "runs/mnist --data more.npy --out shards",
        )
    )
    _add_export(
        verb(
            "export",
            "Export a model for servers and phones, and check it against Keras.",
            "runs/mnist --out exported",
        )
    )
    _add_family(
        verb(
            "family",
            "Train the models that tutorials compare with the VAE, for one page.",
            "--data digits --out family",
        )
    )
    again = verb(
        "verify",
        "Repeat the checks of an export, without kvae or Keras.",
        "exported",
    )
    again.add_argument(
        "path", metavar="DIR", type=_PATH, help="a folder of kvae export"
    )
    _add_explore(
        verb(
            "explore",
            "Explore a model in the browser. The page is served to this machine only.",
            "runs/mnist",
        )
    )
    _add_push(
        verb(
            "push",
            "Upload a run or an export to the Hugging Face Hub, with its model card.",
            "runs/mnist your-name/mnist",
        )
    )
    return parser


def _add_quickstart(parser: argparse.ArgumentParser) -> None:
    folder = pathlib.Path("kvae-quickstart")
    parser.add_argument(
        "--out", type=_PATH, default=folder, help=f"the folder to create ({folder})"
    )
    _add_settings(parser)
    _add_verbose(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.usage = f"{parser.prog} [RECIPE] [options]"
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="a recipe such as digits or mnist, a .toml file, or a run to repeat",
    )
    of_config = parser.add_argument_group("changes to the recipe")
    for flag, kind, words in (
        (
            "--data",
            str,
            "digits, flowers, the name of a TensorFlow data set, a .npy, .npz, .csv, "
            ".tsv, or .parquet file, or a folder of images or .npy files",
        ),
        ("--data-dir", str, _DATA_DIR),
        ("--size", str, "scale images of a folder or of TFDS to HEIGHTxWIDTH: 64x48"),
        ("--resize", str, "how to scale: crop (the default) or stretch"),
        ("--preset", str, "a model of kvae.presets, such as beta_vae or vamp_vae"),
        ("--latent-dim", int, "number of latent dimensions"),
        (
            "--latent-shape",
            shape,
            "shape of one latent, height x width x channels, such as 16x16x4",
        ),
        ("--epochs", int, "passes over the training set; with --resume, in total"),
        ("--batch-size", int, "examples per step"),
        ("--likelihood", str, "bernoulli, normal, ..."),
        (
            "--fit-prior",
            str,
            "fit a prior after training: mixture, flow_matching, real_nvp, or "
            "masked_autoregressive_flow",
        ),
        (
            "--condition",
            str,
            "'label' conditions the model on the label of each example",
        ),
        ("--seed", int, "the same seed gives the same numbers"),
        ("--strategy", str, "mirrored (several devices) or multi_worker (machines)"),
    ):
        of_config.add_argument(
            flag,
            type=kind,
            metavar="N" if kind is int else _METAVARS.get(flag, "NAME"),
            help=words,
            action=Change,
            default=argparse.SUPPRESS,
        )
    of_config.add_argument(
        "--skip-unreadable",
        action=Change,
        nargs=0,
        const=True,
        default=argparse.SUPPRESS,
        help="skip damaged images in a folder",
    )
    parser.set_defaults(changes={})
    _add_settings(parser)
    parser.add_argument(
        "--out", type=_PATH, help="the folder of the run to create (runs/NAME)"
    )
    parser.add_argument(
        "--resume",
        type=_PATH,
        metavar="RUN",
        help="resume an interrupted run, bit for bit; with --epochs, extend a finished run",
    )
    parser.add_argument(
        "--keys", action="store_true", help="list every key that --set takes, and exit"
    )


def _add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="a recipe such as digits or mnist, a .toml file, or a run",
    )
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=VALUE,VALUE",
        help="values of a key of the recipe; may be repeated for every combination",
    )
    parser.add_argument(
        "--seeds", type=positive, default=3, help="runs of each combination (3)"
    )
    parser.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="runs at once, each in a process of its own; by default one per core, at "
        "most 8",
    )
    parser.add_argument("--data", metavar="SOURCE", help="the data, as for kvae train")
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    _add_settings(parser)
    parser.add_argument(
        "--out",
        type=_PATH,
        help="the folder to create or to resume (studies/NAME)",
    )


def _add_fit_prior(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument(
        "--prior",
        metavar="NAME",
        help="mixture, flow_matching, real_nvp, or masked_autoregressive_flow (a mixture "
        "for latents that are a vector, flow_matching for latents with a shape)",
    )
    parser.add_argument(
        "--epochs",
        type=positive,
        help="passes over the training data (as many as make 4000 steps)",
    )
    parser.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="KEY=VALUE",
        help="an argument of the prior, such as num_components=50 or width=128; may be "
        "repeated",
    )
    parser.add_argument(
        "--undo",
        action="store_true",
        help="go back to the prior that the model was trained with",
    )


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument(
        "--num-samples",
        type=positive,
        help="latents per example; with --only, those of log_likelihood",
    )
    parser.add_argument(
        "--only",
        metavar="NAME,NAME",
        help="other evaluations instead of the ELBO: log_likelihood, elbo, information, "
        "latents, gaps, ais, samples",
    )
    _add_examples(parser, "all")


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument(
        "--minutes",
        type=minutes,
        default=2.0,
        help="about how many minutes it may take (2); sets the numbers below",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="no time limit: use 1000 examples and 5000 latents each",
    )
    parser.add_argument(
        "--num-samples", type=positive, help="latents per example for log p(x)"
    )
    _add_examples(parser, "chosen")
    parser.add_argument("--out", type=_PATH, help="the page to write (RUN/report.html)")


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="RUN", type=_PATH, nargs="+", help="two runs or more"
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--num-samples",
        type=positive,
        default=1000,
        help="latents per example for log p(x) (1000)",
    )
    _add_examples(parser, "1000", 1000)
    parser.add_argument(
        "--out", type=_PATH, help="also write an HTML page with pictures"
    )


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument(
        "--num", type=positive, default=64, help="number of samples (64)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="the same seed gives the same samples (0)"
    )
    parser.add_argument(
        "--condition",
        help="for a conditional model: a label by its number or name, or several; for a "
        "table: values of columns, such as class=good,age=30",
    )
    parser.add_argument(
        "--temperature",
        type=temperature,
        default=1.0,
        help="factor of the prior's spread; below 1, samples are more typical (1); for a "
        "deep model also by size of maps, such as 4x4=0.8,7x7=0.6",
    )
    parser.add_argument(
        "--fit-prior",
        type=positive,
        nargs="?",
        const=10,
        metavar="N",
        help="draw from a mixture of N normals (10) that is fitted to the latents of the "
        "training data, instead of the prior",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--draw-pixels",
        dest="mean",
        action="store_false",
        help="draw from p(x|z) instead of taking its mean",
    )
    parser.add_argument(
        "--out",
        type=_PATH,
        help="a .png file, or .npy for the numbers; for a table, .csv, .tsv, or .parquet",
    )


def _add_interpolate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument(
        "images",
        metavar="IMAGE",
        type=_PATH,
        nargs="*",
        help="two image files (the default is 6 pairs of test examples)",
    )
    parser.add_argument(
        "--num",
        type=positive,
        default=9,
        help="pictures per row, including both ends (9)",
    )
    parser.add_argument(
        "--arc",
        action="store_true",
        help="follow an arc around the origin instead of a straight line",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--out", type=_PATH, help="a .png file, or .npy for the numbers"
    )


def _add_attribute(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument("name", metavar="LABEL", help="a label by its name or number")
    parser.add_argument(
        "images",
        metavar="IMAGE",
        type=_PATH,
        nargs="*",
        help="image files (the default is 6 test examples)",
    )
    parser.add_argument(
        "--strengths",
        type=numbers,
        default=(-1.0, 0.0, 1.0, 2.0),
        metavar="S,S,...",
        help="how much of the attribute to add, a column each; 0 is the reconstruction "
        "(-1,0,1,2)",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--out", type=_PATH, help="a .png file, or .npy for the numbers"
    )


def _add_complete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument(
        "images", metavar="IMAGE", type=_PATH, nargs="+", help="image files"
    )
    parser.add_argument(
        "--mask",
        help="what is hidden: left-half, right-half, top-half, bottom-half, any-half, "
        "rectangle, random, or an image that is white where it is visible (the run's "
        "own masks)",
    )
    parser.add_argument(
        "--num", type=positive, default=8, help="completions of each image (8)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="the same seed gives the same answers (0)"
    )
    parser.add_argument(
        "--out", type=_PATH, help="a .png file, or .npy for the numbers"
    )


def _add_forecast(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument(
        "--data",
        type=_PATH,
        required=True,
        help="an .npy file of pasts, (N, P, F), or (P, F) for one series; or a table with "
        "a column for each feature of one series",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        help="how far to look ahead (the steps of the model's series less those of the "
        "past)",
    )
    parser.add_argument(
        "--num", type=positive, default=100, help="futures of each series (100)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="the same seed gives the same futures (0)"
    )
    parser.add_argument(
        "--out",
        type=_PATH,
        help="a .png file with bands of 90 %%, .npy for the draws, or .csv, .tsv, or "
        ".parquet for means and quantiles",
    )


def _add_detect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="RUN",
        type=_PATH,
        help=f"{_RUN}, or of a saved detector, such as found/detector",
    )
    parser.add_argument(
        "--data",
        help="the examples, as for kvae train (the test set of the run)",
    )
    parser.add_argument(
        "--detector",
        type=_PATH,
        metavar="DIR",
        help="decide with this saved detector of the run instead of a new one",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--alpha",
        type=share,
        default=0.01,
        help="the share of normal examples that may raise a false alarm (0.01)",
    )
    parser.add_argument(
        "--score",
        metavar="NAME",
        default="auto",
        help="auto, elbo, distortion, latent_distance, likelihood_regret, ... (auto: one "
        "that suits the data)",
    )
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="skip damaged images in a folder"
    )
    parser.add_argument(
        "--out", type=_PATH, help="the folder to create (RUN/anomalies)"
    )


def _add_impute(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument(
        "--data",
        type=_PATH,
        required=True,
        help="a .csv, .tsv, or .parquet file with the columns of the run's data",
    )
    parser.add_argument("--out", type=_PATH, required=True, help="the file to write")
    parser.add_argument(
        "--draw",
        action="store_true",
        help="draw each value once instead of taking the mean or the most frequent one",
    )
    parser.add_argument(
        "--num", type=positive, default=64, help="draws behind a mean (64)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="the same seed gives the same values (0)"
    )


def _add_encode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN", type=_PATH, help=f"{_RUN}, or a .keras file"
    )
    parser.add_argument(
        "--out", type=_PATH, required=True, help="the folder to create or to resume"
    )
    parser.add_argument(
        "--data",
        help="the data, as for kvae train (the data that the run was trained on)",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--part", choices=("train", "validation", "test"), help="only one part (all)"
    )
    parser.add_argument(
        "--format",
        dest="file_format",
        choices=("parquet", "tfrecord"),
        default="parquet",
        help="format of the files (parquet)",
    )
    for flag, default, words in (
        ("--shard-size", 65536, "examples per file"),
        ("--batch-size", 512, "examples per pass"),
        ("--num-samples", 1, "latents per example for the ELBO"),
    ):
        parser.add_argument(
            flag, type=positive, default=default, help=f"{words} ({default})"
        )
    parser.add_argument("--seed", type=seed, default=0, help="seed of the latents (0)")
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="skip damaged images in a folder"
    )
    parser.add_argument(
        "--no-scores", dest="scores", action="store_false", help="omit the ELBO"
    )


def _add_export(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument("--out", type=_PATH, help="the folder to create (RUN/export)")
    parser.add_argument(
        "--precisions",
        default="float32",
        metavar="P,P",
        help="precisions of the .tflite files: float32, float16, int8_dynamic, int8 "
        "(float32)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        dest="everything",
        help="all precisions, files for batch size 1, and files with every endpoint",
    )
    parser.add_argument("--license", help="license of the weights, for the model cards")
    parser.add_argument(
        "--detector",
        type=_PATH,
        metavar="DIR",
        help="add the endpoint detect: the detector that kvae detect wrote, such as "
        "found/detector",
    )
    parser.add_argument(
        "--alpha",
        type=share,
        default=0.01,
        help="with --detector, the share of false alarms (0.01)",
    )
    parser.add_argument(
        "--serving",
        action="store_true",
        help="add warm-up requests and a server configuration",
    )
    _add_verbose(parser)


def _add_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="DIR", type=_PATH, help="a run, or a folder of kvae export"
    )
    parser.add_argument("repo_id", metavar="USER/NAME", help="the repository")
    parser.add_argument(
        "--public", action="store_true", help="show a new repository to everyone"
    )


def _add_explore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="DIR", type=_PATH, help="a run, or a folder of kvae export"
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--litertjs",
        type=_PATH,
        metavar="PATH",
        help="the folder that holds the LiteRT.js packages",
    )
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="install LiteRT.js from npm without asking, into DIR/explore",
    )
    parser.add_argument(
        "--port", type=port, default=0, help="port of the page (any free port)"
    )


def _add_family(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="SOURCE",
        default="digits",
        help="gray pictures with labels: digits (the default), mnist, or a source of "
        "kvae train",
    )
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)
    parser.add_argument(
        "--out",
        type=_PATH,
        default=_PATH("family"),
        help="the folder to create or to resume (family)",
    )
    parser.add_argument(
        "--only",
        metavar="NAME,NAME",
        help="only some models, such as rbm,gan,vae (all of them)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of everything (0)")
    parser.add_argument(
        "--steps",
        type=factor,
        default=1.0,
        metavar="FACTOR",
        help="factor of the steps of training (1)",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="RUN", type=_PATH, help=_RUN)
    parser.add_argument("--data-dir", metavar="DIR", help=_DATA_DIR)


def _add_examples(
    parser: argparse.ArgumentParser, shown: str, default: int | None = None
) -> None:
    parser.add_argument(
        "--examples",
        type=positive,
        default=default,
        help=f"number of test examples, from the first one ({shown})",
    )


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        dest="settings",
        metavar="KEY=VALUE",
        help="set any key of the recipe, such as encoder.units=512; may be repeated; "
        "kvae train --keys lists the keys",
    )


def _add_quiet(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=default, help="show only warnings"
    )


def _add_verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show the table of all checks of the export",
    )
