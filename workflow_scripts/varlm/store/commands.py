"""Tools for the score store: list, verify and compact it, and carry it to another machine."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from varlm.errors import UserError, first_few
from varlm.genome.reference import Genome
from varlm.store.archive import export
from varlm.store.backgrounds import digests_of, export_backgrounds
from varlm.store.compaction import compact
from varlm.store.identity import names, one_model
from varlm.store.importing import import_archive
from varlm.store.listing import ContigFiles, Files, Model, describe
from varlm.store.repair import repair
from varlm.store.store import Store
from varlm.store.verification import Fault, abandoned, model_keys, sound_commits, verify

log = logging.getLogger("varlm")

_LARGEST = 10  # contigs that `ls` shows by themselves
_WHICH = "give the folder that the config key store names"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their options."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, *, with_key: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("store", type=Path, metavar="STORE", help="folder of the score store")
        if with_key:
            command.add_argument("--key", help="model key, or how it begins; all by default")
        return command

    ls = add("ls", "list the models and contigs that a store holds, how much of each and its size")
    ls.add_argument(
        "--reference", type=Path, help="a reference folder (results/reference), to name contigs"
    )
    ls.add_argument("--all", action="store_true", help="every contig, not only the ten largest")
    ls.add_argument("--json", action="store_true", help="for programs")
    check = add("verify", "check every file and row; exit status 1 if anything is wrong")
    check.add_argument(
        "--repair", action="store_true", help="set damaged files aside, list whole ones again"
    )
    add("compact", "merge the many small files that runs leave; runs may read meanwhile")
    out = add("export", "write a store, or some of it, as one archive for another machine")
    out.add_argument("archive", type=Path, metavar="ARCHIVE.tar", help="output")
    out.add_argument(
        "--contig",
        action="append",
        metavar="DIGEST",
        help="only this contig, or with --background this background; may be repeated",
    )
    out.add_argument(
        "--model", action="append", metavar="NAME", help="only this model; may be repeated"
    )
    out.add_argument(
        "--background",
        action="store_true",
        help="only the backgrounds, which percentiles rank among, and the scores of their sites",
    )
    out.add_argument(
        "--reference",
        type=Path,
        help="with --background: only those of this genome (results/reference)",
    )
    into = add("import", "add the rows of an archive that a store lacks", with_key=False)
    into.add_argument("archive", type=Path, metavar="ARCHIVE.tar", help="written by export")


def run(args: argparse.Namespace) -> int:
    """Run one subcommand; return the exit status."""
    try:
        status = _COMMANDS[args.command](args)
        sys.stdout.flush()
    except BrokenPipeError:  # `varlm store ls … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _open(args: argparse.Namespace) -> tuple[Store, list[str]]:
    """Return the store and the model keys that are meant."""
    if not args.store.is_dir():
        beside = args.store.absolute().parent
        commit_files = beside.glob("*/*/commits/*.json") if beside.is_dir() else ()
        stores = sorted({path.parents[2].name for path in commit_files})
        others = f"; {beside} has the stores {first_few(stores)}" if stores else ""
        raise UserError(f"{args.store}: no such folder{others}; {_WHICH}")
    store = Store(args.store)
    keys = model_keys(store)
    if not keys and args.command != "ls":
        raise UserError(f"{args.store}: no score store, or an empty one; {_WHICH}")
    if args.key is None:
        return store, keys
    meant = [args.key] if args.key in keys else [key for key in keys if key.startswith(args.key)]
    if len(meant) != 1:
        have = ", ".join(f"{key} ({_names(store, key)})" for key in meant or keys) or "no models"
        reason = "several models have keys that begin so" if meant else "no model has this key"
        raise UserError(f"{args.store}: --key {args.key}: {reason}; there are: {have}")
    return store, meant


def _names(store: Store, key: str) -> str:
    return ", ".join(names(commit.model for commit in sound_commits(store, key))) or "no name"


# ls


def _ls(args: argparse.Namespace) -> int:
    store, keys = _open(args)
    reference = None
    if args.reference is not None:
        reference = Genome.open(args.reference).contigs
    models = [describe(store, key, reference) for key in keys]
    if args.json:
        listing = {"store": str(args.store), "models": [asdict(model) for model in models]}
        print(json.dumps(listing, indent=2))
    elif not models:
        print(f"{args.store}: no scores")
    else:
        limit = None if args.all else _LARGEST
        print("\n\n".join("\n".join(_show_model(model, limit)) for model in models))
    return 0


def _show_model(model: Model, limit: int | None) -> list[str]:
    """Return the lines that tell of one model."""
    lines = [f"{', '.join(model.names) or '(no name)'}  key {model.key}"]
    settings = {name: value for name, value in model.settings.items() if name != "options"}
    settings |= model.settings.get("options", {})
    lines += [f"  {'  '.join(f'{name} {value}' for name, value in settings.items())}"]
    for source in model.sources:
        revision = f"  revision {source['revision']}" if source["revision"] else ""
        lines.append(f"  path {source['path']}{revision}")
    rows = [["contig", "name", "known", "sites", "alleles", "parts", "bytes"]]
    shown = model.contigs[:limit]
    rows += [[contig.contig, *_cells(contig, contig.share)] for contig in shown]
    rest = model.contigs[len(shown) :]
    if rest:
        rows.append([f"{len(rest)} more (--all)", *_cells(_sum(rest), None)])
    for digest, files in model.backgrounds.items():
        rows.append([digest, "(background)", "", f"{files.background:,}", "", *_size(files)])
    rows.append(["total", *_cells(model.total, model.share)])
    lines += [f"  {line}" for line in _table(rows)]
    if model.damaged:
        lines.append(f"  {len(model.damaged)} damaged files set aside in {model.key}/damaged")
    return lines


def _cells(files: Files, share: float | None) -> list[str]:
    name = ", ".join(files.names) if isinstance(files, ContigFiles) else ""
    known = "" if share is None else f"{100 * share:.2f} %"
    return [name, known, f"{files.sites:,}", f"{files.alleles:,}", *_size(files)]


def _size(files: Files) -> list[str]:
    return [f"{files.parts:,}", _bytes(files.bytes)]


def _sum(contigs: Sequence[ContigFiles]) -> Files:
    return Files(
        sites=sum(files.sites for files in contigs),
        alleles=sum(files.alleles for files in contigs),
        parts=sum(files.parts for files in contigs),
        bytes=sum(files.bytes for files in contigs),
    )


def _table(rows: list[list[str]]) -> list[str]:
    """Align columns, all but the first two to the right; those without a value are left out."""
    used = [n for n in range(len(rows[0])) if any(row[n] for row in rows[1:])]
    widths = {n: max(len(row[n]) for row in rows) for n in used}
    return [
        "  ".join(row[n].ljust(widths[n]) if n < 2 else row[n].rjust(widths[n]) for n in used)
        for row in rows
    ]


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


# verify


def _verify(args: argparse.Namespace) -> int:
    store, keys = _open(args)
    faults = _faults(store, keys)
    if faults and args.repair:
        _show(faults)
        _repair(store, keys)
        faults = _faults(store, keys)
        log.info("after the repair: %d faults", len(faults))
    _show(faults)
    if not faults:
        log.info("%s: all is well (%d models)", args.store, len(keys))
    return 1 if faults else 0


def _faults(store: Store, keys: list[str]) -> list[Fault]:
    faults = [fault for key in keys for fault in verify(store.root, key)]
    return faults + abandoned(store.root, keys)


def _show(faults: list[Fault]) -> None:
    for fault in faults:
        print(fault)


def _repair(store: Store, keys: list[str]) -> None:
    for key in keys:
        models = [commit.model for commit in sound_commits(Store(store.root), key)]
        done = repair(Store(store.root), key, one_model(models))
        log.info(
            "model %s: %d files set aside, %d listed again",
            key,
            len(done.damaged),
            len(done.recovered),
        )
    for fault in abandoned(store.root, keys):
        fault.path.unlink(missing_ok=True)
        log.info("%s: removed", fault.path)


# compact, export, import


def _compact(args: argparse.Namespace) -> int:
    store, keys = _open(args)
    for key in keys:
        done = compact(store, key)
        log.info(
            "model %s: %d parts before, %d after; %s before, %s after; %d commits before, %d after",
            key,
            *done.parts,
            *map(_bytes, done.bytes),
            *done.commits,
        )
    return 0


def _export(args: argparse.Namespace) -> int:
    store, keys = _open(args)
    keys = _named(store, keys, args.model)
    if args.contig:
        _check_contigs(args, store, keys)
    if args.background:
        done = export_backgrounds(store, args.archive, keys, _backgrounds(args, store, keys))
    elif args.reference is not None:
        raise UserError("--reference chooses backgrounds: give --background too, or leave it out")
    else:
        done = export(store, args.archive, keys, args.contig)
    log.info(
        "%s: %d models, %d parts, %d rows, %s",
        args.archive,
        done.models,
        done.parts,
        done.rows,
        _bytes(done.bytes),
    )
    return 0


def _named(store: Store, keys: list[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the keys of the models that runs called by these names; None: of all."""
    if not wanted:
        return keys
    called = {key: names(commit.model for commit in sound_commits(store, key)) for key in keys}
    known = {name for of_key in called.values() for name in of_key}
    for name in wanted:
        if name not in known:
            raise UserError(
                f"{store.root}: --model {name}: no model was called so; there are: "
                f"{first_few(sorted(known), 10) or 'none with a name'}"
            )
    return [key for key, of_key in called.items() if set(of_key) & set(wanted)]


def _check_contigs(args: argparse.Namespace, store: Store, keys: Sequence[str]) -> None:
    """Raise `UserError` where a contig, or background, is asked for that the models lack."""
    models = [describe(store, key) for key in keys]
    backgrounds = [digest for model in models for digest in model.backgrounds]
    largest = [contig.contig for model in models for contig in model.contigs]
    have = backgrounds if args.background else [*largest, *backgrounds]
    absent = sorted(set(args.contig) - set(have))
    if absent:
        what = "background" if args.background else "contig"
        raise UserError(
            f"{args.store}: no scores of {what} {first_few(absent)}; among those there are: "
            f"{first_few(dict.fromkeys(have), 10)} (varlm store ls --all shows every one)"
        )


def _backgrounds(args: argparse.Namespace, store: Store, keys: Sequence[str]) -> set[str] | None:
    """Return the digests of the backgrounds that are meant; None: all."""
    chosen = set(args.contig) if args.contig else None
    if args.reference is None:
        return chosen
    genome = Genome.open(args.reference).stored_as
    digests = {digest for key in keys for digest in digests_of(store, key, genome)}
    if not digests:
        raise UserError(
            f"{args.store}: no background of the genome {args.reference}; leave --reference out "
            "for those of every genome"
        )
    return digests if chosen is None else digests & chosen


def _import(args: argparse.Namespace) -> int:
    for done in import_archive(Store(args.store), args.archive):
        log.info(
            "model %s: %d rows added in %d parts, %d rows were there",
            done.key,
            done.rows,
            done.parts,
            done.known,
        )
    return 0


_COMMANDS = {
    "ls": _ls,
    "verify": _verify,
    "compact": _compact,
    "export": _export,
    "import": _import,
}
