"""The command line: one subcommand a step, and tools; only what is called is imported."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import resource
import sys
import time
from collections.abc import Mapping, Sequence

from varlm import __version__
from varlm.errors import UserError
from varlm.run import environment
from varlm.run.signals import Stopped, stop_in_good_order
from varlm.run.step_warnings import StepFormatter

# Step → what it does, in flow order. Each is `varlm.steps.<step>` and the rule of that name.
STEPS = {
    "index_reference": "FASTA → encoded genome, contig lengths and sequence digests",
    "find_circular": "the annotation or the config → which contigs are circular",
    "normalise": "a cohort's VCF files → accepted alleles and rejected alleles with reasons",
    "saturate": "regions, contigs or the genome → every possible SNV there, or at random sites",
    "check_inputs": "files that steps after the scoring read → what is wrong with them, at once",
    "prepare_model": "checkpoint folder or hub id → its files' digests and its key in the store",
    "plan": "all cohorts' alleles → shards of what the store does not hold yet",
    "score": "a shard → site logits and allele log-likelihood ratios",
    "commit": "the scores of all shards → the store, every planned row exactly once",
    "measure_dense": "random sites scored densely and masked → how well one stands for the other",
    "calibrate": "random sites of the genome in the store → the background of percentiles",
    "index_annotation": "GFF3 or GTF → gene models, as the caller of consequences reads them",
    "call_consequences": "a cohort's alleles and the gene models → consequences on each transcript",
    "carry_info": "a cohort's VCF files → chosen INFO fields of each allele",
    "join_scores": "a cohort's alleles and a table of published scores → its columns",
    "rank_scores": "random sites of the genome in a table of scores → background of percentiles",
    "annotate": "a cohort's alleles, the store, consequences, tracks → the annotated table",
    "export": "the annotated table → TSV and the cohort's own VCF with scores in INFO",
    "export_regions": "the annotated table of the regions → TSV",
    "draw_tracks": "sites and the store → bigWig tracks of a model",
    "bundle_scripts": "the scripts that draw the figures of the reports",
    "build_hub": "the tracks → a folder that UCSC, IGV and JBrowse open",
    "evaluate": "the annotated table and labels → metrics of each score, with intervals",
    "embed": "labelled sequences, intervals or variants → embeddings of a model, for probes",
    "score_pictures": "the sites around a cohort's top hits → their logits, for its report",
    "report": "a cohort's tables → report.html, figures, a file for MultiQC",
    "compare_cohorts": "all cohorts' reports → index.html",
    "prepare_training": "genomes and annotations → bases, region classes and windows to train on",
    "train": "windows → a checkpoint that the same workflow loads, and its learning curve",
    "measure_perplexity": "checkpoints, held-out contigs → how well bases and mutations are told",
    "measure_elements": "models, elements, motifs → how often they are likelier than shuffled",
    "describe_training": "learning curve and perplexities → the model card and a picture",
    "probe": "embeddings → what they predict of a label, beside what the sequence alone does",
    "describe_probe": "predictions of probes → metrics with intervals, a figure, a page",
    "summarise": "the accounting of all cohorts → summary.tsv",
}

# Command → what it does, beside the steps.
TOOLS = {
    "store": "ls, verify, compact, export or import a score store (varlm store --help)",
    "import_ngram": "counts of n-grams → a checkpoint of a Markov chain that scores as they do",
    "supervise": "run a step in a child that is watched, and once more if it crashes or hangs",
}
_TOOL_MODULES = {
    "store": "varlm.store.commands",
    "import_ngram": "varlm.training.importing",
    "supervise": "varlm.supervise",
}

# A full disk, a read-only or missing place, a quota: the user's to mend, no traceback.
_ENVIRONMENT = {
    errno.ENOSPC: "free some space, or put results and store on another disk",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EROFS: "the file system is read-only: choose another place for results and store",
    errno.EACCES: "check the permissions of that path",
    errno.EPERM: "check the permissions of that path",
    errno.EIO: "the disk reported an input/output error: check it, then run again",
    errno.ENOENT: "check the path",
    errno.EFBIG: "a file-size limit (ulimit -f) was reached",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step or tool; return the exit status.

    0: done; 1: done, and the tool found something wrong; 2: an error that the user can mend;
    128 + n: stopped by signal n, or since the process that started it ended.

    Parameters
    ----------
    argv : sequence of str, optional
        Without it the program's own, and signals are listened to.
    """
    return program(sys.argv[1:]) if argv is None else _main(list(argv))


def program(argv: Sequence[str]) -> int:
    """Do as `main` does, as a process of its own, which listens to signals."""
    try:
        if argv[:1] != ["supervise"]:  # which forks first, while there is but one thread
            stop_in_good_order()
        return _main(list(argv))
    except Stopped as stopped:
        print(f"error: {stopped.why}", file=sys.stderr)
        return stopped.status


def _main(arguments: list[str]) -> int:
    top = argparse.ArgumentParser(
        prog="varlm",
        description="The steps of the varlm workflow; the Snakefile calls them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["steps:", *_lines(STEPS), "", "tools:", *_lines(TOOLS)]),
    )
    top.add_argument("--version", action="version", version=f"varlm {__version__}")
    top.add_argument(
        "step", choices=[*STEPS, *TOOLS], metavar="STEP", help="one of the steps or tools below"
    )
    step = top.parse_args(arguments[:1]).step

    name = _TOOL_MODULES.get(step, f"varlm.steps.{step}")
    module = importlib.import_module(name)
    parser = argparse.ArgumentParser(prog=f"varlm {step}", description=module.__doc__)
    module.add_arguments(parser)
    args = parser.parse_args(arguments[1:])
    _log_to_stderr()
    started = time.monotonic()
    try:
        status: int | None = module.run(args)
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        remedy = _ENVIRONMENT.get(error.errno or 0)
        if remedy is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror} (step {step}); {remedy}")
    except MemoryError:
        return _fail(
            f"out of memory in the step {step}; give the job more memory, or lower "
            "scoring.batch_size and shards.sites_per_shard"
        )
    if step != "supervise":  # the step has said so itself
        seconds = time.monotonic() - started
        logging.getLogger("varlm").info(
            "%s finished in %.1f s, peak memory %.0f MB", step, seconds, _peak_mb()
        )
    return status or 0


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(StepFormatter())
    logging.basicConfig(handlers=[handler], level=environment.log_level())


def _lines(commands: Mapping[str, str]) -> list[str]:
    return [f"  {name:<16} {text}" for name, text in commands.items()]


def _peak_mb() -> float:
    """Peak resident memory of this process or its largest child, MB."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(whose).ru_maxrss for whose in who)
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kilobytes elsewhere


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
