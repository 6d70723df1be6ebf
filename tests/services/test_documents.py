"""Canonical documents: one text for one content, and nothing else is read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import documents
from services.certificate_authority import CertificateAuthority
from services.documents import Reader, canonical, check_signature, read, sign
from services.errors import BadSignature
from services.identity import NotIssuedByAuthority, Role
from zkcore.errors import Malformed, OutOfRange, Refused, WrongLength
from zkcore.formats import json_text

AUTHORITY = CertificateAuthority.create()
SIGNER = AUTHORITY.issue(Role.OPERATOR, "node")
KIND = "zkshare test document"
CONTENT = {"b": [1, True, None, '税 \\ " \n'], "a": {"y": "1", "x": []}}
TEXT = sign(KIND, CONTENT, SIGNER)
NOW = datetime.now(UTC)


def test_a_signed_document_is_read_and_its_signer_known() -> None:
    reader = read(TEXT, KIND)
    assert reader.nested("a").texts("x", 3, 3) == ()
    assert check_signature(TEXT, KIND, AUTHORITY, NOW).uri == "zkshare://operator/node"
    assert TEXT.startswith(b'{\n  "a": {\n    "x": [],\n    "y": "1"\n  },\n  "b": [') and TEXT.endswith(
        b'"version": 1\n}\n'
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text + b"\n",
        lambda text: b" " + text,
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"  ", b"\t"),
        lambda text: text.replace(b": ", b":"),
        lambda text: text.replace(b'"version": 1', b'"version": 1.0'),
        lambda text: text.replace(b'"version": 1', b'"version": 1e0'),
        lambda text: text.replace(b'"version": 1', b'"version": 01'),
        lambda text: text.replace(b'"version": 1', b'"version": -0'),
        lambda text: text.replace(b'"version": 1', b'"version": NaN'),
        lambda text: text.replace(b'"version": 1', b'"version": 2'),
        lambda text: text.replace(b'"version": 1', b'"version": "1"'),
        lambda text: text.replace(b'"version": 1', b'"version": true'),
        lambda text: text.replace(b'"version": 1', b'"version": ' + b"1" * 5000),
        lambda text: text.replace(b'"version": 1', b'"version": 1,\n  "version": 1'),
        lambda text: text.replace(b'  "version": 1', b'  "version": 1,\n  "another": 1'),
        lambda text: text.replace(b',\n  "version": 1', b""),
        lambda text: text.replace("税".encode(), b"\\u7a0e"),
        lambda text: text.replace("税".encode(), b"\\ud800"),
        lambda text: text.replace("税".encode(), b"\xff"),
        lambda text: text.replace(b"zkshare test document", b"zkshare toast document"),
        lambda text: text.replace(b"[]", b"[" * 5000 + b"]" * 5000),
        lambda text: b"[]\n",
        lambda text: b"",
        lambda text: b"null",
    ],
)
def test_any_other_text_is_refused(change) -> None:
    changed = change(TEXT)
    assert changed != TEXT
    with pytest.raises(Malformed):
        read(changed, KIND)


def test_a_deep_document_is_refused_even_in_canonical_form() -> None:
    deep: object = []
    for _ in range(json_text.DEEPEST + 1):
        deep = [deep]
    with pytest.raises(Malformed, match="deep"):
        read(sign(KIND, {"x": deep}, SIGNER), KIND)


def test_a_large_document_is_refused() -> None:
    with pytest.raises(WrongLength):
        read(b" " * (documents.LARGEST + 1), KIND)


def test_signatures() -> None:
    with pytest.raises(BadSignature):
        check_signature(TEXT.replace(b"1,\n    true", b"2,\n    true"), KIND, AUTHORITY, NOW)
    with pytest.raises(BadSignature):
        check_signature(TEXT, "another kind", AUTHORITY, NOW)
    with pytest.raises(NotIssuedByAuthority):
        check_signature(TEXT, KIND, CertificateAuthority.create(), NOW)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.text(st.characters(exclude_categories=["Cs"]))
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "税", ""]), JSON))
def test_every_content_survives(content: dict) -> None:
    text = sign(KIND, content, SIGNER)
    read(text, KIND)
    check_signature(text, KIND, AUTHORITY, NOW)
    assert canonical(content).decode().isprintable() or "\n" in canonical(content).decode()


@given(st.binary(max_size=200))
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        read(text, KIND)


@pytest.mark.parametrize(
    ("content", "take", "refusal"),
    [
        ({}, lambda r: r.text("x", 3), Malformed),
        ({"x": "four"}, lambda r: r.text("x", 3), WrongLength),
        ({"x": 1}, lambda r: r.text("x", 3), Malformed),
        ({"x": True}, lambda r: r.integer("x", 0, 3), Malformed),
        ({"x": 3}, lambda r: r.integer("x", 0, 3), OutOfRange),
        ({"x": -1}, lambda r: r.integer("x", 0, 3), OutOfRange),
        ({"x": 1}, lambda r: r.flag("x"), Malformed),
        ({"x": "AB"}, lambda r: r.data("x", 3), Malformed),
        ({"x": "abc"}, lambda r: r.data("x", 3), Malformed),
        ({"x": "ab cd"}, lambda r: r.data("x", 3), Malformed),
        ({"x": "abcd"}, lambda r: r.data("x", 3, 3), WrongLength),
        ({"x": "abcdabcd"}, lambda r: r.data("x", 3), WrongLength),
        ({"x": "2026-11-23"}, lambda r: r.time("x"), Malformed),
        ({"x": "2026-11-23T1:02:03Z"}, lambda r: r.time("x"), Malformed),
        ({"x": "2026-02-30T01:02:03Z"}, lambda r: r.time("x"), Malformed),
        ({"x": []}, lambda r: r.nested("x"), Malformed),
        ({"x": [1]}, lambda r: r.objects("x", 3), Malformed),
        ({"x": [{}, {}]}, lambda r: r.objects("x", 1), WrongLength),
        ({"x": ["a", 1]}, lambda r: r.texts("x", 3, 3), Malformed),
        ({"x": ["four"]}, lambda r: r.texts("x", 3, 3), Malformed),
        ({"x": [["a", "b"]]}, lambda r: r.rows("x", 3, 1, 3), Malformed),
        ({"x": ["a"]}, lambda r: r.rows("x", 3, 1, 3), Malformed),
        ({"x": ["abcd"]}, lambda r: r.blobs("x", 3, 1), Malformed),
        ({"x": {"y": "01"}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": "-0"}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": "+1"}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": "1_0"}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": "١"}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": 1}}, lambda r: r.numbers("x"), Malformed),
        ({"x": {"y": "1" * 65}}, lambda r: r.numbers("x"), Malformed),
        ({"x": 1}, lambda r: r.end(), Malformed),
        ([], lambda r: r.end(), Malformed),
    ],
)
def test_fields_are_read_strictly(content, take, refusal: type[Refused]) -> None:
    with pytest.raises(refusal) as error:
        take(Reader(content, "outer"))
    assert error.value.part.startswith("outer")


def test_null_where_it_may_be() -> None:
    reader = Reader({"x": None, "y": "2026-11-23T22:02:00Z"}, "")
    assert reader.optional("x", reader.time) is None
    assert reader.optional("y", reader.time) == datetime(2026, 11, 23, 22, 2, tzinfo=UTC)
    with pytest.raises(Malformed, match="missing"):
        reader.optional("x", reader.time)
    reader.end()
