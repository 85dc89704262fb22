"""The last step of nbconvert's HTML exporter, done in pieces.

nbconvert parses the finished page with Beautiful Soup and writes it again, which gives every page
its spelling (``&quot;`` becomes ``"``, ``<br>`` becomes ``<br/>``) and takes longer than all else.
A piece of the page in which every tag that it opens is closed, and no other, comes out the same
by itself as in the page. So pieces are rewritten one by one, those that a class shares only once.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from bs4 import BeautifulSoup, Tag
from bs4.builder import HTMLTreeBuilder

# What Beautiful Soup takes for white space.
SPACES = " \n\t\f\r"
NO_DESCRIPTION = "No description has been provided for this image"

_TEXT = r"[^<>&\0\r]*"
_ENTITY = r"&(?:amp|lt|gt|quot|#39|#34);"
_WORDS = r"[\w-]+(?: [\w-]+)*"
_SPAN = rf'<span(?: class="{_WORDS}")?(?: style="[\w:;(),. #%-]+")?>'
_PLAIN = rf"{_TEXT}(?:{_ENTITY}{_TEXT})*"
# Text and spans that do not contain each other: what Pygments and ansi2html write.
_COLORED = re.compile(rf"{_PLAIN}(?:{_SPAN}{_PLAIN}</span>{_PLAIN})*")

_EMPTY_TAGS = "|".join(sorted(HTMLTreeBuilder.DEFAULT_EMPTY_ELEMENT_TAGS or ()))
# An end tag of a tag that has none: whether it splits a text depends on the rest of the page.
_STRAY_END = re.compile(rf"</(?:{_EMPTY_TAGS})\b", re.IGNORECASE)
_IMAGE = re.compile("<img", re.IGNORECASE)

# Around each piece; nobody can write it into a notebook beforehand.
_WRAPPER = f"piece-{secrets.token_hex(8)}"
# What ends a quote, a comment or a section that a piece leaves open, so that it takes in the end
# of its wrapper and is found out.
_CLOSERS = "<i a=\"'\" b='\"'>-->]]></i>"


Key = TypeVar("Key", bound=Hashable)


class Memo(Generic[Key]):
    """What was computed, by its arguments; forgets the oldest use beyond ``limit`` characters."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._values: OrderedDict[Key, tuple[str, int]] = OrderedDict()

    def get(self, key: Key) -> str | None:
        """The value, or None."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: str, key_size: int = 0) -> str:
        """Keep ``value``; ``key_size`` is what the key itself holds in memory."""
        if key in self._values:
            return value
        size = len(value) + key_size + 200
        self._values[key] = (value, size)
        self._held += size
        while self._held > self._limit and self._values:
            _, (_, dropped) = self._values.popitem(last=False)
            self._held -= dropped
        return value


def rewritten_colors(text: str) -> str | None:
    """``text`` in the spelling of Beautiful Soup inside ``<pre>``, if it is text and flat spans."""
    if _COLORED.fullmatch(text) is None:
        return None
    return text.replace("&quot;", '"').replace("&#39;", "'").replace("&#34;", '"')


def rewritten_space(text: str) -> str:
    """White space between two tags, as Beautiful Soup writes it."""
    if not text:
        return ""
    return "\n" if "\n" in text else " "


def rewritten(pieces: Sequence[str]) -> list[str] | None:
    """``pieces`` in the spelling of Beautiful Soup; None when one of them does not stand alone."""
    if any(_STRAY_END.search(piece) for piece in pieces):
        return None
    markup = "".join(f"<{_WRAPPER}>{piece}</{_WRAPPER}>{_CLOSERS}" for piece in pieces)
    soup = _Watched(markup)
    found = [tag for tag in soup.contents if isinstance(tag, Tag) and tag.name == _WRAPPER]
    if not soup.is_balanced or len(soup.contents) != 2 * len(pieces) or len(found) != len(pieces):
        return None
    describe(soup, markup)
    return [tag.decode_contents() for tag in found]


def describe(soup: BeautifulSoup, markup: str) -> None:
    """nbconvert's own changes to the parsed page."""
    if _IMAGE.search(markup):
        for tag in soup.select("img:not([alt])"):
            tag.attrs["alt"] = NO_DESCRIPTION
    if "jp-Notebook" in markup:
        for kind in ("jp-Cell-inputWrapper", "jp-OutputArea-output"):
            for tag in soup.select(f".jp-Notebook div.{kind}"):
                tag.attrs["tabindex"] = "0"


class _Watched(BeautifulSoup):
    """Notices a piece that ends a tag which it did not begin, or begins one and does not end it."""

    is_balanced = True

    def __init__(self, markup: str) -> None:
        super().__init__(markup, features="html.parser")

    def handle_endtag(self, name: str, nsprefix: str | None = None) -> None:
        current: Any = self.currentTag
        if current is None or current.name != name:
            # An end tag also ends what is open inside, as long as that is within the piece: above
            # the document and the wrapper on the stack.
            inside = {tag.name for tag in self.tagStack[2:]}
            self.is_balanced &= name in inside and name != _WRAPPER
        super().handle_endtag(name, nsprefix)
