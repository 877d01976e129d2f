"""An edit's folder on the Hugging Face hub."""

from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from lib.core.errors import InputError

_OWN = [".*", ".*/**"]
"""What stays on this machine: the folder that the pipeline ran in, and earlier states."""


def pushed(folder: Path, repository: str, private: bool, token: str | None) -> str:
    """Upload a folder as one commit of a model repository, which is made where it is not there; its address.

    Raises InputError where the hub refuses.
    """
    hub = HfApi(token=token)
    try:
        hub.create_repo(repository, private=private, exist_ok=True)
        hub.upload_folder(
            repo_id=repository, folder_path=folder, ignore_patterns=_OWN, commit_message="An edit made with Errata"
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        raise InputError(
            f"{repository}: wanted a repository of the hub that you may write to; {error}. "
            "`hf auth login` stores a token"
        ) from error
    return f"{hub.endpoint}/{repository}"
