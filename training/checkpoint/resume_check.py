"""The facts of a fit that must not change if it is to resume bit for bit."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

from kvae.core.errors import UserError
from kvae.training.checkpoint.checkpoint_folder import Position
from kvae.training.config.config import differences

_LOG = logging.getLogger("kvae")


def fit_facts(model: Any) -> dict[str, Any]:
    """Reads them from a compiled model, for JSON."""
    return {
        "steps_per_execution": model.steps_per_execution,
        "jit_compile": bool(model.jit_compile),
        "precision": model.dtype_policy.name,
        "replicas": model.distribute_strategy.num_replicas_in_sync,
    }


def compare_owners(
    folder: pathlib.Path, before: dict[str, Any] | None, now: dict[str, Any] | None
) -> None:
    """Refuses the checkpoints of another run.

    Args:
        folder: that holds them.
        before: what decided the numbers of the run when they were saved; None if
            unknown.
        now: what decides them now.

    Raises:
        UserError: with the differences.
    """
    if before is None or now is None:
        return
    if changed := differences(before, now):
        raise UserError(
            f"the checkpoints in {folder} are of another run: {changed}. Remove the "
            "folder to start from the beginning, or change it back."
        )


def compare_fit_facts(model: Any, position: Position, before: dict[str, Any]) -> None:
    """Warns of facts that have changed since a checkpoint was made.

    Args:
        model: compiled.
        position: of the checkpoint.
        before: the facts that it holds.

    Raises:
        UserError: if steps are counted in another way, within an epoch.
    """
    for name, now in fit_facts(model).items():
        then = before.get(name, now)
        if now == then:
            continue
        if name == "steps_per_execution" and position.step:
            raise UserError(
                f"the checkpoint was made within an epoch with {name}={then}; resume "
                f"with the same value (received {now})."
            )
        _LOG.warning(
            "%s was %s and is now %s: the run resumes, but its numbers will differ.",
            name,
            then,
            now,
        )
