"""Files that varlm ships, by names that hold in any working directory: `varlm:saccharomyces`.

`varlm:NAME` is a model of resources/models, `varlm:demo/FILE` a file of resources/demo. What ships
is what rules/package.txt lists, since an import from a git host or a web server has no folder to
look into.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from varlm.errors import UserError

SCHEME = "varlm:"
_RESOURCES = "resources/"
_MODELS = "models/"


class Shipped:
    """What varlm ships; `paths` is what was asked for by `varlm:NAME` → where that lies.

    Parameters
    ----------
    files : iterable of str
        Paths of files relative to the checkout; those below resources/ can be named.
    bring : callable
        Called with such paths, returns a folder in which all of them lie: the checkout, or one
        into which they were copied.
    """

    def __init__(self, files: Iterable[str], bring: Callable[[Sequence[str]], Path]):
        self._bring = bring
        self.paths: dict[str, str] = {}
        shipped = sorted(file for file in files if file.startswith(_RESOURCES))
        checkpoints = {file.rpartition("/")[0] for file in shipped if file.endswith("/config.json")}
        self._files: dict[str, list[str]] = {}
        self._places: dict[str, str] = {}
        for file in shipped:
            folder = file.rpartition("/")[0]
            place = folder if folder in checkpoints else file
            name = place.removeprefix(_RESOURCES).removeprefix(_MODELS)
            self._places[name] = place
            self._files.setdefault(name, []).append(file)

    @property
    def names(self) -> list[str]:
        """What can be named, without `varlm:`: models, then files by their paths."""
        return sorted(self._places, key=lambda name: ("/" in name, name))

    def path(self, value: str) -> str:
        """Return where `varlm:NAME` lies; another value as it is.

        The path is relative where it lies below the working directory: the demo's files then are
        the inputs that they were to a run in the checkout before they had such names.

        Raises
        ------
        UserError
            If varlm ships nothing of this name; all names that it has are listed.
        """
        if not value.startswith(SCHEME):
            return value
        name = value.removeprefix(SCHEME)
        if name not in self._places:
            close = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {SCHEME}{close[0]}? " if close else ""
            raise UserError(
                f"{value}: varlm ships nothing of this name; {hint}it ships "
                f"{', '.join(SCHEME + known for known in self.names)}"
            )
        path = self._bring(self._files[name]) / self._places[name]
        working = Path.cwd()
        path = path.relative_to(working) if path.is_relative_to(working) else path
        return self.paths.setdefault(value, str(path))


def copy(files: Sequence[str], read: Callable[[str], bytes], folder: Path) -> Path:
    """Copy files whole into `folder`, those that are there and differ; return the folder.

    A copy of the same bytes keeps its time, so that nothing is made anew of it.

    Parameters
    ----------
    files : sequence of str
        Relative paths.
    read : callable
        Path → content.
    folder : Path
    """
    for name in files:
        target, content = folder / name, read(name)
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(target)
    return folder
