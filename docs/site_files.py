"""A hook of MkDocs: in the site, files lie as they do in the repository.

Pages link to files outside docs/ (`../config/config.yaml`), as the repository's host shows them;
MkDocs knows those in docs/ only. So each page of docs/ gets its path in the repository, and the
files of `extra: repository` in mkdocs.yml join them. No link is rewritten, and one to a file that
the site lacks ends the strict build.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel


def on_files(files: Files, *, config: Any) -> Files:
    """Return the theme's files and the repository's."""
    root = Path(config.config_file_path).resolve().parent
    docs = Path(config.docs_dir)
    paths = [path for pattern in config.extra["repository"] for path in sorted(root.glob(pattern))]
    kept = []
    for file in files:
        if file.src_dir != config.docs_dir:
            kept.append(file)
        elif file.inclusion is not InclusionLevel.EXCLUDED:
            paths.append(docs / file.src_uri)
    made = [
        File(
            str(path.relative_to(root)),
            src_dir=str(root),
            dest_dir=config.site_dir,
            use_directory_urls=config.use_directory_urls,
            inclusion=InclusionLevel.INCLUDED,
        )
        for path in paths
    ]
    return Files([*kept, *made])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Part a list from the text above it, which the repository's host does by itself."""
    item = r"([-*]|\d+\.) "
    lines: list[str] = []
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.lstrip().startswith("```")
        above = lines[-1] if lines else ""
        text_above = re.match(r"[^\s#|>]", above) and not re.match(item, above)
        if not fenced and text_above and re.match(item, line):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"
