"""Statements as trees, so that one that shows a difference can be made smaller."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A part of a statement: its text with `{}` for each child.

    `kind` says where it may stand: a node may be put in the place of another of its kind. What is
    `optional` may be left out.
    """

    kind: str
    text: str
    children: tuple = ()
    optional: bool = False

    def __str__(self):
        pieces = self.text.split("{}")
        texts = [str(child) for child in self.children]
        return "".join(piece + text for piece, text in zip(pieces, [*texts, ""], strict=True))

    def size(self):
        return 1 + sum(child.size() for child in self.children)

    def all_of(self, kind):
        """The nodes of a kind below this one."""
        for child in self.children:
            if child.kind == kind:
                yield child
            yield from child.all_of(kind)

    def smaller(self):
        """Trees that are this one with some part smaller, the largest cuts first."""
        if self.optional and self.text:
            yield Node(self.kind, "", optional=True)
        yield from sorted(self.all_of(self.kind), key=Node.size)
        for place, child in enumerate(self.children):
            for less in child.smaller():
                rest = self.children[place + 1 :]
                children = (*self.children[:place], less, *rest)
                yield Node(self.kind, self.text, children, self.optional)


def leaf(kind, text):
    """A part without parts. Braces in the text are text."""
    return Node(kind, text) if "{}" not in text else Node(kind, "{}", (Raw(text),))


class Raw:
    """Text that is never cut."""

    kind = "raw"
    children = ()

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def size(self):
        return 1

    def all_of(self, _kind):
        return iter(())

    def smaller(self):
        return iter(())


def shrink(tree, differs, tries=200):
    """The smallest tree that can be found for which `differs` still holds."""
    while tries > 0:
        for less in tree.smaller():
            tries -= 1
            if less.size() <= tree.size() and str(less) != str(tree) and differs(less):
                tree = less
                break
            if tries <= 0:
                return tree
        else:
            return tree
    return tree
