"""Texts as sparse matrices of the terms of a vocabulary, counted or weighted."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from importlib.util import find_spec, module_from_spec, spec_from_file_location

import numpy as np

from fast.data import Sparse
from fast.stages import Refused, Stage
from fast.unpickling import Unknown

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    from fast.building import Builder
    from fast.unpickling import Fitted

    Terms = Callable[[str], Iterable[str]]

SPACES = re.compile(r"\s\s+")


def counts(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a CountVectorizer, of a list of texts."""
    kind = np.dtype(model.dtype)
    if kind.kind == "f" and kind != np.float64:
        raise Unknown(f"{type(model).__name__} of {kind}")
    terms, places, width = terms_of(model), model.vocabulary_, len(model.vocabulary_)

    def run(texts: list[str]) -> Sparse:
        rows: list[int] = []
        columns: list[int] = []
        values: list[int] = []
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise Refused(f"{text} is an invalid document, expected a string")
            found = Counter(places[term] for term in terms(text) if term in places)
            for place in sorted(found):
                rows.append(row)
                columns.append(place)
                values.append(1 if model.binary else found[place])
        return Sparse(
            np.array(rows, dtype=np.intp),
            np.array(columns, dtype=np.intp),
            np.array(values, dtype=np.float64),
            (len(texts), width),
        )

    return Stage(run, gives_sparse=True)


def weights(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a TfidfTransformer."""
    if model.norm not in (None, "l1", "l2"):
        raise Unknown(f"TfidfTransformer with norm {model.norm}")
    rarity = getattr(model, "idf_", None)

    def run(counted: Sparse) -> Sparse:
        values = np.log(counted.values) + 1.0 if model.sublinear_tf else counted.values
        if rarity is not None:
            values = values * rarity.take(counted.columns)
        if model.norm is not None:
            lengths = counted.sums(np.abs(values) if model.norm == "l1" else values**2)
            lengths = lengths if model.norm == "l1" else np.sqrt(lengths)
            values = values / lengths.take(counted.rows)
        return Sparse(counted.rows, counted.columns, values, counted.shape)

    return Stage(run, needs_sparse=True, gives_sparse=True)


def weighted_counts(model: Fitted, build: Builder) -> Stage:
    """Return the stage of a TfidfVectorizer."""
    return weights(model._tfidf, build).after(counts(model, build))


def terms_of(model: Fitted) -> Terms:
    """Return a function to the terms of a text, as CountVectorizer's analyzer."""
    if model.preprocessor is not None or model.tokenizer is not None or model.input != "content":
        raise Unknown(f"{type(model).__name__} with functions of its own")
    prepare = prepared(model)
    least, most = model.ngram_range
    if model.analyzer == "word":
        tokens, stop_words = tokens_of(model.token_pattern), stop_words_of(model.stop_words)
        if least == most == 1 and not stop_words:
            return lambda text: tokens(prepare(text))
        return lambda text: sequences(
            [token for token in tokens(prepare(text)) if token not in stop_words], least, most
        )
    if model.analyzer == "char":
        return lambda text: characters(SPACES.sub(" ", prepare(text)), least, most)
    if model.analyzer == "char_wb":
        return lambda text: within_words(SPACES.sub(" ", prepare(text)), least, most)
    raise Unknown(f"{type(model).__name__} with an analyzer of its own")


def tokens_of(pattern: str) -> Callable[[str], list[str]]:
    compiled = re.compile(pattern)
    if compiled.groups > 1:
        raise Unknown("a pattern of several groups")
    return compiled.findall


def prepared(model: Fitted) -> Callable[[str], str]:
    accents: dict[Any, Callable[[str], str]] = {
        None: str,
        "ascii": ascii_alone,
        "unicode": without_accents,
    }
    if not isinstance(model.strip_accents, str | None) or model.strip_accents not in accents:
        raise Unknown(f"{type(model).__name__} with functions of its own")
    strip = accents[model.strip_accents]
    return (lambda text: strip(text.lower())) if model.lowercase else strip


def ascii_alone(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")


def without_accents(text: str) -> str:
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def stop_words_of(given: Any) -> Collection[str]:
    if given is None:
        return frozenset()
    if given == "english":
        return english()
    if not isinstance(given, list | set | frozenset):
        raise Unknown("stop words that are no list")
    return frozenset(given)


def english() -> Collection[str]:
    """Return scikit-learn's list of stop words, from the file in which it stands alone."""
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise Unknown("stop words of a scikit-learn that is not here")
    folder = package.submodule_search_locations[0]
    path = f"{folder}/feature_extraction/_stop_words.py"
    spec = spec_from_file_location("stop_words", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    words: Collection[str] = module.ENGLISH_STOP_WORDS
    return words


def sequences(tokens: list[str], least: int, most: int) -> list[str]:
    """Return sequences of `least` to `most` words."""
    terms = list(tokens) if least == 1 else []
    for length in range(max(least, 2), min(most, len(tokens)) + 1):
        for start in range(len(tokens) - length + 1):
            terms.append(" ".join(tokens[start : start + length]))
    return terms


def characters(text: str, least: int, most: int) -> list[str]:
    """Return sequences of `least` to `most` characters."""
    return [
        text[start : start + length]
        for length in range(least, min(most, len(text)) + 1)
        for start in range(len(text) - length + 1)
    ]


def within_words(text: str, least: int, most: int) -> list[str]:
    """Return sequences of characters of each word with a space at both ends.

    A word that is shorter than a length is one term, and has no longer ones.
    """
    terms = []
    for word in (f" {word} " for word in text.split()):
        for length in range(least, most + 1):
            terms += [word[start : start + length] for start in range(len(word) - length + 1)] or [
                word
            ]
            if length >= len(word):
                break
    return terms
