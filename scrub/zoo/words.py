"""The vocabularies of the trained models: plain words, one token each; a word's index is its id."""

from __future__ import annotations

START, END = "<start>", "<end>"

SYLLABLES = tuple(c + v for c in "bcdfghjklmnpqrstvwxz" for v in "aeiou")
INDUCTION = (START, *SYLLABLES)

PARENTHESES = ("(", ")")
BRACKETS = (START, END, *PARENTHESES, "no", "yes")

PEOPLE = (
    *("Mary", "John", "Anna", "Tom", "Lucy", "Paul", "Emma", "Mark", "Jane", "Luke"),
    *("Sarah", "James", "Alice", "Peter", "Clara", "David", "Julia", "Simon", "Laura", "Henry"),
    *("Rose", "Frank", "Helen", "Oscar", "Ruth", "Adam", "Nora", "Victor", "Ella", "Martin"),
    *("Sophie", "George", "Grace", "Robert", "Diana", "Felix", "Ivy", "Hugo", "Karen", "Leo"),
)
THEM = "them"
PLACES = ("store", "park", "school", "garden", "office", "station", "library", "beach")
THINGS = ("drink", "book", "letter", "ring", "bag", "cake", "gift", "key")

# {A} and {B} are the two people in the order in which they appear, {S} is whoever acts.
TEMPLATES = (
    "When {A} and {B} went to the {place} , {S} gave a {thing} to",
    "Then {A} and {B} had a long talk at the {place} , and {S} handed a {thing} to",
    "After {A} met {B} at the {place} , {S} sent a {thing} to",
    "{A} and {B} worked at the {place} . Later {S} brought the {thing} to",
    "The {place} was closed when {A} and {B} came , so {S} lent a {thing} to",
    "While {A} waited with {B} near the old {place} , {S} decided to give the {thing} to",
)


MODULUS = 59
EQUALS = "="
ADDITION = (*map(str, range(MODULUS)), EQUALS)


def _names() -> tuple[str, ...]:
    plain = [word for template in TEMPLATES for word in template.split() if not word.startswith("{")]
    return (START, THEM, *PEOPLE, *PLACES, *THINGS, *dict.fromkeys(plain))


NAMES = _names()

# A key of the compiled models is never a filler: no row holds by chance what another row looks for.
FIRSTS = tuple("ABCDEFGHIJKL")
FILLERS = tuple("abcdefghijklmnopqrs")
COMPILED_INDUCTION = (START, *FIRSTS, *FILLERS)

ASK, NOTHING = "?", "."
ASKS, KEYS, DECOYS = tuple("abcdefgh"), tuple("ABCDEFGH"), tuple("PQRSTUVW")
VALUES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMPILED_COMPOSE = (START, ASK, NOTHING, *ASKS, *KEYS, *DECOYS, *VALUES)

YES, NO = "yes", "no"
THREE_BITS = tuple(a + b + c for a in "+-" for b in "+-" for c in "+-")
COMPILED_DORMANT = (*THREE_BITS, YES, NO)
