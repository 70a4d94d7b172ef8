"""PhyloGPN: one token a base, no special tokens around them, convolutions without padding.

Its tokeniser is a class of its authors with the ids in the code; files that say otherwise go first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from varlm.errors import UserError
from varlm.genome.bases import BASES
from varlm.models.checkpoint import read_object
from varlm.models.tokens import KmerTokeniser

FILES = ("tokenizer_config.json", "vocab.json")

_IDS = {"A": 0, "C": 1, "G": 2, "T": 3, "N": 4, "-": 5}  # of the authors' PhyloGPNTokenizer
_MOST = 1 << 16  # of any size: a mistyped one is an error, not a lack of memory


@dataclass(frozen=True, kw_only=True)
class Options:
    """What makes a PhyloGPN; the defaults are those of the published model (83 M parameters).

    Attributes
    ----------
    outer_dim, inner_dim : int
        Channels between the blocks and within them; even.
    kernel_size : int
        Odd.
    stack_size, num_stacks : int
        A stack's blocks have the dilations kernel_size^0, kernel_size^1, …
    """

    outer_dim: int = 960
    inner_dim: int = 480
    kernel_size: int = 5
    stack_size: int = 2
    num_stacks: int = 20

    @property
    def dilations(self) -> list[int]:
        """Of each block."""
        return [self.kernel_size**i for i in range(self.stack_size)] * self.num_stacks

    @property
    def halo(self) -> int:
        """Bases that are lost on each side of a window; 240 in the published model."""
        return sum(self.dilations) * (self.kernel_size - 1) // 2


def read_options(config: Mapping[str, Any]) -> Options:
    """Return the options of a config.json, checked.

    Raises
    ------
    ValueError
        If an option is no whole number from 1 up, or is even or odd where it cannot be.
    """
    sizes = {f.name: config[f.name] for f in fields(Options) if f.name in config}
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= _MOST:
            raise ValueError(f"{name} is {size!r}, expected a whole number from 1 to {_MOST}")
    options = Options(**sizes)
    if options.kernel_size % 2 == 0 or options.outer_dim % 2 or options.inner_dim % 2:
        raise ValueError(
            f"kernel_size is {options.kernel_size}, outer_dim {options.outer_dim} and inner_dim "
            f"{options.inner_dim}; expected an odd kernel and even numbers of channels"
        )
    if options.halo > _MOST:
        raise ValueError(
            f"kernel_size {options.kernel_size}, stack_size {options.stack_size} and num_stacks "
            f"{options.num_stacks} lose {options.halo} bp on each side, expected at most {_MOST}"
        )
    return options


def read_tokeniser(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, str]
) -> KmerTokeniser:
    """Return the ids of the nucleotides.

    Raises
    ------
    UserError
        If a file is not readable, or two of A, C, G, T, N and - share an id.
    """
    del config, options
    ids = {**_IDS, **_stored_ids(folder)}
    if sorted(ids.values()) != list(range(len(_IDS))):
        raise UserError(
            f"{folder}: the tokeniser's files give A, C, G, T, N and - the ids "
            f"{list(ids.values())}; expected each of 0 to {len(_IDS) - 1} once"
        )
    return KmerTokeniser(
        k=1,
        stride=1,
        ids={base: ids[base] for base in BASES},
        unknown=ids["N"],
        size=len(ids),
        pad=ids["-"],
    )


def _stored_ids(folder: Path) -> dict[str, int]:
    """Return the ids that files give to the letters, as far as any does."""
    vocabulary = read_object(folder / "vocab.json", needed=False)
    settings = read_object(folder / "tokenizer_config.json", needed=False)
    added = settings.get("added_tokens_decoder")
    for number, token in (added if isinstance(added, dict) else {}).items():
        content = token.get("content") if isinstance(token, dict) else None
        if content is not None and str(number).isdigit():
            vocabulary[content] = int(number)
    return {
        letter: vocabulary[letter] for letter in _IDS if isinstance(vocabulary.get(letter), int)
    }


def window_problem(window: int, config: Mapping[str, Any], tokeniser: KmerTokeniser) -> str | None:
    """Return why a window of so many bp cannot be scored, or None."""
    del tokeniser
    try:
        halo = read_options(config).halo
    except ValueError as error:
        return f"config.json does not describe a PhyloGPN ({error})"
    least = 2 * halo + 1
    if window < least:
        return (
            f"the model loses {halo} bp on each side (kernel_size, stack_size and num_stacks in "
            f"its config.json), so that it needs {least} bp: set it to {least}"
        )
    return None
