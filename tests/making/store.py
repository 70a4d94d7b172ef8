"""Small score stores whose every value follows from its position."""

import numpy as np
import polars as pl

from varlm.store import ALLELE_SCHEMA, KINDS, SITE_SCHEMA, Store
from varlm.tables.schemas import BACKGROUND, LOGIT_COLUMNS

KEY = "key"
MODEL = {
    "name": "demo",
    "path": "owner/model",
    "revision": "a" * 40,
    "folder": "/home/someone/cache",
    "model_type": "GPN",
    "window": 128,
    "strands": "both",
    "precision": "float32",
    "key": KEY,
}


def site_rows(positions, shift=0.0):
    pos = np.array(sorted(positions), dtype=np.uint32)
    logits = {
        name: np.sin(pos * (n + 1.0)).astype("f4") + np.float32(shift)
        for n, name in enumerate(LOGIT_COLUMNS)
    }
    return pl.DataFrame({"pos": pos, **logits}, schema=SITE_SCHEMA)


def allele_rows(positions, shift=0.0):
    """Two insertions at each position, forward strand only."""
    return pl.DataFrame(
        [(p, "A", alt, p + shift, None) for p in sorted(positions) for alt in ("AC", "AT")],
        schema=ALLELE_SCHEMA,
        orient="row",
    )


def background_rows(positions):
    return pl.DataFrame(
        [("SQ.a", p, "A", alt, -1.0) for p in sorted(positions) for alt in "CGT"],
        schema=BACKGROUND.schema,
        orient="row",
    )


def make_store(folder, commits, key=KEY):
    """A store of small parts: one commit for each set of positions, sites and alleles of SQ.a."""
    store = Store(folder)
    for positions in commits:
        sites = [("SQ.a", site_rows(positions))]
        store.commit(key, {**MODEL, "key": key}, sites, [("SQ.a", allele_rows(positions))])
    return store


def add_unseen(store, positions, shift=0.0, key=KEY):
    """List a part of sites without a look at what is there, as a run without locks may."""
    return add_part(store, KINDS["sites"], "SQ.a", site_rows(positions, shift), key)


def add_part(store, kind, contig, rows, key=KEY):
    """List rows as a part, likewise."""
    with store.committing(key, {**MODEL, "key": key}) as commit:
        return commit.write(contig, kind, rows)


def list_parts(store, parts, key=KEY):
    """Write a commit that says this of some parts, right or wrong; return its path."""
    model = {**MODEL, "key": key}
    with store.committing(key, model) as commit:
        return commit.replace(model, parts, [])


def all_rows(folder):
    """(key, kind, contig) → rows, read anew."""
    store = Store(folder)
    keys = store.keys()
    return {
        (key, part.kind, part.contig): store.read(key, KINDS[part.kind], part.contig, 0)
        for key in keys
        for part in store.parts(key)
    }


def same_rows(one, other):
    return one.keys() == other.keys() and all(one[name].equals(other[name]) for name in one)


def files(folder):
    """Path → bytes of every file but locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }
