"""Every shell line of the README and the documents is run, from a folder without a clone.

A line that nobody listed below runs as printed. The tables name the others, with why.
"""

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.forked_checks import forked_checks

import kvae_cli.main
from kvae.training import recipe_names
from kvae_cli.arguments import parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

# The runs of MNIST are stand-ins of bundled digits: tests download nothing.
QUICK = "--set epochs=1 --set encoder.units=[8] --set decoder.units=[8]"
STUDY = f"--seeds 1 --workers 1 {QUICK}"  # here, and not in processes of its own
MNIST = "downloads MNIST and trains for minutes"
LONG = "trains for minutes"
TABLE = "trains for minutes; any table does"
INSTEAD = {
    "./run quickstart": (f"kvae quickstart {QUICK}", LONG),
    "kvae train mnist --out runs/mnist": (
        f"kvae train digits {QUICK} --out runs/mnist",
        MNIST,
    ),
    "kvae train digits --out runs/digits": (
        f"kvae train digits {QUICK} --out runs/digits",
        LONG,
    ),
    "./run kvae train flowers --out runs/flowers": (
        f"kvae train digits {QUICK} --out runs/flowers",
        LONG,
    ),
    "kvae train flowers --out runs/flowers": (
        f"kvae train digits {QUICK} --out runs/flowers",
        LONG,
    ),
    "kvae train flowers --preset beta_tc_vae --out runs/factors": (
        f"kvae train digits --preset beta_tc_vae --set fit_prior= {QUICK} "
        "--out runs/factors",
        LONG,
    ),
    "kvae train --data history.csv --out runs/pump": (
        "kvae train --data wine.csv --out runs/pump --epochs 1",
        "the tutorial makes the file",
    ),
    "kvae detect runs/pump --data new.csv --alpha 0.01 --out found": (
        "kvae detect runs/mnist --data new.npy --alpha 0.01 --out found",
        "the tutorial makes the file",
    ),
    "kvae train --resume runs/mnist --epochs 40": (
        "kvae train --resume runs/mnist --epochs 2",
        LONG,
    ),
    "kvae train mnist --preset beta_vae --set objective.beta=4": (
        "kvae train digits --preset beta_vae --set objective.beta=4 --set fit_prior= "
        f"{QUICK} --out runs/b",
        MNIST,
    ),
    "kvae train mnist --preset vamp_vae --set prior.num_components=100": (
        "kvae train digits --preset vamp_vae --set prior.num_components=10 --set "
        f"fit_prior= {QUICK} --out runs/v",
        MNIST,
    ),
    "kvae train --data photos/ --latent-dim 32 --set kl_warmup=5 --out runs/photos": (
        "kvae train --data photos/ --latent-dim 32 --set kl_warmup=5 --out runs/photos "
        "--epochs 1",
        LONG,
    ),
    "kvae train --data photos/ --latent-shape 4x4x4 --fit-prior flow_matching --out "
    "runs/maps": (
        "kvae train --data photos/ --latent-shape 4x4x4 --epochs 1 --out runs/maps "
        '--set \'fit_prior={name="flow_matching", epochs=1, width=8, num_steps=2, '
        "density_steps=2}'",
        LONG,
    ),
    "kvae train digits_conditional --out runs/digits": (
        f"kvae train digits_conditional {QUICK} --out runs/digits",
        LONG,
    ),
    "kvae train mnist_conditional --out runs/mnist": (
        f"kvae train digits_conditional {QUICK} --out runs/mnist",
        MNIST,
    ),
    "kvae train --data mnist --condition label --set conditional_prior=true "
    "--set corruption.name=pixel_dropout": (
        "kvae train --data digits --condition label --set conditional_prior=true "
        "--set corruption.name=pixel_dropout --epochs 1 --out runs/c",
        MNIST,
    ),
    "kvae train --data shards/ --set validation=1000 --out runs/large": (
        "kvae train --data shards/ --set validation=10 --out runs/large --epochs 1",
        "the shards of the test hold fewer examples",
    ),
    "kvae family --data digits --out family": (
        "kvae family --data digits --out family --only pca --steps 0.01",
        LONG,
    ),
    "kvae family --data mnist --steps 0.5 --out family-mnist": (
        "kvae family --data digits --out family-mnist --only pca --steps 0.01",
        LONG,
    ),
    "kvae study digits --vary latent_dim=2,4,8,16,32 --seeds 3 --out studies/size": (
        f"kvae study digits --vary latent_dim=2,3 {STUDY} --out studies/size",
        LONG,
    ),
    "kvae study digits --vary latent_dim=2,4,8,16,32 --seeds 3 "
    "--set epochs=40 --out studies/size": (
        f"kvae study digits --vary latent_dim=2,3 {STUDY} --out studies/size",
        LONG,
    ),
    "kvae study digits --vary likelihood.scale=0.1,0.2,0.3,learned --seeds 3 "
    "--set epochs=40 --out studies/sigma": (
        f"kvae study digits --vary likelihood.scale=learned {STUDY} --out studies/sigma",
        LONG,
    ),
    "kvae study digits --vary learning_rate=3e-4,1e-3,3e-3,1e-2 --seeds 3 "
    "--set epochs=40 --out studies/rate": (
        f"kvae study digits --vary learning_rate=3e-4 {STUDY} --out studies/rate",
        LONG,
    ),
    "kvae report runs/mnist": (
        "kvae report runs/mnist --examples 40 --num-samples 20 --minutes 0.05",
        "computes every number with its error, which takes minutes",
    ),
    "kvae evaluate runs/mnist --only log_likelihood,gaps --examples 1000": (
        "kvae evaluate runs/mnist --only log_likelihood --examples 50",
        "the gaps of a thousand examples take minutes",
    ),
    "kvae compare runs/mnist runs/mnist-2": (
        "kvae compare runs/mnist runs/mnist-2 --examples 50 --out compared.html",
        "a thousand latents for each example take a minute",
    ),
    "kvae compare runs/mnist runs/mnist-2 --out compared.html": (
        "kvae compare runs/mnist runs/mnist-2 --examples 50 --out compared.html",
        "a thousand latents for each example take a minute",
    ),
    "kvae train --data credit.csv --out runs/credit": (
        "kvae train --data wine.csv --out runs/credit --epochs 1",
        TABLE,
    ),
    "kvae train --data wine.csv --out runs/wine": (
        "kvae train --data wine.csv --out runs/wine --epochs 1",
        LONG,
    ),
    "kvae report runs/wine": (
        "kvae report runs/wine --examples 20 --num-samples 20 --minutes 0.05",
        "computes every number with its error, which takes minutes",
    ),
    "kvae train --data credit.csv --out runs/first": (
        "kvae train --data wine.csv --out runs/first --epochs 1",
        TABLE,
    ),
    "kvae train --data windows.npy --set data_kind=series --out runs/sensors": (
        "kvae train --data windows.npy --set data_kind=series --out runs/sensors "
        "--epochs 1",
        LONG,
    ),
    "kvae train forecast --data windows.npy --out runs/forecast": (
        "kvae train forecast --data windows.npy --out runs/forecast --epochs 1",
        LONG,
    ),
    "kvae report runs/sensors": (
        "kvae report runs/sensors --examples 20 --num-samples 20 --minutes 0.05",
        "computes every number with its error, which takes minutes",
    ),
    "kvae export runs/mnist --out exported-all --all --serving --license CC0-1.0": (
        "kvae export runs/mnist --out exported-all --serving --license CC0-1.0",
        "sixteen LiteRT files take minutes; tests/export makes each kind",
    ),
}
# Lines that a test cannot run. The parser of the command still reads those of kvae.
NOT_RUN = {
    "./run quickstart --out first-run": "the README's, into another folder",
    "./run tests": "this is the suite",
    "./run tests tests/export/test_explore_browser.py": "this is the suite",
    "./run kvae train mnist --set fit_prior= --out mnist-run": MNIST,
    "cp": "copies pictures of the two runs above it, which were not made here",
    "pip": "installs packages; .ci/run installs the wheel with its extras",
    "npm": "downloads packages",
    "hf": "needs an account",
    "kvae report runs/first": "docs/tables.md reports a run of a table",
    "kvae push": "needs an account; tests/export/test_hub.py pushes to a double",
    "docker": "needs Docker",
    "export": "describes two machines",
    "python examples/beam_encode.py": "needs Beam; tests/export/test_beam.py runs it",
    "kvae explore": "serves until Ctrl-C; tests/export/test_explore.py runs it",
    "kvae train mnist --strategy multi_worker": (
        "needs two machines; tests/training/checkpoint/test_workers.py runs it on one"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _forked_checks() -> Iterator[None]:
    """Exports check their files without an import of TensorFlow for each."""
    with forked_checks():
        yield


def shell_lines(document: Path) -> list[str]:
    """The commands of a document's sh blocks, without comments, each on one line."""
    lines = []
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S):
        if block.startswith("#!"):
            continue  # a script to save, not lines to type
        waiting = ""
        for line in block.splitlines():
            waiting += line.removesuffix("\\") + " "
            try:
                words = shlex.split(waiting, comments=True)
            except ValueError:
                continue  # a quote is open
            if not line.endswith("\\"):
                lines += [shlex.join(words)] if words else []
                waiting = ""
        assert not waiting, f"{document.name}: unfinished line {waiting!r}"
    return lines


def reason_not_to_run(line: str) -> str | None:
    """Why a line is not run; the entry is a beginning of it."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


class Reader:
    """Types lines, in a folder for all documents.

    What a line made is kept. Another one that differs in --out alone gets a copy.
    """

    def __init__(self, folder: Path) -> None:
        self.kept = folder
        self.typed: set[str] = set()
        self.made: dict[str, Path] = {}

    def types(self, line: str) -> None:
        """Runs a command line of kvae in this process, once."""
        out = re.search(r" --out (\S+)", line)
        what = line.replace(out[0], "") if out else line
        if out:  # what a line makes is not there before
            remove(Path(out[1]))
        if out and what in self.made:
            copy(self.made[what], Path(out[1]))
        elif line not in self.typed:
            words = shlex.split(line)
            assert words[0] == "kvae", f"nothing runs {line!r}: list it, with why"
            assert kvae_cli.main.main(words[1:]) == 0, line
            self.typed.add(line)
            if out:
                self.made[what] = self.kept / str(len(self.made))
                copy(Path(out[1]), self.made[what])


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, to)
    else:
        shutil.copy(path, to)


def read_only(line: str) -> argparse.Namespace:
    """Reads a line of kvae as the command does, without running it."""
    arguments = parser().parse_args(shlex.split(line)[1:])
    recipe = getattr(arguments, "recipe", None)
    assert recipe is None or recipe in recipe_names()
    return arguments


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The reader of all documents."""
    return Reader(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, reader: Reader) -> Path:
    """What the documents take for granted: runs, pictures, arrays, a model file."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        reader.types(f"kvae train digits {QUICK} --out runs/mnist")
        half = "--epochs 1 --set encoder.filters=[4] --set encoder.units=[8]"
        reader.types(f"kvae train digits_half {half} --out runs/mnist_half")
    shutil.copytree(folder / "runs/mnist", folder / "runs/mnist-2")
    shutil.copy(folder / "runs/mnist/model.keras", folder / "model.keras")
    digits = rng.integers(0, 17, (60, 8, 8, 1)).astype("uint8")
    for name in ("more.npy", "new.npy", "x.npy", "folder/a.npy", "shards/train-0.npy"):
        (folder / name).parent.mkdir(exist_ok=True)
        np.save(folder / name, digits)
    windows = rng.normal(500, 2, (60, 16, 2)).astype("float32")
    np.save(folder / "windows.npy", windows)
    np.save(folder / "past.npy", windows[:3, :12])
    Image.fromarray(digits[0, ..., 0] * 15).save(folder / "image.png")
    rows = [f"{12 + i % 29 / 10},number {i % 3}" for i in range(99)]
    (folder / "wine.csv").write_text("\n".join(["alcohol,cultivar", *rows]))
    (folder / "holes.csv").write_text("alcohol,cultivar\n12.5,\n,number 1\n")
    (folder / "photos").mkdir()
    for k, pixels in enumerate(rng.integers(0, 256, (40, 8, 8, 3), "uint8")):
        Image.fromarray(pixels).save(folder / f"photos/{k}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines of all documents run."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_shell_lines_run_as_printed(
    document: Path,
    reader: Reader,
    inputs: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [line for line in shell_lines(document) if not reason_not_to_run(line)]
    if not lines:
        return
    for path in inputs.iterdir():  # as other documents left them
        shutil.rmtree(folder / path.name, ignore_errors=True)
    shutil.copytree(inputs, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    for line in lines:
        reader.types(INSTEAD.get(line, (line, ""))[0])


def test_lines_that_are_not_run_are_commands_all_the_same() -> None:
    lines = [line for document in DOCUMENTS for line in shell_lines(document)]
    for line in lines:
        typed = line.removeprefix("./run ")
        if typed.startswith("kvae "):
            read_only(typed)
    assert not set(INSTEAD) - set(lines), "no document prints these any more"
    unused = [s for s in NOT_RUN if not any(line.startswith(s) for line in lines)]
    assert not unused, "no document prints these any more"
    with pytest.raises(SystemExit):
        read_only("kvae train digits --epoch-s 3")
