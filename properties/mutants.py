"""All that one change can make of a module: operators, constants, conditions, statements."""

import ast
import copy
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    """A module with one place changed; ``diff`` shows it, ``line`` is where it is in the source."""

    module: str
    line: int
    tree: ast.Module
    diff: str


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its places."""
    original = ast.unparse(ast.parse(source)).splitlines()
    found: list[Mutant] = []
    while True:
        change = _Change(len(found))
        tree = ast.parse(source)
        change.visit(tree)
        if not change.line:
            return found
        ast.fix_missing_locations(tree)
        lines = difflib.unified_diff(original, ast.unparse(tree).splitlines(), n=0, lineterm="")
        diff = "\n".join(line for line in lines if line[:3] not in ("---", "+++", "@@ "))
        found.append(Mutant(module, change.line, tree, diff))


class _Change(ast.NodeTransformer):
    """Makes change number ``wanted`` of a tree; ``line`` stays 0 if there are not so many."""

    def __init__(self, wanted: int) -> None:
        self._left = wanted
        self.line = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if self.line:
            return node
        for changed in _changes(node):
            if not self._left:
                self.line = getattr(node, "lineno", 1)
                return changed
            self._left -= 1
        # What only readers, type checkers and caches see is left alone.
        match node:
            case ast.AnnAssign(value=ast.expr() as value):
                node.value = self._expression(value)
            case ast.arg() | ast.AnnAssign() | ast.JoinedStr():
                pass
            case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
                pass
            case ast.ClassDef():
                node.body = [self._statement(each) for each in node.body]
            case ast.FunctionDef():
                node.args = self.visit(node.args)  # type: ignore[assignment]  # of the same kind
                node.body = [self._statement(each) for each in node.body]
            case _:
                self.generic_visit(node)
        return node

    def _expression(self, node: ast.expr) -> ast.expr:
        changed = self.visit(node)
        assert isinstance(changed, ast.expr)
        return changed

    def _statement(self, node: ast.stmt) -> ast.stmt:
        changed = self.visit(node)
        assert isinstance(changed, ast.stmt)
        return changed


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.stmt():
            yield from _statements(node)
        case ast.expr():
            yield from _operators(node)
            yield from _values(node)
        case _:
            pass


def _operators(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    changed = copy.copy(node)
                    changed.ops = [*operators[:place], other(), *operators[place + 1 :]]
                    yield changed
        case ast.BoolOp(op=connective, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(connective, ast.And) else ast.And(), values)
            for place in range(len(values)):
                rest = values[:place] + values[place + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(connective, rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            yield ast.BinOp(left, _ARITHMETIC[type(sign)](), right)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case _:
            pass


def _values(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Call(func=ast.Name(id="min" | "max" as name), args=args, keywords=keywords):
            yield ast.Call(ast.Name("max" if name == "min" else "min", ast.Load()), args, keywords)
            yield from _without_keyword(node)
        case ast.Call():
            yield from _without_keyword(node)
        case ast.Attribute(value=ast.Name(id=kind) as name, attr=member) if kind in _MEMBERS:
            members = _MEMBERS[kind]
            other_member = members[(members.index(member) + 1) % len(members)]
            yield ast.Attribute(name, other_member, ast.Load())
        case _:
            pass


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr(value=ast.Constant() | ast.Call(func=ast.Name(id="assert_never"))):
            pass
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value):
            if not (isinstance(value, ast.Constant) and value.value is None):
                yield ast.Return(ast.Constant(None))
        case ast.Return():
            yield ast.Pass()
        case ast.If(test=test) | ast.While(test=test) if not isinstance(
            test, ast.Compare | ast.BoolOp | ast.UnaryOp
        ):
            changed = copy.copy(node)
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield changed
        case _:
            pass


def _without_keyword(call: ast.Call) -> Iterator[ast.Call]:
    for place in range(len(call.keywords)):
        yield ast.Call(call.func, call.args, call.keywords[:place] + call.keywords[place + 1 :])


_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
# Read from the source, since what is to be mutated must not have been imported.
_JOB = Path(__file__).parent.parent / "kala_trio" / "core" / "job.py"
_MEMBERS = {
    enum.name: [ast.unparse(each.targets[0]) for each in enum.body if isinstance(each, ast.Assign)]
    for enum in ast.parse(_JOB.read_text()).body
    if isinstance(enum, ast.ClassDef) and ast.unparse(enum.bases[0]) == "StrEnum"
}
