"""The steps of the workflow: argv → library call. One module each, named like rule and log."""
