"""The HTML report of a cohort: one file that opens offline, its figures, and MultiQC's content.

`page` (template, style sheet, scripts, Content-Security-Policy), `theme` and `figures` are shared
with the page that compares all cohorts.
"""
