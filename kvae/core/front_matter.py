"""The first lines of a model card, which model hubs read."""

from __future__ import annotations

TAGS = ("kvae", "variational-autoencoder", "keras")


def front_matter(license: str | None = None) -> str:
    """Returns the metadata of a card.

    The library is kvae, not keras: a hub that reads "keras" shows `load_model("hf://...")`,
    which expects files of another layout.

    Args:
        license: of the weights, or None.
    """
    lines = ["library_name: kvae"]
    if license is not None:
        lines.append(f"license: {license.lower()}")
    lines += ["tags:", *(f"- {tag}" for tag in TAGS)]
    return "\n".join(["---", *lines, "---"])
