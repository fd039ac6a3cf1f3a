"""The language of policy rules, which is oslo.policy's: read, and made into functions.

A rule is words joined by ``and``, ``or`` and ``not``, with parentheses; ``and`` binds before ``or``. ``@`` lets
everybody in and ``!`` nobody. Every other word is two things with a colon between them::

    role:member                    the caller has the role, in whatever case it is spelt
    rule:project_member_api        another rule lets them in
    project_id:%(project_id)s      what is known of the caller is what is known of the target
    is_admin:True                  what is known of the caller is this text
    'all':%(user_id)s              a literal is what is known of the target

A rule may also be a list of lists of words: all words of any inner list. What nobody can know is refused when the rule
is read, where oslo.policy would silently let nobody in; rules that ask another web server are not done.
"""

import re
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kilonova.identity.caller import Caller

Check = Callable[[Caller, str | None, str | None], bool]
"""Whether a caller may, given the project and the user that own the target (None: nobody in particular)."""

Text = str | Sequence[str | Sequence[str]]
"""A rule as it is written."""


class RuleUnreadable(ValueError):
    """What is wrong with a rule, as the end of a sentence that begins with its name; ``rules`` have to do with it."""

    def __init__(self, text: str, *rules: str) -> None:
        super().__init__(text)
        self.rules = rules


@dataclass(frozen=True, slots=True)
class Word:
    """The smallest part: ``kind`` and ``match`` stand left and right of the colon; ``@`` and ``!`` have no match."""

    kind: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class All:
    """Each of the parts; with none, everybody."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Any of the parts."""

    parts: tuple["Node", ...]


Node = Word | Not | All | Some
EVERYBODY: Final = All(())


def read_rule(text: Text) -> Node:
    """A rule as a tree. RuleUnreadable for what is none."""
    if not isinstance(text, str):
        return _read_list(text)
    reader = _Reader([*_tokens(text)])
    return reader.whole() if reader.tokens else EVERYBODY


def words_of(node: Node) -> Iterator[Word]:
    """All words of a rule, in their order."""
    match node:
        case Word():
            yield node
        case Not():
            yield from words_of(node.part)
        case _:
            for part in node.parts:
                yield from words_of(part)


def compile_rules(rules: Mapping[str, Node]) -> dict[str, Check]:
    """Each rule as a function. RuleUnreadable for one that names a rule that is not there, or in the end itself."""
    done: dict[str, Check] = {}
    for name in rules:
        _compile_named(name, rules, done, under=())
    return done


# --- Reading ------------------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[str]:
    """Words and parentheses. Within a word a parenthesis belongs to it, as in ``%(project_id)s``."""
    for part in text.split():
        word = part.lstrip("(")
        yield from "(" * (len(part) - len(word))
        bare = word.rstrip(")")
        if bare:
            yield bare
        yield from ")" * (len(word) - len(bare))


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self._at = 0

    def whole(self) -> Node:
        found = self._some()
        if self._next is not None:
            raise RuleUnreadable(f"has {self._next!r} where it should end")
        return found

    @property
    def _next(self) -> str | None:
        return self.tokens[self._at] if self._at < len(self.tokens) else None

    def _takes(self, word: str) -> bool:
        found = self._next is not None and self._next.lower() == word
        self._at += found
        return found

    def _some(self) -> Node:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all(self) -> Node:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Node:
        if self._takes("not"):
            return Not(self._one())
        if self._takes("("):
            found = self._some()
            if not self._takes(")"):
                raise RuleUnreadable("has a parenthesis that is not closed")
            return found
        found_word = self._next
        if found_word is None:
            raise RuleUnreadable("ends too early")
        if found_word == ")" or found_word.lower() in ("and", "or"):
            raise RuleUnreadable(f"has {found_word!r} where a check should stand")
        self._at += 1
        return _word(found_word)


def _read_list(parts: Sequence[str | Sequence[str]]) -> Node:
    if not parts:
        return EVERYBODY
    return Some(tuple(All(tuple(map(_word, [part] if isinstance(part, str) else part))) for part in parts))


def _word(token: str) -> Word:
    if token in ("@", "!"):
        return Word(token)
    kind, colon, match = token.partition(":")
    if not colon or not kind or not match:
        raise RuleUnreadable(f"has {token!r}, which is no check such as role:admin")
    word = Word(kind, match)
    _check_word(word)
    return word


# --- What can be known ---------------------------------------------------------------------------------------

_KNOWN: Final[Mapping[str, Callable[[Caller], object]]] = {
    "user_id": lambda caller: caller.user_id,
    "user_domain_id": lambda caller: caller.user_domain_id,
    "project_id": lambda caller: caller.project_id,
    "project_domain_id": lambda caller: caller.project_domain_id,
    "domain_id": lambda caller: caller.domain_id,
    "system_scope": lambda caller: "all" if caller.is_system else None,
    "is_admin_project": lambda _: True,
}
_IS_ADMIN: Final = "context_is_admin"
_OF_TARGET: Final = ("project_id", "user_id")
_PART: Final = re.compile(r"%\(([^)]*)\)s")


def _check_word(word: Word) -> None:
    if word.kind in ("http", "https"):
        raise RuleUnreadable(f"asks the web server {word.kind}:{word.match}, which Kilonova does not do")
    strange = [name for name in _PART.findall(word.match) if name not in _OF_TARGET]
    if strange or "%" in _PART.sub("", word.match):
        what = f"%({strange[0]})s" if strange else word.match
        raise RuleUnreadable(f"has {what}, but of a target only %(project_id)s and %(user_id)s are known")
    if word.kind in ("rule", "role", "is_admin", *_KNOWN) or _literal(word.kind) is not None:
        return
    known = ", ".join(sorted((*_KNOWN, "is_admin")))
    raise RuleUnreadable(f"asks for {word.kind!r} of the caller, of whom only roles and these are known: {known}")


def _literal(text: str) -> str | None:
    """What a literal of Python's looks like as text; None for what is none."""
    try:
        return str(literal_eval(text))
    except (ValueError, SyntaxError):
        return None


# --- Compiling -----------------------------------------------------------------------------------------------


def _compile_named(name: str, rules: Mapping[str, Node], done: dict[str, Check], under: tuple[str, ...]) -> Check:
    if name in done:
        return done[name]
    if name not in rules:
        raise RuleUnreadable(f"{under[-1]} asks for the rule {name}, which is nowhere", under[-1])
    if name in under:
        circle = under[under.index(name) :]
        raise RuleUnreadable(f"{name} asks for itself: {' → '.join((*circle, name))}", *circle)
    check = _compile(rules[name], lambda other: _compile_named(other, rules, done, (*under, name)))
    done[name] = check
    return check


def _compile(node: Node, named: Callable[[str], Check]) -> Check:
    match node:
        case Word():
            return _compile_word(node, named)
        case Not():
            inner = _compile(node.part, named)
            return lambda caller, project_id, user_id: not inner(caller, project_id, user_id)
        case All():
            return _joined([_compile(part, named) for part in node.parts], _both, _everybody)
        case Some():
            return _joined([_compile(part, named) for part in node.parts], _either, _nobody)


def _joined(checks: list[Check], join: Callable[[Check, Check], Check], none: Check) -> Check:
    if not checks:
        return none
    found = checks[-1]
    for check in reversed(checks[:-1]):
        found = join(check, found)
    return found


def _both(left: Check, right: Check) -> Check:
    return lambda caller, project_id, user_id: left(caller, project_id, user_id) and right(caller, project_id, user_id)


def _either(left: Check, right: Check) -> Check:
    return lambda caller, project_id, user_id: left(caller, project_id, user_id) or right(caller, project_id, user_id)


def _everybody(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    del caller, project_id, user_id
    return True


def _nobody(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
    del caller, project_id, user_id
    return False


def _compile_word(word: Word, named: Callable[[str], Check]) -> Check:
    if word.kind in ("@", "!"):
        return _everybody if word.kind == "@" else _nobody
    if word.kind == "rule":
        return named(word.match)
    wanted = _target(word.match)
    if word.kind == "role":
        return _has_role(word.match.lower()) if wanted is None else _has_targets_role(wanted)
    if word.kind == "is_admin":
        return _is_admin(named(_IS_ADMIN), word.match)
    if word.kind in _KNOWN:
        return _knows(_KNOWN[word.kind], word.match, wanted)
    literal = _literal(word.kind)
    return lambda _, project_id, user_id: literal == (word.match if wanted is None else wanted(project_id, user_id))


_Wanted = Callable[[str | None, str | None], str | None]


def _target(match: str) -> _Wanted | None:
    """What of the target the match stands for, None where it is a plain text. Of nobody in particular it is None."""
    if "%" not in match:
        return None
    if match == "%(project_id)s":
        return lambda project_id, _: project_id
    if match == "%(user_id)s":
        return lambda _, user_id: user_id

    def filled(project_id: str | None, user_id: str | None) -> str | None:
        known = {"project_id": project_id, "user_id": user_id}
        has_all = all(known[name] is not None for name in _PART.findall(match))
        return match % known if has_all else None

    return filled


def _has_role(role: str) -> Check:
    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        del project_id, user_id
        return role in caller.roles or any(each.lower() == role for each in caller.roles)

    return check


def _has_targets_role(wanted: _Wanted) -> Check:
    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        role = wanted(project_id, user_id)
        return role is not None and role.lower() in {each.lower() for each in caller.roles}

    return check


def _is_admin(check: Check, match: str) -> Check:
    return lambda caller, project_id, user_id: str(check(caller, project_id, user_id)) == match


def _knows(known: Callable[[Caller], object], match: str, wanted: _Wanted | None) -> Check:
    if wanted is None:
        return lambda caller, _project_id, _user_id: str(known(caller)) == match

    def check(caller: Caller, project_id: str | None, user_id: str | None) -> bool:
        value = wanted(project_id, user_id)
        return value is not None and value == known(caller)

    return check
