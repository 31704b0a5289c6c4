"""Whoever raises a failure names a row with all its fields, and no row is there for nothing: the source is walked."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter

import rds_iam_proxy
from rds_iam_proxy.errors import tree
from rds_iam_proxy.errors.symptoms import SYMPTOMS, Symptom
from rds_iam_proxy.mysql.refusals import CODES, EXPLAINED

PACKAGE = Path(rds_iam_proxy.__file__).parent
ERRORS = {name for name, kind in vars(tree).items() if isinstance(kind, type) and issubclass(kind, tree.LoginError)}
SOURCES = {
    path.relative_to(PACKAGE): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if not {PACKAGE / "errors", PACKAGE / "commands/demo"} & set(path.parents)
}
"""All but the table itself, and what plays RDS."""
MAKERS = {"credentials_fault": 1, "_fault": 0, "tunnel_fault": 0}
"""Functions that hand a row on to an error, and which argument it is."""


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
    return ast.unparse(function)


Scopes = tuple[ast.AST, ...]
"""A function, where there is one, and its module."""


def calls() -> Iterator[tuple[str, Scopes, ast.Call, ast.expr]]:
    """Each place that makes an error: where, its scopes, the call, and the row."""
    for path, module in SOURCES.items():
        functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        imported = {
            alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("errors.tree")
            for alias in node.names
        }
        for call in ast.walk(module):
            if not isinstance(call, ast.Call):
                continue
            name = _name(call.func)
            if name in ERRORS & imported or name in MAKERS or ast.unparse(call.func) == "type(last)":
                inside = tuple(function for function in functions if call in ast.walk(function))
                yield f"{path}:{call.lineno}", (*reversed(inside), module), call, call.args[MAKERS.get(name, 0)]


def keys(row: ast.expr, scopes: Scopes) -> set[str]:
    """The rows that an expression may mean, as far as its own module tells; empty if it does not."""
    match row:
        case ast.Constant(str(key)):
            return {key}
        case ast.IfExp(body=one, orelse=other):
            return keys(one, scopes) | keys(other, scopes)
        case ast.Name(name):
            return _all(_assigned(name, scopes), scopes)
        case ast.Dict(values=values):
            return _all(values, scopes)
        case ast.Subscript(value=table) | ast.GeneratorExp(elt=table):
            return keys(table, scopes)
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, *default]):
            return keys(table, scopes) | _all(default, scopes)
        case ast.Call(func=ast.Name("next"), args=arguments):
            return _all(arguments, scopes)
        case ast.Call(func=ast.Name(name)):
            called = [node for node in ast.walk(scopes[-1]) if isinstance(node, ast.FunctionDef) and node.name == name]
            returns = [node for function in called for node in ast.walk(function) if isinstance(node, ast.Return)]
            return _all([node.value for node in returns if node.value is not None], scopes)
    return set()


def _all(rows: Iterable[ast.expr], scopes: Scopes) -> set[str]:
    return {key for row in rows for key in keys(row, scopes)}


def _assigned(name: str, scopes: Scopes) -> list[ast.expr]:
    """In the nearest scope that has the name."""
    for scope in scopes:
        found = [
            node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
        ]
        if found:
            return found
    return []


def _is_parameter(row: ast.expr, scopes: Scopes) -> bool:
    """Of a maker, whose own calls are walked."""
    return isinstance(row, ast.Name) and any(
        isinstance(scope, ast.FunctionDef) and scope.name in MAKERS and row.id in {arg.arg for arg in scope.args.args}
        for scope in scopes
    )


def fields(row: Symptom) -> set[str]:
    parts = [*Formatter().parse(row.text), *Formatter().parse(row.detail)]
    return {name.partition(".")[0] for _, name, _, _ in parts if name}


def test_every_failure_names_its_rows() -> None:
    for where, scopes, _, row in calls():
        found = keys(row, scopes)
        assert found or _is_parameter(row, scopes), f"{where}: which row is {ast.unparse(row)}?"
        assert found <= SYMPTOMS.keys(), f"{where}: {found - SYMPTOMS.keys()} is no row"


def test_every_row_is_used() -> None:
    assert SYMPTOMS.keys() == {key for _, scopes, _, row in calls() for key in keys(row, scopes)}


def test_every_failure_fills_the_fields_of_its_rows_and_one_of_a_single_row_gives_nothing_else() -> None:
    for where, scopes, call, row in calls():
        if _name(call.func) in MAKERS or any(keyword.arg is None for keyword in call.keywords):
            continue  # the rows of credentials share one set of values, those of tunnels, too: tests make each of them
        given = {keyword.arg for keyword in call.keywords}
        wanted = [fields(SYMPTOMS[key]) for key in keys(row, scopes)]
        assert given >= set().union(*wanted), where
        assert len(wanted) > 1 or given == wanted[0], f"{where}: {given - wanted[0]} is for nothing"


def test_what_is_raised_is_an_error_or_a_function_s_that_makes_one() -> None:
    """So that no failure of a login goes past the table."""
    nodes = [node for module in SOURCES.values() for node in ast.walk(module)]
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    walked = {call for _, _, call, _ in calls()}
    raised = {_name(node.exc.func) for node in nodes if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)}
    assert raised >= {"Denied", "Draining", "refused", "broken_login", "hung_up"}
    for function in (functions[name] for name in raised & functions.keys()):
        returns = ast.unparse(function.returns) if function.returns is not None else ""
        # `Front.denied` is each dialect's own; MySQL's is refusals.access_denied.
        assert returns not in ERRORS or walked & set(ast.walk(function)) or function.name == "denied"


def test_mysql_has_a_code_for_every_row() -> None:
    for row in SYMPTOMS.values():
        assert row.key in CODES or row.reason in CODES or not row.reason


def test_no_code_of_mysql_is_there_for_nothing() -> None:
    reasons = {row.reason for row in SYMPTOMS.values()}
    assert CODES.keys() <= SYMPTOMS.keys() | reasons
    assert set(EXPLAINED.values()) <= SYMPTOMS.keys()
