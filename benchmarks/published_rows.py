"""The rows of the published tables of MNIST: the models, and what the papers say."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of a table.

    Attributes:
        published: its negative log-likelihood in the paper, nats; NaN if there is none.
        network: "one" or "two" stochastic layers of Burda et al., "normal" or "vamp".
        data: "dynamic" or "static" pixels.
        objective: "vae" or "iwae".
        samples: k.
        epochs: of training.
        batch: images per step.
        rate: the learning rate of the first step; a cosine takes it to nothing.
        start: row whose weights it starts from, trained first if it is not there.
        decay: of the matrices' weights, per step and rate.
        gradient: how that of an IWAE is estimated.
        kl: of a VAE, "exact" or "sampled".
    """

    published: float
    network: str
    data: str
    objective: str
    samples: int
    epochs: int
    batch: int = 300
    rate: float = 1e-2
    start: str | None = None
    decay: float = 0.1
    gradient: str = "plain"
    kl: str = "exact"


def _rows() -> dict[str, Row]:
    burda = {  # k = 1, VAE with 5 and 50, IWAE with 5 and 50
        ("one", "dynamic"): (86.76, 86.47, 86.35, 85.54, 84.78),
        ("one", "static"): (88.71, 88.83, 89.05, 87.63, 87.10),
        ("two", "dynamic"): (85.33, 85.01, 84.78, 83.89, 82.90),
    }
    rows = {}
    for (network, data), (first, vae5, vae50, iwae5, iwae50) in burda.items():
        name = f"{data}-{network}"
        one = f"{name}-1"
        kl = "exact" if network == "one" else "sampled"
        rows[one] = Row(first, network, data, "vae", 1, 300, kl=kl)
        for objective, five, fifty in (("iwae", iwae5, iwae50), ("vae", vae5, vae50)):
            next_ = f"{name}-{objective}-5"
            rows[next_] = Row(
                five, network, data, objective, 5, 40, 300, 2e-3, one, kl=kl
            )
            rows[f"{name}-{objective}-50"] = Row(
                fifty, network, data, objective, 50, 12, 150, 2e-3, next_, kl=kl
            )
    rows.update(_dynamic_one(rows))
    rows.update(_priors())
    # No paper's: how far two hours of two cores take us.
    five = "static-vamp-iwae-5"
    rows[five] = Row(
        math.nan, "vamp", "static", "iwae", 5, 40, 300, 2e-3, "static-vamp"
    )
    rows["static-own"] = dataclasses.replace(
        rows[five], samples=50, epochs=8, batch=150, start=five, gradient="dreg"
    )
    return rows


def _priors() -> dict[str, Row]:
    """N(0, I) and VampPrior, alike.

    Dynamic pixels continue with less decay, and with the KL in closed form if it has one.
    """
    rows = {}
    for data, normal, vamp in (("dynamic", 84.45, 82.43), ("static", math.nan, 85.57)):
        for network, published in (("normal", normal), ("vamp", vamp)):
            name = f"{data}-{network}"
            row = Row(published, network, data, "vae", 1, 100, 600, 7e-3, kl="sampled")
            if data == "static":
                rows[name] = row
                continue
            brief = f"{name}-brief"
            rows[brief] = dataclasses.replace(row, epochs=200)
            kl = "exact" if network == "normal" else "sampled"
            long = {"epochs": 300, "rate": 5e-3, "start": brief, "decay": 0.01}
            rows[name] = dataclasses.replace(row, kl=kl, **long)
    return rows


def _dynamic_one(rows: dict[str, Row]) -> dict[str, Row]:
    """Two chains: one without decay, as pixels drawn again do not need it.

    With it more latents wake up, which 50 samples make the most of: that row is trained
    with 5 samples for long, from a VAE that had decay.
    """
    name = "dynamic-one"
    brief, one, fifty = f"{name}-brief", f"{name}-1", f"{name}-iwae-50"
    awake, five = f"{name}-awake-1", f"{name}-awake-5"
    long = {"epochs": 450, "rate": 4e-3, "start": brief, "decay": 0.0}
    longer = {"epochs": 160, "rate": 5e-3, "start": awake, "decay": 0.03}
    last = {**longer, "epochs": 20, "rate": 3e-3, "start": five, "gradient": "dreg"}
    chains = {
        brief: dataclasses.replace(rows[one], decay=0.0),
        one: dataclasses.replace(rows[one], **long),
        awake: rows[one],
        five: dataclasses.replace(rows[f"{name}-iwae-5"], **longer),
        fifty: dataclasses.replace(rows[fifty], **last),
    }
    for row in (f"{name}-vae-5", f"{name}-vae-50", f"{name}-iwae-5"):
        chains[row] = dataclasses.replace(rows[row], decay=0.0)
    return chains


ROWS = _rows()


def epochs_of(row: Row) -> int:
    """Counts the epochs of a row and of those that it starts from."""
    return row.epochs + (0 if row.start is None else epochs_of(ROWS[row.start]))
