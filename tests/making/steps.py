"""The steps of a run, called in one process, by the commands that Snakemake gave them.

Snakemake is the subject of few tests; where it is not, starting it and a Python for each step takes
most of the time. The commands are read from a real run's output, so that nothing repeats the rules.
"""

import contextlib
import io
import json
import logging
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from varlm import cli

COMMAND = re.compile(r'^\s+python "\$VARLM" (?:supervise )?(.+?) 2>(\S+)\s*$', re.M)


@dataclass(frozen=True)
class Step:
    """A step's name, its arguments and where its log goes."""

    name: str
    arguments: list[str]
    log: str


@dataclass(frozen=True)
class Steps:
    """The steps of a run in their order; the paths are relative to a project's folder."""

    steps: list[Step]

    @classmethod
    def of_output(cls, output: str) -> "Steps":
        """Read what `snakemake --printshellcmds` printed."""
        steps = []
        for command, log in COMMAND.findall(output):
            name, *arguments = shlex.split(command)
            steps.append(Step(name, arguments, log))
        assert {"index_reference", "plan", "score", "commit", "export"} <= {s.name for s in steps}
        return cls(steps)

    def run(self, folder: Path) -> list[str]:
        """Run them all in `folder`; return the names of those that ran, each call once.

        Scores one shard for each that the plan made, in the order of the shards.
        """
        ran = []
        for step in self.steps:
            if step.name == "score":
                if "score" in ran:
                    continue
                plan = json.loads((folder / "results/plan/tiny/plan.json").read_text())
                for shard in range(plan["shards"]):
                    self.call(folder, of_shard(step, shard))
                    ran.append("score")
                continue
            self.call(folder, step)
            ran.append(step.name)
        return ran

    def refused(self, folder: Path, name: str) -> str:
        """Run the first step of that name, which must fail; return what it says."""
        step = next(step for step in self.steps if step.name == name)
        status, said = run_step(folder, step)
        assert status == 2, said
        return said

    def call(self, folder: Path, step: Step) -> None:
        """Run one step, which must succeed."""
        status, said = run_step(folder, step)
        assert status == 0, f"{step.name}: {said}"


def run_step(folder: Path, step: Step) -> tuple[int, str]:
    """Run a step in this process, with its log in its place; return its status and last words."""
    log = folder / step.log
    outputs = [folder / text for text in step.arguments if text.startswith("results/")]
    for path in [log, *outputs]:
        path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(log, mode="w", encoding="utf-8")
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    errors = io.StringIO()
    try:
        with contextlib.chdir(folder), contextlib.redirect_stderr(errors):
            status = cli.main([step.name, *step.arguments])
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    return status, errors.getvalue()


def of_shard(step: Step, number: int) -> Step:
    """Return the score step of a shard, given that of another."""

    def renumbered(text: str) -> str:
        text = re.sub(r"/shards/\d+\.parquet$", f"/shards/{number}.parquet", text)
        return re.sub(r"/scores/tiny/\d+/", f"/scores/tiny/{number}/", text)

    log = re.sub(r"/\d+\.log$", f"/{number}.log", step.log)
    return Step(step.name, [renumbered(text) for text in step.arguments], log)
