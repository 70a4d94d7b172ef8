"""What the Snakemake workflow catalog asks of a repository with standardised usage."""

import re
import shlex

import yaml


def test_the_catalog_file_has_the_fields_that_the_catalog_reads(root):
    settings = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())
    assert settings.keys() == {"usage"}
    usage = settings["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    flags = usage["mandatory-flags"]
    assert flags.keys() == {"desc", "flags"}
    assert isinstance(flags["desc"], str)
    assert all(isinstance(flag, str) and shlex.split(flag) for flag in flags["flags"])
    assert usage["software-stack-deployment"] == {"conda": True}
    assert usage["report"] is True


def test_what_the_catalog_promises_is_there(root):
    """`conda` needs an environment for every rule that runs something; `report` needs items."""
    rules = "".join(path.read_text() for path in (root / "rules").glob("*.smk"))
    environments = re.findall(r'^    conda:\n        "\.\./(envs/\w+\.yaml)"$', rules, re.M)
    assert 0 < len(environments) == len(re.findall(r"^    shell:$", rules, re.M))
    assert all((root / each).is_file() for each in environments)
    assert re.search(r"\breport\(", rules)


def test_the_repository_has_the_layout_of_the_catalog(root):
    assert (root / "Snakefile").is_file()
    assert not (root / "workflow").exists()  # the catalog would look for the Snakefile there
    assert list((root / "rules").glob("*.smk"))
    readme = (root / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme  # by these two words the catalog finds repositories
    assert "workflow" in readme
    assert (root / "config/config.yaml").is_file()


def test_config_readme_names_every_top_level_key_and_column(root):
    text = (root / "config/README.md").read_text(encoding="utf-8")
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    keys = list(schema["properties"])
    assert sorted(rows[-len(keys) :]) == sorted(keys)
    assert rows[: -len(keys)] == ["cohort", "vcf", "records", "sha256", "labels"]
    assert text.startswith("# ")
    assert "](../docs/config.md)" in text
    for required in schema["required"]:
        assert f"`{required}" in text.split("## The config", 1)[1].split("```yaml")[0]
