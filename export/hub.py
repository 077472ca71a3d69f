"""Publishes a run or an export on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kvae.core.errors import UserError
from kvae.core.extras import require

_MARKS = ("export.json", "config.toml")  # of an export, of a run
_LEFT_OUT = ["checkpoints/*", "explore/*", "export/*", ".*", "**/.*"]


def push_to_hub(
    folder: Any,
    repo_id: str,
    *,
    private: bool = True,
    message: str | None = None,
) -> str:
    """Uploads a finished run or an export to a model repository of the Hugging Face Hub.

        kvae.export.push_to_hub("runs/digits", "your-name/digits")

    The folder's README.md is the model card. Checkpoints, the packages of `kvae explore`,
    an export inside a run, and hidden files stay here. A run's config.toml holds the path
    of its data. Log in once with `hf auth login`, or set HF_TOKEN.

    Args:
        folder: of `kvae train` or of `kvae.export.export`.
        repo_id: "user/name"; made if it doesn't exist.
        private: whether a new repository is visible to you only; an existing one keeps
            its setting.
        message: of the commit.

    Returns:
        url: of the repository.

    Raises:
        ImportError: if huggingface_hub is not installed.
        UserError: if the folder is not a finished run or an export, or the hub refuses.
    """
    path = Path(folder)
    if not any((path / name).is_file() for name in _MARKS):
        raise UserError(
            f"{path} is not a run or an export: it has neither "
            f"{' nor '.join(_MARKS)}. Give the --out folder of kvae train or kvae export."
        )
    if not (path / "README.md").is_file():
        raise UserError(
            f"{path} has no README.md, the model card, which is written when a run is "
            f"finished. To finish it: kvae train --resume {path}"
        )
    if not isinstance(repo_id, str) or repo_id.count("/") != 1:
        raise UserError(
            f'the repository must be "user/name", such as "ann/digits"; received '
            f"{repo_id!r}."
        )
    hub = require("huggingface_hub", "the Hugging Face Hub", "hub")
    api = hub.HfApi(library_name="kvae")
    try:
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            folder_path=path,
            commit_message=message or f"Upload {path.resolve().name} with kvae",
            ignore_patterns=_LEFT_OUT,
        )
    except (OSError, ValueError) as error:  # what its errors have in common
        raise UserError(
            f"the Hugging Face Hub did not take {repo_id}: {error} Are you logged in? "
            "Try: hf auth login"
        ) from error
    return str(url)
