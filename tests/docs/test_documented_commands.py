"""Commands in README and docs name targets, steps, rules and options that exist."""

import itertools
import re
import shlex
import subprocess
import sys

import pytest

from varlm import cli

BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.M | re.S)
SPAN = re.compile(r"(?<!`)`((?:make|varlm|snakemake) [^`\n]+)`")
OPTION = re.compile(r"(?:^|(?<=[\s,\[|]))(--[a-z][a-z0-9-]*)")
# A rule after one of these, or after `--`, is a target; Snakemake takes files too.
RULES_FOLLOW = {"--", "--until", "--omit-from", "--forcerun", "--allowed-rules"}


def simple_commands(text):
    """The commands of a shell text as lists of words, without what joins them."""
    text = re.sub(r"(^|[ \t])#.*$", "", text.replace("\\\n", " "), flags=re.M)
    words = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t", True, ""
    command = []
    for word in [*words, "\n"]:
        if set(word) <= set("();|&\n"):
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):  # NAME=value before a command
            command.append(word)


def documented(root):
    """Every command of the pages: (page, words)."""
    folders = ("", "docs", "config", "benchmarks", "resources/demo", "resources/models/*")
    pages = [page for folder in folders for page in sorted(root.glob(f"{folder}/*.md".lstrip("/")))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for shell in (*BLOCK.findall(text), *SPAN.findall(text)):
            for words in simple_commands(shell):
                yield page.name, [words[0].rsplit("/", 1)[-1], *words[1:]]


@pytest.fixture(scope="module")
def commands(root):
    found = list(documented(root))

    def of(program):
        mine = [(page, words[1:]) for page, words in found if words[0] == program]
        assert len(mine) > 5, f"the pages call {program} nowhere, or are no longer understood"
        return mine

    return of


def test_shell_texts_are_understood():
    text = "cd a && A=1 make -C b \\\n  c  # varlm x\nvarlm store ls 'a b' | wc; x > y &\n"
    assert list(simple_commands(text)) == [
        ["cd", "a"],
        ["make", "-C", "b", "c"],
        ["varlm", "store", "ls", "a b"],
        ["wc"],
        ["x", ">", "y"],
    ]


def test_make_has_the_targets(root, commands):
    known = subprocess.run(
        ["make", "--print-data-base", "--dry-run", "--no-builtin-rules", "clean"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = re.sub(r"^# Not a target:\n.*$", "", known, flags=re.M)
    targets = set(re.findall(r"^([^\s:#%]+):(?!=)", known, re.M))
    assert {"demo", ".venv/.installed"} <= targets
    for page, words in commands("make"):
        if words[0] == "-C":
            words = words[2:]
        named = [word for word in words if "=" not in word]
        assert named, f"{page}: make {words}"
        assert set(named) <= targets, f"{page}: make {' '.join(words)}"


def test_varlm_has_the_steps_and_options(commands, capsys):
    for page, words in commands("varlm"):
        shown = f"{page}: varlm {' '.join(words)}"
        names = [word for word in words if not word.startswith("-")]
        if names:
            assert names[0] in {**cli.STEPS, **cli.TOOLS}, shown
        command = names[:2] if names[:1] == ["store"] else names[:1]
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--help"])
        assert ended.value.code == 0, shown  # 2 where store has no such command
        options = set(OPTION.findall(capsys.readouterr().out)) | {"--help"}
        assert set(OPTION.findall(" ".join(words))) <= options, shown


@pytest.fixture(scope="module")
def snakemake(root):
    """Run Snakemake and return what it printed."""

    def run(*arguments):
        command = [sys.executable, "-m", "snakemake", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    return run


def test_snakemake_has_the_options_and_rules(root, commands, snakemake):
    options = set(OPTION.findall(snakemake("--help"))) | {"--"}
    rules = set(snakemake("--list").split())
    assert {"all", "tables", "trained"} <= rules
    for page, words in commands("snakemake"):
        shown = f"{page}: snakemake {' '.join(words)}"
        assert {word for word in words if word.startswith("--")} <= options, shown
        for before, word in itertools.pairwise(words):
            if before in RULES_FOLLOW:
                assert word in rules or "/" in word, shown
            if before == "--workflow-profile":
                assert (root / "profiles" / word.rsplit("/", 1)[-1]).is_dir(), shown


def test_the_default_profile_is_taken_from_any_directory(root, tmp_path):
    """Documented commands do not name it: Snakemake finds it beside the Snakefile."""
    (tmp_path / "mine.yaml").write_text("{}\n")
    options = ["--snakefile", root / "Snakefile", "--configfile", "mine.yaml", "--cores", "1"]
    told = subprocess.run(
        [sys.executable, "-m", "snakemake", *options, "--dry-run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    assert f"Using workflow specific profile {root}/profiles/default" in told
