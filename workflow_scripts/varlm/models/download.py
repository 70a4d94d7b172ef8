"""A checkpoint's folder: where it is on this machine, or downloaded from the hub."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from varlm.errors import UserError
from varlm.files.whole import sha256
from varlm.models.checkpoint import read_config, weight_files
from varlm.run.checkpoint_folders import COMMIT, CORRUPTION, HUB_ID, TOKENISER

_DESCRIPTION = ("config.json", *TOKENISER)


def resolve(path: str, revision: str | None = None, cache_dir: Path | None = None) -> Path:
    """Return the checkpoint's folder: a local one, or a snapshot of a hub id.

    The only function of varlm that uses the network, and only where the snapshot is not in the
    cache yet. All that comes later gets the folder.

    Parameters
    ----------
    path : str
        A folder, or `owner/name` on the Hugging Face hub.
    revision : str, optional
        The commit of a hub id, 40 hexadecimal digits. A branch or a tag can move under a run.
    cache_dir : Path, optional
        Where snapshots are kept; the hub's own cache by default (HF_HOME). A snapshot that is
        there is used without asking the network.

    Raises
    ------
    UserError
        If there is no such folder, the revision is not a commit, the download fails, or a file of
        the cache is not the one that the hub named.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists() or not HUB_ID.fullmatch(path):
        raise UserError(
            f"{path}: no such folder, and not a hub id (owner/name); models.<name>.path must be "
            "one of the two"
        )
    if revision is None or not COMMIT.fullmatch(revision):
        raise UserError(
            f"{path}: revision is {revision!r}; a model from the hub needs "
            "models.<name>.revision, the 40 hexadecimal digits of a commit (a branch can move). "
            f"If {path} is meant to be a local folder, it does not exist"
        )
    folder = _cached(path, revision, cache_dir) or _downloaded(path, revision, cache_dir)
    for file in sorted(folder.iterdir()):
        _check_blob(file)
    return folder


def _cached(path: str, revision: str, cache_dir: Path | None) -> Path | None:
    """Return the snapshot that is in the cache, if all of it is; no network."""
    from huggingface_hub import errors, snapshot_download

    try:
        folder = Path(
            snapshot_download(
                path,
                revision=revision,
                cache_dir=cache_dir,
                allow_patterns=[*_DESCRIPTION],
                local_files_only=True,
            )
        )
        read_config(folder)
        weight_files(folder)
    except (errors.LocalEntryNotFoundError, UserError):
        return None
    return folder if any((folder / name).is_file() for name in TOKENISER) else None


def _downloaded(path: str, revision: str, cache_dir: Path | None) -> Path:
    """Download what the cache lacks of a snapshot: safetensors, or pickles where there are none."""
    import httpx2
    from huggingface_hub import errors, snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    what = f"{path} at revision {revision}"

    def fetch(*patterns: str) -> Path:
        return Path(
            snapshot_download(
                path, revision=revision, cache_dir=cache_dir, allow_patterns=[*patterns]
            )
        )

    try:
        folder = fetch(*_DESCRIPTION, CORRUPTION, "*.safetensors", "model.safetensors.index.json")
        try:
            weight_files(folder)
        except UserError:
            folder = fetch("pytorch_model*.bin", "pytorch_model.bin.index.json")
    except errors.RevisionNotFoundError as error:
        raise UserError(
            f"{what}: the hub has no such commit; take one of those that its page lists under "
            "Files, History"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{what}: the hub has no such repository, or none that you may see ({_first(error)}); "
            "check the name, and for a private or gated one log in (hf auth login, or HF_TOKEN)"
        ) from error
    except (httpx2.HTTPError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.filename is not None:  # the disk's, not the hub's
            raise UserError(
                f"{what}: the hub's cache cannot be written ({error.filename}: {error.strerror}); "
                "set HF_HOME to a folder that can be"
            ) from error
        raise UserError(
            f"{what}: not in the cache, and the download failed ({_first(error)}); run again where "
            "there is a network (files that are whole are not downloaded again), or download it on "
            "another machine and give its folder as models.<name>.path"
        ) from error
    return folder


def _first(error: Exception) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _check_blob(file: Path) -> None:
    """Check a file of the hub's cache against the digest that the hub gave, its blob's name.

    Large files have their SHA-256 there, small ones git's SHA-1 of a blob (huggingface_hub,
    "Understand caching"). A file that is no link into blobs/ has no such name.
    """
    blob = file.resolve()
    if blob.parent.name != "blobs" or not blob.is_file():
        return
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        digest = sha256(blob)
    elif re.fullmatch(r"[0-9a-f]{40}", blob.name):
        content = blob.read_bytes()
        digest = hashlib.sha1(
            b"blob %d\0" % len(content) + content, usedforsecurity=False
        ).hexdigest()
    else:
        return
    if digest != blob.name:
        raise UserError(
            f"{blob}: the file {file.name} of the hub's cache is damaged: its digest is "
            f"{digest[:16]}…, the hub's {blob.name[:16]}…; delete it and run again, and it is "
            "downloaded anew"
        )
