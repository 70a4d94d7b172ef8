"""What users' files hold that steps after the scoring would refuse, looked for before it."""
