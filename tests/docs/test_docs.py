"""The docs say what the code does: generated pages are fresh, links lead somewhere."""

import importlib.util
import re

import pytest
import yaml

from varlm.cli import STEPS
from varlm.run.config import checked_config
from varlm.run.model_families import FAMILIES, OPTION_VALUES
from varlm.tables import schemas
from varlm.tables.score_kinds import SCORE_KINDS

LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")


@pytest.fixture(scope="module")
def generate():
    from conftest import ROOT

    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(generate, tmp_path, monkeypatch):
    """The generator, its pages in a folder of their own."""
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return generate


@pytest.mark.parametrize("name", ["config.md", "outputs.md"])
def test_generated_pages_are_fresh(root, generate, name):
    committed = (root / "docs" / name).read_text(encoding="utf-8")
    assert committed == generate.PAGES[name](), "run .venv/bin/python docs/generate.py"


def test_tables_of_the_models_page_are_fresh(generate):
    assert generate.main(["--check"]) == 0, "run .venv/bin/python docs/generate.py"


def test_a_stale_table_of_the_models_page_is_told_and_mended(copy, root, tmp_path, capsys):
    copy.main([])
    text = (root / "docs/models.md").read_text(encoding="utf-8")
    page = tmp_path / "docs/models.md"
    page.write_text(text.replace("| `gpn` | GPN |", "| `gpn` | NPG |"))
    assert copy.main(["--check"]) == 1
    assert "out of date: models.md" in capsys.readouterr().err
    assert copy.main([]) == 0
    assert page.read_text(encoding="utf-8") == text
    page.write_text(text.replace("<!-- kinds -->", ""))
    with pytest.raises(SystemExit, match=r"expected the lines <!-- kinds --> and"):
        copy.main([])


def test_the_configs_of_the_models_page_are_configs(root):
    """Each with `models`, completed where it needs no more than a genome and cohorts."""
    page = (root / "docs/models.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    needed = {"reference": {"fasta": "genome.fa"}, "cohorts": "cohorts.tsv"}
    shown = set()
    for block in blocks:
        written = yaml.safe_load(block.replace("<40 hex digits>", "a" * 40))
        config, errors = checked_config(
            needed | written, root / "config/schemas/config.schema.yaml"
        )
        assert not errors, block
        shown |= {model["family"] for model in config["models"].values()}
    trained = {"lstm", "gpt", "markov"}
    shown.discard(None)  # what ships says by itself what it is
    assert shown == set(FAMILIES) - trained - {"llama", "mistral"}  # as gpt2


def test_every_family_kind_and_option_is_on_the_models_page(root):
    page = (root / "docs/models.md").read_text(encoding="utf-8")
    for name in (*FAMILIES, *SCORE_KINDS, *OPTION_VALUES):
        assert f"| `{name}` | " in page
    for kind in SCORE_KINDS.values():
        assert f"| `{kind.name}` | `{kind.column}` | {kind.harmful} | " in page


def test_check_tells_a_stale_page_and_writes_nothing(copy, tmp_path, capsys):
    assert copy.main(["--check"]) == 1
    assert "config.md, outputs.md" in capsys.readouterr().err
    assert not list((tmp_path / "docs").iterdir())
    assert copy.main([]) == 0
    assert copy.main(["--check"]) == 0
    page = tmp_path / "docs/outputs.md"
    page.write_text(page.read_text() + "x")
    assert copy.main(["--check"]) == 1
    assert "out of date: outputs.md" in capsys.readouterr().err
    assert page.read_text().endswith("x")


def keys(spec, schema, path=""):
    """Every key of a config schema, with its description, by a walk of its own."""
    while "$ref" in spec:
        spec = {**schema["$defs"][spec["$ref"].split("/")[-1]], **spec, "$ref": ""}
        del spec["$ref"]
    if path:
        yield path, spec.get("description", "")
    for name, each in spec.get("properties", {}).items():
        yield from keys(each, schema, f"{path}.{name}" if path else name)
    if isinstance(spec.get("additionalProperties"), dict):
        yield from keys(spec["additionalProperties"], schema, f"{path}.NAME")


def test_every_config_key_is_described(root, generate):
    schema = yaml.safe_load((root / "config/schemas/config.schema.yaml").read_text())
    page = generate.config_page()
    found = dict(keys(schema, schema))
    assert len(found) > 40
    for path, description in found.items():
        assert f"`{path}`" in page or any(other.startswith(f"{path}.") for other in found), path
        shown = " ".join(description.split()).replace("|", "\\|").replace("<", "&lt;")
        assert shown in page, path
    named = set(re.findall(r"^\| `([A-Za-z_.]+)` \|", page, re.M))
    assert named <= found.keys()


def test_defaults_and_limits_of_some_keys(generate):
    rows = {
        line.split("|")[1].strip(" `"): line
        for line in generate.config_page().splitlines()
        if "|" in line
    }
    assert "| text | **required** |" in rows["reference.fasta"]
    assert "| integer, 16 to 1000000 or `null` | `null` |" in rows["scoring.window"]
    assert "| `both`, `forward`, `null` | `null` |" in rows["scoring.strands"]
    assert "| `auto` or integer, 1 to 65536 | `auto` |" in rows["scoring.batch_size"]
    assert "| number, 0 to 1 or `null` | `null` |" in rows["normalise.min_af"]
    assert "| text | **required** |" in rows["train.NAME.genomes.NAME.fasta"]
    assert "(auto\\|cpu\\|" in rows["scoring.device"]  # a bare bar would end the cell


def test_every_column_is_described(generate):
    page = generate.outputs_page()
    for each in (
        *schemas.annotated(["{model}"]).columns,
        *schemas.CONSEQUENCES.columns,
        *schemas.TRANSCRIPT_CONSEQUENCE,
        *schemas.REJECTED.columns,
        *schemas.BACKGROUND.columns,
        *schemas.VARIANTS.columns,
    ):
        assert f"| `{each.name}` | " in page
        assert each.meaning.split("<")[0] in page


def test_every_table_has_as_many_cells_in_each_row(generate):
    for make in generate.PAGES.values():
        widths = set()
        for line in make().splitlines():
            if line.startswith("|"):
                widths.add(len(re.findall(r"(?<!\\)\|", line)))
                assert len(widths) == 1, line
            else:
                widths = set()


def test_every_output_of_a_rule_is_listed(root, generate):
    listed = [
        path.replace("{figure}", "llr") for paths, _ in generate.FILES for path in paths.split(", ")
    ]
    text = "".join(path.read_text() for path in sorted((root / "rules").glob("*.smk")))
    outputs = re.findall(r"^    output:\n(.*?)^    \w+:", text, re.M | re.S)
    made = {
        re.sub(r"\{+(\w+)\}+", r"{\1}", path.replace("{INDEX}", "tbi"))
        for block in outputs
        for path in re.findall(r'f"\{RESULTS\}/([^"]+)"', block)
    }
    assert len(made) > 20
    folders = [path.removesuffix("/") for path in listed if path.endswith("/")]
    for path in made:
        last = path.rsplit("/", 1)[-1].replace("{figure}", "llr")
        known = any(entry == path or entry.rsplit("/", 1)[-1] == last for entry in listed)
        in_folder = any(path == folder or path.startswith(folder) for folder in folders)
        of_table = path.endswith((".sha256", ".{INDEX}"))
        tracks = path == "tracks/{model}"
        assert known or in_folder or of_table or tracks, path


def pages(root):
    beside = ("README.md", "CONTRIBUTING.md", "config/README.md", "benchmarks/README.md")
    return [*(root / name for name in beside), *sorted((root / "docs").glob("*.md"))]


def anchors(page):
    """The anchors that GitHub gives a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ +(.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def test_every_relative_link_leads_somewhere(root):
    links = 0
    for page in pages(root):
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.exists(), f"{page.name}: {target}"
            assert found.is_relative_to(root), f"{page.name}: {target} leaves the repository"
            if anchor and found.suffix == ".md":
                assert anchor in anchors(found), f"{page.name}: {target}"
            links += 1
    assert links > 10


def test_every_script_and_setting_that_a_page_names_exists(root):
    """`tests/x.py`, `run/y.py`: paths in the repository or in the package; NAME: of some name."""
    named = [
        (page, path)
        for page in pages(root)
        for path in re.findall(
            r"`(\w+(?:/\w+)+\.(?:py|smk|yaml))", page.read_text(encoding="utf-8")
        )
    ]
    assert len(named) > 10
    places = (root, root / "workflow_scripts/varlm")
    for page, path in named:
        assert any(any(place.glob(path.replace("NAME", "*"))) for place in places), (
            f"{page.name}: {path}"
        )


def test_generated_pages_say_so(root, generate):
    for name in generate.PAGES:
        assert (root / "docs" / name).read_text(encoding="utf-8").startswith(generate.NOTE)


def test_the_picture_of_the_flow_names_every_rule(root):
    flow = re.search(r"```mermaid\n(.*?)```", (root / "docs/flow.md").read_text(), re.S)[1]
    drawn = set(re.findall(r"[a-z_]{4,}", flow)) - {"flowchart"}
    assert drawn == set(STEPS)
