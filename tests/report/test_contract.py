"""Templates and the dataclasses that they show: each name used is a field, each field is used."""

import dataclasses
import typing
from types import NoneType, UnionType

import pytest
from jinja2 import meta, nodes

from varlm.figures.files import FIGURES
from varlm.report import page
from varlm.report.charts.chart import Chart, PageChart
from varlm.report.cohort import ReportPage
from varlm.report.comparison import IndexPage
from varlm.report.probes import ProbePage
from varlm.report.scores import CohortCharts

PAGES = {
    "report.html.j2": ReportPage,
    "index.html.j2": IndexPage,
    "probe.html.j2": ProbePage,
}
# What `page.render` adds to a page's own names.
RENDERED = {"data", "policy", "scripts", "styles"}
# What charts are drawn from; the template shows the rest of them.
DRAWN = {(Chart, name) for name in ("rows", "draw", "models", "parts")}
DRAWN |= {(PageChart, "specification")}


def parsed(name):
    templates = page.environment()
    return templates.parse(templates.loader.get_source(templates, name)[0])


def parts(kind, within=frozenset()):
    """Return the dataclasses within a type; a chart may have charts for its parts."""
    if dataclasses.is_dataclass(kind):
        if kind in within:
            return set()
        hints = typing.get_type_hints(kind)
        inside = (parts(hints[field.name], within | {kind}) for field in dataclasses.fields(kind))
        return {kind}.union(*inside)
    return set().union(*(parts(argument, within) for argument in typing.get_args(kind)))


class Reader:
    """Walks a template with the types of its names; notes the fields that it asks for.

    A type is a dataclass, a list of one, or anything else, of which nothing is known.
    """

    def __init__(self, template, contents):
        self.used = set()
        self.macros = {}
        hints = typing.get_type_hints(contents)
        self.names = {field.name: hints[field.name] for field in dataclasses.fields(contents)}
        self.contents = contents
        tree = parsed(template)
        for source in [parsed("macros.html.j2"), tree]:
            self.macros |= {macro.name: macro for macro in source.find_all(nodes.Macro)}
        self.walk(tree, self.names)

    def walk(self, node, scope):
        if isinstance(node, nodes.Macro):
            return  # read where it is called, its arguments known
        if isinstance(node, nodes.For):
            kinds = self.kind(node.iter, scope)
            inside = dict(scope, loop=None)
            for target in node.target.find_all(nodes.Name):
                inside[target.name] = None
            if isinstance(node.target, nodes.Name):
                (inside[node.target.name],) = typing.get_args(kinds)[:1] or (None,)
            for child in [*node.body, *node.else_]:
                self.walk(child, inside)
            return
        if isinstance(node, nodes.Expr):
            self.kind(node, scope)
            return
        for child in node.iter_child_nodes():
            self.walk(child, scope)

    def kind(self, node, scope):
        """Return the type of an expression; None: nothing is known of it."""
        if isinstance(node, nodes.Name):
            if scope is self.names or node.name in self.names:
                self.used.add((self.contents, node.name))
            return scope.get(node.name)
        if isinstance(node, nodes.Getattr):
            return self.attribute(self.kind(node.node, scope), node.attr)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            macro = self.macros.get(node.node.name)
            arguments = [self.kind(argument, scope) for argument in node.args]
            if macro is not None:
                names = [argument.name for argument in macro.args]
                known = dict(zip(names, arguments, strict=False))
                for child in macro.body:
                    self.walk(child, {**self.names, **dict.fromkeys(names), **known})
            return None
        if isinstance(node, nodes.Filter) and node.name == "map":
            (kind,) = typing.get_args(self.kind(node.node, scope))
            for keyword in node.kwargs:
                self.attribute(kind, keyword.value.as_const())
            return None
        for child in node.iter_child_nodes():
            self.kind(child, scope)
        return None

    def attribute(self, kind, name):
        if typing.get_origin(kind) in (UnionType, typing.Union):
            (kind,) = set(typing.get_args(kind)) - {NoneType}
        if not dataclasses.is_dataclass(kind):
            return None
        hints = typing.get_type_hints(kind)
        assert name in hints, f"{kind.__name__} has no {name}"
        self.used.add((kind, name))
        return hints[name]


@pytest.mark.parametrize(("template", "contents"), PAGES.items())
def test_the_names_of_a_template_are_the_fields_of_its_page(template, contents):
    asked_for = set()
    for name in (template, "base.html.j2"):
        tree = parsed(name)
        asked_for |= meta.find_undeclared_variables(tree)
        # Jinja2 takes the macros of a file for undeclared inside its blocks.
        asked_for -= {macro.name for macro in tree.find_all(nodes.Macro)}
        for line in tree.find_all(nodes.FromImport):
            asked_for -= {name if isinstance(name, str) else name[1] for name in line.names}
    fields = {field.name for field in dataclasses.fields(contents)}
    assert asked_for - RENDERED == fields


@pytest.mark.parametrize(("template", "contents"), PAGES.items())
def test_a_template_uses_each_field_and_no_other(template, contents):
    used = Reader(template, contents).used
    there = {(part, field.name) for part in parts(contents) for field in dataclasses.fields(part)}
    unused = there - used - DRAWN - {(contents, "title")}  # which base.html.j2 shows
    assert not unused, {f"{part.__name__}.{name}" for part, name in unused}


def test_an_attribute_that_no_dataclass_has_is_seen(monkeypatch, tmp_path):
    text = "{% for row in rows %}{% for cell in row.models %}{{ cell.none_such }}{% endfor %}"
    text += "{% endfor %}"
    templates = page.environment()
    tree = templates.parse(text)
    monkeypatch.setitem(globals(), "parsed", lambda _: tree)
    with pytest.raises(AssertionError, match="CohortScores has no none_such"):
        Reader("index.html.j2", IndexPage)


def test_the_charts_of_a_page_are_the_figures():
    assert tuple(field.name for field in dataclasses.fields(CohortCharts)) == FIGURES
