"""What a cohort's user opens: TSV, annotated VCF, top hits, the summary."""
