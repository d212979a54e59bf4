"""Text to tokens: every character is on an allow-list, and every token knows its column.

The tokens are then spelled out again for Python's `ast` with `**` for `^` and `0` for every number
(the literal's exact text stays in the token), so that nothing of the user's text but names and
operators reaches Python's own parser.
"""

from __future__ import annotations

import ast
import itertools
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from kernelc.errors import InputError
from kernelc.parse.limits import Limits
from kernelc.parse.names import shown

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n\f\v]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|//|<=|>=|==|!=|[-+*/^(),<>&|~])"
)
_KEYWORDS = frozenset({"and", "or", "not", "if", "else"})
_LITERALS = frozenset({"True", "False"})
_BEGINS_VALUE = frozenset({"(", "+", "-", "~", "not"})

_STRING = "text in quotes is not part of a formula"
_BRACKET = "subscripts, lists and sets are not part of a formula: use round brackets"
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "'": _STRING,
        '"': _STRING,
        "`": _STRING,
        "[": _BRACKET,
        "]": _BRACKET,
        "{": _BRACKET,
        "}": _BRACKET,
        ".": "attribute access is not part of a formula (write tanh(t), not np.tanh(t)), and a number needs a digit "
        "beside its point",
        ":": "lambda, slices and := are not part of a formula",
        "=": "assignments and keyword arguments are not part of a formula; comparisons are <, <=, >, >=",
        "%": "a remainder jumps without end",
        "_": "a name begins with a letter, and digits are not grouped with '_'",
        "\N{GREEK SMALL LETTER PI}": "write pi",
        "\N{SUPERSCRIPT TWO}": "write ^2",
        "\N{SUPERSCRIPT THREE}": "write ^3",
        "\N{MINUS SIGN}": "write - (the ASCII minus)",
        "\N{EN DASH}": "write - (the ASCII minus)",
        "\N{MULTIPLICATION SIGN}": "write *",
        "\N{MIDDLE DOT}": "write *",
        "\N{DOT OPERATOR}": "write *",
        "\N{DIVISION SIGN}": "write /",
        "\N{LESS-THAN OR EQUAL TO}": "write <=",
        "\N{GREATER-THAN OR EQUAL TO}": "write >=",
        "\N{SQUARE ROOT}": "write sqrt(...)",
        "\N{INFINITY}": "infinities are not accepted: an activation is finite on the real line",
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the user's text; `kind` is number, name, keyword or operator, `column` is 1-based."""

    kind: str
    text: str
    column: int


@dataclass(frozen=True, slots=True)
class SyntaxTree:
    """Python's tree of the formula, and the token that stands at each offset of what Python parsed."""

    body: ast.expr
    tokens: Mapping[int, Token]

    def token(self, node: ast.expr) -> Token:
        """The user's token at which `node` begins."""
        return self.tokens[node.col_offset]

    def column(self, node: ast.expr) -> int:
        """The 1-based column of the user's text at which `node` begins."""
        return self.token(node).column


def parse_syntax(text: str, limits: Limits) -> SyntaxTree:
    """Parse `text` to Python's syntax tree, nothing of it evaluated; columns are those of `text`.

    Raises:
        InputError: text that is too long, empty, not made of the accepted characters, or no formula.
    """
    tokens = tokenize(text, limits)
    pieces, by_offset, offset = [], {}, 0
    for token in tokens:
        spelled = {"^": "**"}.get(token.text, "0" if token.kind == "number" else token.text)
        by_offset[offset] = token
        pieces.append(spelled)
        offset += len(spelled) + 1
    try:
        tree = ast.parse(" ".join(pieces), mode="eval")
    except SyntaxError as error:
        raise _syntax_error(by_offset, error.offset) from None
    except (RecursionError, MemoryError, ValueError):
        raise InputError(f"the formula is nested too deeply: at most {limits.nesting} levels") from None
    return SyntaxTree(tree.body, MappingProxyType(by_offset))


def _syntax_error(tokens: Mapping[int, Token], offset: int | None) -> InputError:
    # Python's own message depends on its version and speaks of Python, so only its place is kept.
    for token in tokens.values():
        if token.text in ("if", "else"):
            return InputError("a choice is written 'value if condition else other'", column=token.column)
    token = tokens[max((start for start in tokens if start < (offset or 1)), default=0)]
    return InputError(f"this is not a formula at {shown(token.text)}", column=token.column)


def tokenize(text: str, limits: Limits) -> tuple[Token, ...]:
    """Split `text` into tokens, every character checked against an allow-list.

    Raises:
        InputError: with the column of what is not accepted.
    """
    if not isinstance(text, str):
        raise InputError(f"a formula is text, not {type(text).__name__}")
    if len(text) > limits.text_length:
        raise InputError(f"the formula has {len(text)} characters: at most {limits.text_length} are accepted")
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _refused_character(text[position], position + 1)
        if match.lastgroup != "space":
            tokens.append(_token(match, limits))
        position = match.end()
    if not tokens:
        raise InputError("the formula is empty: write one in one variable, such as t*sigmoid(t)")
    _check_brackets(tokens, limits)
    _check_operands(tokens)
    _check_neighbours(tokens)
    return tuple(tokens)


def _refused_character(character: str, column: int) -> InputError:
    reason = _REFUSED.get(character)
    if reason is None and character.isascii():
        reason = "it is not part of a formula"
    elif reason is None:
        reason = "formulas, names included, are written in ASCII"
    return InputError(f"character {shown(character)} is not accepted: {reason}", column=column)


def _token(match: re.Match[str], limits: Limits) -> Token:
    kind, text, column = str(match.lastgroup), match.group(), match.start() + 1
    if text == "//":
        raise InputError("'//' is not accepted: its floor jumps without end; write / for a quotient", column=column)
    if kind == "name":
        if len(text) > limits.name_length:
            raise InputError(f"a name has at most {limits.name_length} characters", column=column)
        if text in _KEYWORDS:
            kind = "keyword"
        elif keyword.iskeyword(text) and text not in _LITERALS:
            raise InputError(f"'{text}' is a word of Python that is not part of a formula", column=column)
    return Token(kind, text, column)


def _check_neighbours(tokens: Sequence[Token]) -> None:
    """Two values side by side lack an operator; Python would call it a call or a syntax error elsewhere."""
    for left, right in itertools.pairwise(tokens):
        ends = left.kind in ("number", "name") or left.text == ")"
        begins = right.kind in ("number", "name") or (right.text == "(" and left.kind != "name")
        if not (ends and begins):
            continue
        if left.kind == "number" and right.text in ("j", "J"):
            raise InputError("complex numbers are not accepted: an activation is real", column=left.column)
        raise InputError(
            f"an operator is missing between {shown(left.text)} and {shown(right.text)}; a product is written with *",
            column=right.column,
        )


def _check_operands(tokens: Sequence[Token]) -> None:
    """The beginning and every operator are followed by something that can begin a value."""
    waiting = True
    for left, right in zip((tokens[0], *tokens), tokens, strict=False):
        closes = right.text == ")" and left.text in ("(", ",") and left is not right
        begins = right.kind in ("number", "name") or right.text in _BEGINS_VALUE
        if waiting and not begins and not closes:
            hint = "; write Abs(t) for |t|" if right.text == "|" else ""
            raise InputError(f"a value is expected here, not {shown(right.text)}{hint}", column=right.column)
        waiting = right.kind not in ("number", "name") and right.text != ")"
    if waiting:
        raise InputError(f"the formula breaks off after {shown(tokens[-1].text)}", column=tokens[-1].column)


def _check_brackets(tokens: Sequence[Token], limits: Limits) -> None:
    open_columns: list[int] = []
    for token in tokens:
        if token.text == "(":
            open_columns.append(token.column)
            if len(open_columns) > limits.nesting:
                raise InputError(
                    f"the formula is nested too deeply: at most {limits.nesting} levels", column=token.column
                )
        elif token.text == ")":
            if not open_columns:
                raise InputError("this ')' closes no '('", column=token.column)
            open_columns.pop()
    if open_columns:
        raise InputError("this '(' is never closed", column=open_columns[-1])


def read_literal(token: Token, limits: Limits) -> Fraction:
    """The exact value of a decimal literal: 0.1 is 1/10.

    Raises:
        InputError: more digits, or a larger exponent of ten, than accepted.
    """
    mantissa, _, exponent = token.text.lower().partition("e")
    if sum(character.isdigit() for character in mantissa) > limits.digits:
        raise InputError(f"a number has at most {limits.digits} digits", column=token.column)
    if len(exponent) > 5 or abs(int(exponent or "0")) > limits.decimal_exponent:
        raise InputError(f"an exponent of ten is at most {limits.decimal_exponent} in size", column=token.column)
    return Fraction(token.text)
