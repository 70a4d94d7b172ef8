"""The score store: site logits and allele scores that outlive runs.

Layout::

    {store}/{model key}/commits/{sha256}.json    which parts exist; together they are the manifest
    {store}/{model key}/{contig digest}/{sha256}.parquet    the parts, named by their content
    {store}/{model key}/packed/{sha256}.parquet    parts that hold rows of many small contigs
    {store}/{model key}/{background}/{sha256}.parquet       the scores that percentiles are ranks in
    {store}/{model key}/damaged/                 files that failed their checksum, set aside
    {store}/{model key}/lock                     held by a writer

A commit writes each part beside its place, syncs it, renames it to the name of its SHA-256 and
then does the same with one small commit file that lists the parts. A part that no commit lists
does not exist for a reader, so a crash at any instant leaves the old state or the new one, and
two writers never touch one file with different content. The protocol is the one that survived
random kills where plain writes did not (content-addressed objects, as in git and DVC). Every part
says in its own metadata what it is, so that lost commit files cost nothing: `repair` lists whole
parts again.

The contig digest, not the contig's name, is in the path: `chr1` and `1` share their rows.

Where a commit has rows of more than `layout.FEW` contigs with less than `layout.SMALL` rows each,
it packs them: the digest is a column then, and a contig's rows are one run of neighbouring rows,
which a reader finds by that column (`varlm.store.packed`). 50,000 sites on 100,000 scaffolds took
50,106 files and 406 MB with a part for each contig. A contig may have rows in both kinds of parts;
a compaction packs small contigs, and unpacks those that have grown. Commits that list packed parts
have layout 3, which an older varlm refuses; all others have layout 2 as before.

Writers take turns by a lock, so that the second of two runs that computed the same rows stores
none of them again, and a value that contradicts the stored one is an error. On a file system
without locks writing goes on without one: rows may then be there twice, which readers undo.
"""

from varlm.store.layout import ALLELE_KEY, ALLELE_SCHEMA, KINDS, SITE_KEY, SITE_SCHEMA, Commit, Part
from varlm.store.store import Store
from varlm.store.writing import CommitBuilder, Committed

__all__ = [
    "ALLELE_KEY",
    "ALLELE_SCHEMA",
    "KINDS",
    "SITE_KEY",
    "SITE_SCHEMA",
    "Commit",
    "CommitBuilder",
    "Committed",
    "Part",
    "Store",
]
