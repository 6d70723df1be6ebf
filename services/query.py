"""Aggregate queries: the part of SQL that is answered, parsed, put into one canonical text, and evaluated.

    SELECT district, COUNT(*), SUM(vat_due), AVG(sales) AS mean FROM vat WHERE period = '2026Q2' GROUP BY district

Public attributes and ``period`` select and group; private fields appear only inside SUM and AVG. Whatever else SQL has
is refused by name. The text is read by sqlglot; the tree is then accepted node by node, so that a construct which
nobody thought of is refused rather than ignored. Rows of an answer come in ascending order of their group, merged
groups last, so ORDER BY is refused as well.

A querier, an operator and every trustee parse the same text for themselves. :attr:`Query.text` is the canonical form:
parsing it gives the same query again; :meth:`Query.digest` binds it, with the schema, into every partial decryption.
Nothing here protects a record: which cohorts may be answered is decided in ``services.policy``.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, Tokenizer, TokenType

from circuits.schema import Schema
from zkcore.errors import Refused

Node = TypeVar("Node", bound=exp.Expression)

LONGEST_TEXT = 4096
"""Characters of a query."""

MOST_TOKENS = 1024
DEEPEST_NESTING = 16
MOST_CLAUSES = 12
MOST_COLUMNS = 64

PERIOD = "period"
SUBJECT = "subject"

SUPPORTED = (
    "supported: SELECT of public attributes, period, COUNT(*), SUM(field) and AVG(field), each with an optional alias; "
    "FROM one dataset; WHERE over attributes and period with =, <>, IN, NOT IN, AND, OR, NOT and parentheses; GROUP BY"
)


class Unsupported(Refused):
    """A query uses a part of SQL that is not answered."""


class UnknownName(Unsupported):
    """A query names a dataset or column that does not exist."""


class PrivateColumn(Unsupported):
    """A query asks for a private field, or the subject, outside SUM and AVG."""


class TooComplex(Unsupported):
    """A query is longer or more deeply nested than is accepted."""


class Aggregate(StrEnum):
    """What a column shows of a group."""

    COUNT = "COUNT"
    SUM = "SUM"
    AVG = "AVG"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the answer.

    ``aggregate`` is None for a column of the grouping; ``name`` is the attribute, ``"period"`` or the private field,
    None for COUNT(*); ``alias`` is the name that the query gives it, or None.
    """

    aggregate: Aggregate | None
    name: str | None
    alias: str | None = None

    @property
    def label(self) -> str:
        """Name to show: the alias, or else the expression."""
        return self.alias if self.alias is not None else self.expression

    @property
    def expression(self) -> str:
        """The column in canonical SQL, without its alias."""
        if self.aggregate is None:
            return _identifier(self.name or "")
        return f"{self.aggregate}({'*' if self.name is None else _identifier(self.name)})"

    @property
    def text(self) -> str:
        """The column in canonical SQL."""
        return self.expression if self.alias is None else f"{self.expression} AS {_quoted(self.alias)}"


@dataclass(frozen=True, slots=True)
class Among:
    """Condition: the column's value is one of ``values`` (sorted, at least one), or none of them when ``negated``."""

    column: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a record's public columns fulfil it."""
        return (row[self.column] in self.values) is not self.negated

    @property
    def text(self) -> str:
        """Canonical SQL."""
        column = _identifier(self.column)
        if len(self.values) == 1:
            return f"{column} {'<>' if self.negated else '='} {_literal(self.values[0])}"
        return f"{column} {'NOT IN' if self.negated else 'IN'} ({', '.join(map(_literal, self.values))})"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions that must all hold (``conjunction``), or of which one must."""

    conjunction: bool
    parts: "tuple[Condition, ...]"

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a record's public columns fulfil it."""
        return (all if self.conjunction else any)(part.holds(row) for part in self.parts)

    @property
    def text(self) -> str:
        """Canonical SQL."""
        # AND binds closer than OR, so only an OR inside an AND needs parentheses.
        texts = (
            f"({part.text})" if isinstance(part, Junction) and self.conjunction else part.text for part in self.parts
        )
        return (" AND " if self.conjunction else " OR ").join(texts)


@dataclass(frozen=True, slots=True)
class Negation:
    """A condition that must not hold."""

    part: "Condition"

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a record's public columns fulfil it."""
        return not self.part.holds(row)

    @property
    def text(self) -> str:
        """Canonical SQL."""
        return f"NOT ({self.part.text})"


Condition = Among | Junction | Negation


@dataclass(frozen=True)
class Query:
    """A query that can be answered, of records of one schema."""

    schema: Schema
    columns: tuple[Column, ...]
    where: Condition | None
    group_by: tuple[str, ...]
    """Attributes (and ``"period"``) that make the groups, in the query's order; empty for one group of everything."""

    @property
    def dataset(self) -> str:
        """Name of the dataset, which is the schema's."""
        return self.schema.name

    @property
    def fields(self) -> tuple[str, ...]:
        """Private fields whose sums the answer needs, in the schema's order; empty when it only counts."""
        named = {column.name for column in self.columns if column.aggregate in (Aggregate.SUM, Aggregate.AVG)}
        return tuple(field.name for field in self.schema.fields if field.name in named)

    @cached_property
    def text(self) -> str:
        """The query in canonical SQL."""
        clauses = ["SELECT", ", ".join(column.text for column in self.columns), "FROM", _identifier(self.dataset)]
        if self.where is not None:
            clauses += ["WHERE", self.where.text]
        if self.group_by:
            clauses += ["GROUP BY", ", ".join(map(_identifier, self.group_by))]
        return " ".join(clauses)

    def digest(self) -> bytes:
        """SHA-256 over the schema's identity and the canonical text (32 bytes)."""
        schema_id = self.schema.schema_id.to_bytes(32, "big")
        return sha256(b"zkshare query v1\x00" + schema_id + self.text.encode()).digest()

    def matches(self, attributes: Mapping[str, str], period: str) -> bool:
        """Whether a record with these public attributes and this period is selected."""
        return self.where is None or self.where.holds({**attributes, PERIOD: period})

    def group_of(self, attributes: Mapping[str, str], period: str) -> tuple[str, ...]:
        """Values of the grouping columns for such a record: its group."""
        return tuple(period if name == PERIOD else attributes[name] for name in self.group_by)


def parse(sql: str, schemas: Mapping[str, Schema]) -> Query:
    """Read a query.

    Parameters
    ----------
    sql
        At most 4,096 characters.
    schemas
        The datasets that may be asked, by name.

    Raises
    ------
    Unsupported
        For everything that is not answered, with its name as ``part`` and what is supported in ``why``; its subclasses
        :class:`UnknownName`, :class:`PrivateColumn` and :class:`TooComplex` say which.
    """
    names = _names(schemas)
    tokens = _tokens(sql, names)
    try:
        statements = sqlglot.parse(sql)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        # sqlglot promises only its own errors; the others have been seen on garbage, and all mean "not SQL" here.
        raise Unsupported("query", f"it is not SQL that can be read; {SUPPORTED}") from None
    if len(statements) != 1:
        raise Unsupported("several statements", f"one query at a time; {SUPPORTED}")
    if not isinstance(statements[0], exp.Expression):
        raise Unsupported("empty query", SUPPORTED)
    query = _Reader(schemas).query(statements[0])
    _only_known_tokens(tokens)
    _tokens(query.text, names)  # the canonical text stays within the same bounds, so that whoever reads it can parse it
    return query


class _Reader:
    """Turns sqlglot's tree into a :class:`Query`; every node and every filled slot of a node is one that is listed."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def query(self, tree: exp.Expression) -> Query:
        select = _expect(tree, exp.Select, {"expressions", "from_", "where", "group"})
        schema = self._dataset(select.args.get("from_"))
        self._schema = schema
        self._public = {attribute.name for attribute in schema.attributes} | {PERIOD}
        self._private = {field.name for field in schema.fields}
        if len(select.expressions) > MOST_COLUMNS:
            raise TooComplex("SELECT", f"at most {MOST_COLUMNS} columns")
        columns = tuple(self._column(item) for item in select.expressions)
        where = select.args.get("where")
        condition = None if where is None else self._condition(_expect(where, exp.Where, {"this"}).this)
        group_by = self._grouping(select.args.get("group"))
        self._check_shape(columns, group_by)
        return Query(schema, columns, condition, group_by)

    def _check_shape(self, columns: Sequence[Column], group_by: Sequence[str]) -> None:
        if not any(column.aggregate for column in columns):
            raise Unsupported("SELECT without COUNT, SUM or AVG", f"single records are never shown; {SUPPORTED}")
        for column in columns:
            if column.aggregate is None and column.name not in group_by:
                raise Unsupported(f"column {column.name}", "a column that is shown must also stand in GROUP BY")
        labels = [column.label for column in columns]
        for label in labels:
            if labels.count(label) > 1:
                raise Unsupported(f"column {label}", "two columns of this name; give one of them an alias")

    def _dataset(self, node: exp.Expression | None) -> Schema:
        if node is None:
            raise Unsupported("SELECT without FROM", SUPPORTED)
        table = _expect(_expect(node, exp.From, {"this"}).this, exp.Table, {"this"})
        name = _name(table.this)
        if name not in self._schemas:
            there = ", ".join(sorted(self._schemas)) or "none"
            raise UnknownName(f"dataset {name}", f"the network has none of this name; it has {there}")
        return self._schemas[name]

    def _column(self, node: exp.Expression) -> Column:
        alias = None
        if isinstance(node, exp.Alias):
            _expect(node, exp.Alias, {"this", "alias"})
            alias = _alias(node.args["alias"])
            node = node.this
        if isinstance(node, exp.Count):
            inner = _expect(node, exp.Count, {"this", "big_int"}).this
            if isinstance(inner, exp.Distinct):
                raise Unsupported("COUNT(DISTINCT ...)", SUPPORTED)
            if not isinstance(inner, exp.Star) or _filled(inner):
                raise Unsupported("COUNT of a column", f"write COUNT(*); {SUPPORTED}")
            return Column(Aggregate.COUNT, None, alias)
        if isinstance(node, exp.Sum | exp.Avg):
            aggregate = Aggregate.SUM if isinstance(node, exp.Sum) else Aggregate.AVG
            return Column(aggregate, self._summed(_expect(node, type(node), {"this"}).this, aggregate), alias)
        return Column(None, self._public_column(node), alias)

    def _summed(self, node: exp.Expression, aggregate: Aggregate) -> str:
        if isinstance(node, exp.Distinct):
            raise Unsupported(f"{aggregate}(DISTINCT ...)", SUPPORTED)
        if not isinstance(node, exp.Column):
            raise Unsupported(f"{aggregate} of {_called(node)}", f"only of a single field; {SUPPORTED}")
        name = self._known(node)
        if name not in self._private:
            raise Unsupported(f"{aggregate}({name})", f"{name} is public and not a number; {SUPPORTED}")
        return name

    def _public_column(self, node: exp.Expression) -> str:
        if not isinstance(node, exp.Column):
            raise _unsupported(node)
        name = self._known(node)
        if name in self._private:
            raise PrivateColumn(f"field {name}", f"private fields appear only inside SUM and AVG; {SUPPORTED}")
        return name

    def _known(self, node: exp.Expression) -> str:
        name = _name(_expect(node, exp.Column, {"this"}).this)
        if name == SUBJECT:
            raise PrivateColumn(SUBJECT, f"no answer is about one enterprise; {SUPPORTED}")
        if name not in self._public | self._private:
            raise UnknownName(
                f"column {name}",
                f"{self._schema.name} has the public columns {', '.join(sorted(self._public))} and the private fields "
                f"{', '.join(sorted(self._private))}; a string stands in single quotes",
            )
        return name

    def _condition(self, node: exp.Expression) -> Condition:
        if isinstance(node, exp.Paren):
            return self._condition(_expect(node, exp.Paren, {"this"}).this)
        if isinstance(node, exp.Not):
            return _negate(self._condition(_expect(node, exp.Not, {"this"}).this))
        if isinstance(node, exp.And | exp.Or):
            parts: list[Condition] = []
            # sqlglot nests a chain to the left; it is taken apart in a loop so that its length costs no stack.
            chain: exp.Expression = node
            while isinstance(chain, type(node)):
                _expect(chain, type(node), {"this", "expression"})
                parts.append(self._condition(chain.expression))
                chain = chain.this
            parts.append(self._condition(chain))
            return _join(isinstance(node, exp.And), reversed(parts))
        if isinstance(node, exp.EQ | exp.NEQ):
            _expect(node, type(node), {"this", "expression"})
            value = _string(node.expression)
            return Among(self._public_column(node.this), (value,), isinstance(node, exp.NEQ))
        if isinstance(node, exp.In):
            if node.args.get("query") is not None:
                raise Unsupported("subquery", SUPPORTED)
            _expect(node, exp.In, {"this", "expressions"})
            if not node.expressions:
                raise Unsupported("IN of nothing", f"list at least one string; {SUPPORTED}")
            values = {_string(item) for item in node.expressions}
            return Among(self._public_column(node.this), tuple(sorted(values)))
        raise _unsupported(node)

    def _grouping(self, node: exp.Expression | None) -> tuple[str, ...]:
        if node is None:
            return ()
        group = _expect(node, exp.Group, {"expressions"})
        names = tuple(self._public_column(item) for item in group.expressions)
        if not names:
            raise Unsupported("GROUP BY of nothing", SUPPORTED)
        if len(set(names)) != len(names):
            raise Unsupported("GROUP BY", "a column stands there twice")
        return names


def _join(conjunction: bool, parts: Iterable[Condition]) -> Condition:
    """AND or OR, with parts of the same kind taken up: parentheses that change nothing make no other query."""
    flat: list[Condition] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Junction) and part.conjunction is conjunction else (part,))
    return Junction(conjunction, tuple(flat))


def _negate(condition: Condition) -> Condition:
    """NOT, absorbed where the condition has a negative form of its own, so that ``NOT a IN (...)`` reads as NOT IN."""
    if isinstance(condition, Among):
        return Among(condition.column, condition.values, not condition.negated)
    return condition.part if isinstance(condition, Negation) else Negation(condition)


_NAMES: dict[str, str] = {
    "from_": "FROM",
    "with_": "WITH",
    "order": "ORDER BY (rows come in the order of their groups)",
    "joins": "JOIN",
    "group": "GROUP BY",
    "db": "a qualified name",
    "table": "a qualified name",
    "catalog": "a qualified name",
    "totals": "WITH TOTALS",
    "all": "ALL",
}
_OPERATORS: dict[type[exp.Expression], str] = {
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
}
_SQUARES = re.compile(r"VAR(IANCE)?(_POP|_SAMP|_SAMPLE|P)?|STD(DEV|EV)?(_POP|_SAMP|P)?")


def _unsupported(node: exp.Expression) -> Unsupported:
    if isinstance(node, exp.Star):
        return PrivateColumn("SELECT *", f"single records are never shown; {SUPPORTED}")
    called = _called(node)
    if _SQUARES.fullmatch(called.removeprefix("function ")):
        return Unsupported(called, f"the schema declares no slot for squares; {SUPPORTED}")
    return Unsupported(called, SUPPORTED)


def _called(node: exp.Expression) -> str:
    """What SQL calls a construct, from the name of its class in sqlglot or, for a function, its own."""
    if isinstance(node, exp.Anonymous):
        return f"function {str(node.this)[:40].upper()}"
    if type(node) in _OPERATORS:
        return f"operator {_OPERATORS[type(node)]}"
    if isinstance(node, exp.Select | exp.Subquery | exp.SetOperation):
        return type(node).__name__.upper() if isinstance(node, exp.SetOperation) else "subquery"
    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "number"
    if isinstance(node, exp.Func) and not isinstance(node, exp.Connector):
        return f"function {node.sql_name()}"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()


def _filled(node: exp.Expression) -> set[str]:
    """Slots of a node that say something; sqlglot leaves the others None, False or empty."""
    return {name for name, value in node.args.items() if value not in (None, False, [])}


def _expect(node: object, kind: type[Node], slots: set[str]) -> Node:
    """The node itself if it is of this kind with nothing but these slots filled. Raises Unsupported."""
    if not isinstance(node, exp.Expression):
        raise Unsupported("query", f"it is not SQL that can be read; {SUPPORTED}")
    if type(node) is not kind:
        raise _unsupported(node)
    for slot in sorted(_filled(node) - slots):
        if slot == "alias":
            raise Unsupported("alias of a dataset", SUPPORTED)
        raise Unsupported(_NAMES.get(slot, slot.strip("_").replace("_", " ").upper()), SUPPORTED)
    return node


def _name(node: object) -> str:
    """Name of an identifier; one that is not quoted is in lower case, as SQL has it."""
    identifier = _expect(node, exp.Identifier, {"this", "quoted"})
    name = str(identifier.this)
    return name if identifier.args.get("quoted") else name.lower()


def _alias(node: object) -> str:
    """Name that a column is given; it keeps its case, since it is only shown."""
    name = str(_expect(node, exp.Identifier, {"this", "quoted"}).this)
    if not 0 < len(name) <= 63:
        raise Unsupported("alias", "a name for a column has 1 to 63 characters")
    return name


def _string(node: object) -> str:
    if not isinstance(node, exp.Literal) or not node.is_string:
        called = _called(node) if isinstance(node, exp.Expression) else "nothing"
        raise Unsupported(f"comparison with {called}", f"only with a string in single quotes; {SUPPORTED}")
    return str(_expect(node, exp.Literal, {"this", "is_string"}).this)


_ALLOWED_TOKENS = {
    TokenType.SELECT,
    TokenType.FROM,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.ALIAS,
    TokenType.AND,
    TokenType.OR,
    TokenType.NOT,
    TokenType.IN,
    TokenType.EQ,
    TokenType.NEQ,
    TokenType.STAR,
    TokenType.COMMA,
    TokenType.L_PAREN,
    TokenType.R_PAREN,
    TokenType.STRING,
    TokenType.SEMICOLON,
    TokenType.IDENTIFIER,
    TokenType.VAR,
}
_REPEATED_TOKENS = _ALLOWED_TOKENS - {TokenType.SELECT, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY} | {
    TokenType.NUMBER,
    TokenType.DOT,
}
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # as the values of attributes, see circuits.schema.check_text
_BARE_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SQL_WORDS = frozenset(phrase.split(" ")[0] for phrase in Tokenizer.KEYWORDS)


def _names(schemas: Mapping[str, "Schema"]) -> frozenset[str]:
    """Every name that a query may use, some of which SQL knows as keywords, e.g. ``date``."""
    public = (attribute.name for schema in schemas.values() for attribute in schema.attributes)
    private = (field.name for schema in schemas.values() for field in schema.fields)
    return frozenset({PERIOD, *schemas, *public, *private})


def _tokens(sql: str, names: frozenset[str]) -> list[Token]:
    """Tokens of a text that is safe to parse: of bounded length and depth, printable, without comments.

    sqlglot's time doubles with every nested join, and other clauses recurse; the interpreter's recursion limit cannot
    be relied on to stop it, since other libraries raise it. So the words that start clauses are counted first.
    """
    if len(sql) > LONGEST_TEXT:
        raise TooComplex("query", f"a query has at most {LONGEST_TEXT} characters, not {len(sql)}")
    if any(unicodedata.category(character) in _CONTROLS for character in sql if character not in "\t\r\n"):
        raise Unsupported("control character", f"no attribute holds one; {SUPPORTED}")
    try:
        tokens = list(Tokenizer().tokenize(sql))
    except (SqlglotError, ValueError, IndexError):
        raise Unsupported("query", f"it is not SQL that can be read; {SUPPORTED}") from None
    if any(token.comments for token in tokens) or any(token.token_type is TokenType.HINT for token in tokens):
        raise Unsupported("comment", SUPPORTED)
    if len(tokens) > MOST_TOKENS:
        raise TooComplex("query", f"a query has at most {MOST_TOKENS} words, not {len(tokens)}")
    clauses = sum(token.token_type not in _REPEATED_TOKENS and token.text.lower() not in names for token in tokens)
    if clauses > MOST_CLAUSES:
        raise TooComplex("query", f"at most {MOST_CLAUSES} words that start a clause; {SUPPORTED}")
    depth = 0
    for token in tokens:
        if token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE):
            depth += 1
        elif token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE):
            depth -= 1
        if depth > DEEPEST_NESTING:
            raise TooComplex("query", f"parentheses nest at most {DEEPEST_NESTING} deep")
    if sum(token.token_type is TokenType.NOT for token in tokens) > DEEPEST_NESTING:
        raise TooComplex("query", f"at most {DEEPEST_NESTING} times NOT")
    return tokens


def _only_known_tokens(tokens: Sequence[Token]) -> None:
    """Second check, of the words themselves: sqlglot drops some that it takes to change nothing, e.g. ``SUM(ALL x)``.

    A keyword may also serve as the name of a column, so bare words pass here: the tree has said what they are.
    """
    for token in tokens:
        if token.token_type is TokenType.ALL:
            raise Unsupported("ALL", SUPPORTED)
        if token.token_type not in _ALLOWED_TOKENS and not _BARE_WORD.match(token.text):
            raise Unsupported(f"symbol {token.text[:40]}", SUPPORTED)


def _identifier(name: str) -> str:
    """A name of the schema in canonical SQL: bare unless SQL might read it as something else."""
    return name if _BARE_WORD.match(name) and name.islower() and name.upper() not in _SQL_WORDS else _quoted(name)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'"
