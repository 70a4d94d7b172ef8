"""The cases of the parity test: checkpoints, a genome and sites, and the oracle's answers.

The oracle is `python -m gpn.ss.run_vep`; `tests/data/parity/regenerate.py` stores its answers.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np

import making.toy_models as toy_models

FOLDER = Path(__file__).resolve().parents[1] / "data" / "parity"
EXPECTED = FOLDER / "expected.json"
WINDOWS = (64, 63)  # even and odd
ARCHITECTURES = tuple(toy_models.CONFIGS)


def genome() -> dict[str, str]:
    """Contigs as a user's FASTA has them: lower case, N runs, other IUPAC codes, a short one."""
    rng = np.random.default_rng(20)
    long = rng.choice(list("ACGT"), 700)
    long[250:262] = "N"
    long[300] = "N"
    long[320:324] = list("RYKM")
    text = "".join(long)
    text = text[:400] + text[400:520].lower() + text[520:]
    return {"long": text, "short": "".join(rng.choice(list("ACGTacgt"), 30))}


def sites() -> list[tuple[str, int, str, str]]:
    """(contig, 1-based position, REF, ALT): ends, beside N runs, in lower case, anywhere."""
    wanted = {
        "long": [
            *(1, 2, 31, 32, 33, 100, 200, 249, 250, 263, 300, 302, 319, 325, 401),
            *(450, 520, 521, 640, 668, 669, 670, 699, 700),
        ],
        "short": [1, 15, 30],
    }
    rng = np.random.default_rng(21)
    found = []
    for contig, positions in wanted.items():
        for position in positions:
            ref = genome()[contig][position - 1].upper()
            alt = rng.choice([base for base in "ACGT" if base != ref])
            found.append((contig, position, ref, str(alt)))
    return found


def checkpoint(folder: Path, architecture: str) -> Path:
    """Write the seeded checkpoint of an architecture."""
    return toy_models.make_checkpoint(
        folder / architecture, toy_models.CONFIGS[architecture], seed=22
    )


def peer_python() -> Path | None:
    """A Python with `gpn[inference]`: VARLM_PEER_PYTHON, or .venv-peer beside the tests."""
    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("VARLM_PEER_PYTHON", root / ".venv-peer" / "bin" / "python"))
    return path if path.exists() else None


def run_peer(python: Path, folder: Path) -> dict[str, list[float]]:
    """Score all cases with `gpn.ss.run_vep`: 'architecture/window' → LLR of each site."""
    fasta, table = folder / "genome.fa", folder / "variants.tsv"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in genome().items()))
    rows = ["\t".join(map(str, site)) for site in sites()]
    table.write_text("\n".join(["chrom\tpos\tref\talt", *rows]) + "\n")
    runs = {
        f"{architecture}/{window}": [
            str(table),
            str(fasta),
            str(window),
            str(checkpoint(folder, architecture)),
            str(folder / f"{architecture}-{window}.parquet"),
            "--is_file",
        ]
        for architecture in ARCHITECTURES
        for window in WINDOWS
    }
    (folder / "runs.json").write_text(json.dumps(list(runs.values())))
    done = subprocess.run(
        [python, FOLDER / "run_vep_cpu.py", folder / "runs.json"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    import polars as pl

    return {name: pl.read_parquet(argv[4])["score"].to_list() for name, argv in runs.items()}
