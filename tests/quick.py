"""Which tests are quick: all that they and their fixtures call needs nothing besides the virtual environment."""

import functools
import inspect
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.rigs import availability, opencode

REQUIREMENTS = (availability.need, availability.require, opencode.opencode_bin)
"""What a test calls, by itself or through others, that needs something of the machine."""

OURS = "tests."


def mark_quick(items: Iterable[pytest.Item]) -> None:
    """Mark what is quick; a test that needs programs, or takes seconds, says so by a mark where that cannot be seen."""
    for item in items:
        if isinstance(item, pytest.Function) and is_quick(item):
            item.add_marker("quick")


def is_quick(item: pytest.Function) -> bool:
    """Whether neither the test nor a fixture of its closure requires anything."""
    marked = any(item.get_closest_marker(name) for name in ("needs_programs", "thorough"))
    return not marked and not any(map(requires, sources(item)))


def sources(item: pytest.Function) -> Iterator[object]:
    """The test itself, and each of its fixtures."""
    yield item.function
    definitions = item._fixtureinfo.name2fixturedefs
    for name in item.fixturenames:
        yield from (found.func for found in definitions.get(name, ()))


@functools.cache
def requires(source: object) -> bool:
    """Whether a requirement can be reached from there."""
    seen: set[int] = set()
    waiting = [source]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if thing in REQUIREMENTS:
            return True
        waiting.extend(reached(thing))
    return False


def reached(thing: object) -> Iterator[object]:
    """What of the tests' own a function, a class or a table refers to."""
    if isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, tuple | list):
        yield from thing
    elif isinstance(thing, type) and is_ours(thing):
        yield from thing.__bases__
        yield from vars(thing).values()
    elif isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, staticmethod | classmethod | functools.cached_property):
        yield thing.func if isinstance(thing, functools.cached_property) else thing.__func__
    elif (
        callable(thing) and isinstance(function := inspect.unwrap(thing), FunctionType) and is_ours(function)
    ):
        yield from referenced(function)


def is_ours(thing: type | FunctionType) -> bool:
    """Whether it is defined in the tests."""
    return thing.__module__.startswith(OURS)


def referenced(function: FunctionType) -> Iterator[object]:
    """The values of the names that a function uses, those of the modules that it names included."""
    names = set(names_in(function.__code__))
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    for value in found:
        if not isinstance(value, ModuleType):
            yield value
        elif value.__name__.startswith(OURS):
            yield from (vars(value)[name] for name in names if name in vars(value))


def names_in(code: CodeType) -> Iterator[str]:
    """The names in a function and in the functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)
