"""The HTML report of a cohort: one file that opens offline, its figures, and MultiQC's content.

`reading` opens the files, `counts` counts the annotated table, and `cohort` makes the report:
`ReportPage` holds what the template shows, and each of its sections is built by a module of its own
(`overview`, `facts`, `model_facts`, `accounting`, `scores`, `evaluation`, `hits`, `pictures`).
`comparison` makes the page of all cohorts; `page` (template, style sheet, scripts,
Content-Security-Policy) and `charts` serve both.
"""
