"""A git host that has this checkout: what tests import and deploy the workflow from."""

import os
import subprocess


def package(root):
    """The files that a remote import may fetch: rules/package.txt."""
    lines = (root / "rules/package.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def sources(root):
    """The files that the workflow is made of, relative to the checkout."""
    found = [
        path
        for folder in ("workflow_scripts", "config", "profiles", "rules", "envs")
        for path in (root / folder).rglob("*")
        if path.is_file()
    ]
    names = [path.relative_to(root) for path in found]
    kept = [n for n in names if not any(p[0] == "." or p == "__pycache__" for p in n.parts)]
    shipped = [name for name in package(root) if name.startswith("resources/")]
    return ["LICENSE", "Snakefile", *sorted(map(str, kept)), *shipped]


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.autocrlf=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def make_repository(folder, root, *tags):
    """Make a repository of the checkout's files in its present state, with these tags."""
    for name in sources(root):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((root / name).read_bytes())
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    for tag in tags:
        git(folder, "tag", tag)
    return folder


def hosted_at(repository):
    """Environment in which git takes github.com and git.example.org from this repository."""
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.file://{repository.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/lab/",
        "GIT_CONFIG_KEY_1": f"url.file://{repository.parent}/.insteadOf",
        "GIT_CONFIG_VALUE_1": "https://git.example.org/group/",
        "PATH": os.environ["PATH"],
    }
