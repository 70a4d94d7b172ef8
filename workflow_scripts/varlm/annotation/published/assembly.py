"""Whether a table is of the reference's assembly: by the REF of its rows."""

from __future__ import annotations

from varlm.annotation.published.rows import Checked
from varlm.errors import UserError
from varlm.genome.reference import Genome
from varlm.run.score_tables import ScoreTable

# Fewer wrong REFs are counted, but are no sign, unless no REF is right.
MANY, ALL = 10, 3
_SHOWN = 20  # bases of a REF in a message


def foreign_contigs(checked: Checked, max_ref_mismatch: float) -> set[str]:
    """Return the contigs on which the table's rows are of another sequence.

    Mitochondrial genomes go by one name in assemblies that have different ones (hg19).
    """
    by_contig = checked.by_contig.items()
    return {
        contig for contig, (refs, wrong) in by_contig if _is_other(refs, wrong, max_ref_mismatch)
    }


def _is_other(refs: int, wrong: int, max_ref_mismatch: float) -> bool:
    return wrong > max_ref_mismatch * refs and (wrong >= MANY or (wrong == refs and wrong >= ALL))


def check_assembly(
    table: ScoreTable, checked: Checked, genome: Genome, max_ref_mismatch: float
) -> None:
    """Raise `UserError` if too many rows have a REF that the reference does not have there."""
    wrong, all_refs = checked.wrong, checked.refs
    if not _is_other(all_refs, wrong, max_ref_mismatch):
        return
    contig, pos, ref = checked.examples[0]
    there = _bases(genome, contig, pos, len(ref))
    shift = _better_shift(checked, genome)
    cause = (
        "The table is of another assembly: give the table for this reference, or raise "
        "normalise.max_ref_mismatch"
        if shift is None
        else f"They are right {'a base further on' if shift > 0 else 'a base before'}: set "
        f"annotate.scores.{table.name}.base to {0 if shift > 0 else 1}"
    )
    raise UserError(
        f"{table.path}: annotate.scores.{table.name}: {wrong} of {all_refs} rows "
        f"({100 * wrong / all_refs:.1f} %) at the cohort's alleles have a REF that the reference "
        f"does not have there, as at {contig}:{pos}: REF is {ref[:_SHOWN]!r}, expected "
        f"{there[:_SHOWN]!r}; at most {100 * max_ref_mismatch:g} % may. {cause}"
    )


def _better_shift(checked: Checked, genome: Genome) -> int | None:
    """Return 1 or −1 if most of the wrong REFs are right a base further on, or before."""
    examples = checked.examples
    for shift in (1, -1):
        right = sum(_bases(genome, c, pos + shift, len(ref)) == ref for c, pos, ref in examples)
        # By chance, a third are: the wrong base is not the one that is there.
        if right > 0.9 * len(examples):
            return shift
    return None


def _bases(genome: Genome, contig: str, pos: int, length: int) -> str:
    """Return bases of the reference from a 1-based position on."""
    sequence = genome.sequence(contig)
    return sequence[max(0, pos - 1) : max(0, pos - 1 + length)].tobytes().decode("ascii")
