"""What a file of macros may hold: it is rendered once, for all readers and all requests."""

import re

import pytest
from jinja2 import Environment, meta, nodes

from storefront.templating import FILTERS, GLOBALS
from tests.unit.test_templates_rules import TEMPLATES

IMPORT = re.compile(r'\{%-?\s*(?:import|from)\s+"([^"]+)"([^%]*)%\}')
#: What Flask, Flask-WTF and the account's blueprint let every template know.
EVERYWHERE = {
    *GLOBALS,
    *("_", "gettext", "ngettext", "url_for", "request", "namespace", "range", "dict", "csrf_token"),
    *("skip_kept", "skip_rules", "method_name", "health_words"),
}


def imported(with_context):
    found = {
        name
        for path in TEMPLATES
        for name, rest in IMPORT.findall(path.read_text())
        if ("with context" in rest) is with_context
    }
    return sorted(found)


def parsed(name):
    env = Environment(
        autoescape=True, extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(FILTERS)
    [path] = [path for path in TEMPLATES if path.as_posix().endswith(f"/templates/{name}")]
    return env.parse(path.read_text())


def is_harmless(node):
    if isinstance(node, nodes.Output):
        return all(isinstance(n, nodes.TemplateData) and not n.data.strip() for n in node.nodes)
    return isinstance(node, (nodes.Macro, nodes.Import, nodes.FromImport))


@pytest.mark.parametrize("name", imported(with_context=False))
def test_a_file_of_macros_works_nothing_out_outside_of_them(name):
    assert [node for node in parsed(name).body if not is_harmless(node)] == []


@pytest.mark.parametrize("name", imported(with_context=False))
def test_macros_know_only_what_they_are_given_and_what_every_template_knows(name):
    tree = parsed(name)
    # Jinja's own count has those that a macro sets for itself and looks at in an inner block.
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    assert meta.find_undeclared_variables(tree) - EVERYWHERE - own == set()


def test_what_is_imported_both_ways_is_no_file_of_its_own():
    assert set(imported(with_context=True)) & set(imported(with_context=False)) == set()
    assert len(imported(with_context=False)) > 15
