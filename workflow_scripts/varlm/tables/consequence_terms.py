"""Sequence Ontology terms and their impact, as plain data: a config may name them.

Order and impact are Ensembl VEP's
(https://www.ensembl.org/info/genome/variation/prediction/predicted_data.html), but for
`feature_elongation` and `feature_truncation`: bcftools csq gives them to every delins, inside
UTRs too, so they keep the lowest rank and the impact that VEP gave them until release 109.
"""

from __future__ import annotations

# Term → impact, the most severe first.
IMPACTS = {
    "splice_acceptor_variant": "HIGH",
    "splice_donor_variant": "HIGH",
    "stop_gained": "HIGH",
    "frameshift_variant": "HIGH",
    "stop_lost": "HIGH",
    "start_lost": "HIGH",
    "inframe_insertion": "MODERATE",
    "inframe_deletion": "MODERATE",
    "missense_variant": "MODERATE",
    "protein_altering_variant": "MODERATE",
    "splice_region_variant": "LOW",
    "start_retained_variant": "LOW",
    "stop_retained_variant": "LOW",
    "synonymous_variant": "LOW",
    "coding_sequence_variant": "MODIFIER",
    "5_prime_UTR_variant": "MODIFIER",
    "3_prime_UTR_variant": "MODIFIER",
    "non_coding_transcript_exon_variant": "MODIFIER",
    "intron_variant": "MODIFIER",
    "NMD_transcript_variant": "MODIFIER",
    "upstream_gene_variant": "MODIFIER",
    "downstream_gene_variant": "MODIFIER",
    "feature_elongation": "MODIFIER",
    "feature_truncation": "MODIFIER",
    "intergenic_variant": "MODIFIER",
}
