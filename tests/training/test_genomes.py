"""Reading genomes to train on: what is wrong is named by the training's own config keys."""

import pytest

from varlm.errors import UserError
from varlm.training.genomes import Source, read_genome


def test_messages_name_the_keys_of_the_training_not_the_reference_s(tmp_path):
    fasta, genes = tmp_path / "a.fa", tmp_path / "a.gff"
    with pytest.raises(UserError, match=r"a\.fa: cannot be read .*genomes\.sc\.fasta must name"):
        read_genome(Source("sc", fasta), 10)
    fasta.write_text(">chr1\nACGT\n")
    with pytest.raises(UserError, match=r"a\.gff: .*; genomes\.sc\.annotation must name a GFF3"):
        read_genome(Source("sc", fasta, genes), 10)
    genes.write_text("other\t.\tgene\t1\t3\t.\t+\t.\tID=a\n")
    with pytest.raises(UserError, match="name contigs as the FASTA does") as error:
        read_genome(Source("sc", fasta, genes), 10)
    assert "reference.aliases" not in str(error.value)
