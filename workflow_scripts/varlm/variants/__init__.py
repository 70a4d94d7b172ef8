"""A cohort's alleles: accepted, normalised, rejected with a reason, counted."""
