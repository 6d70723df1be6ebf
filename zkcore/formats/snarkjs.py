"""Verifying keys, proofs and public inputs as snarkjs 0.7 writes them in JSON, both ways and strictly.

Numbers are decimal strings without sign or leading zeros. A point of G1 is ``[x, y, "1"]``, of G2
``[[x0, x1], [y0, y1], ["1", "0"]]``. Only ``groth16`` over ``bn128`` is taken. These functions care for the form alone;
whether coordinates are in range and points on their curves is checked by whoever builds keys and proofs from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zkcore.bn254 import R
from zkcore.errors import Malformed, OutOfRange

if TYPE_CHECKING:  # the curve's module compiles kernels; reading JSON does not need them
    from zkcore.curve import G1Point, G2Point

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_KEY_FIELDS = {"protocol", "curve", "nPublic", "vk_alpha_1", "vk_beta_2", "vk_gamma_2", "vk_delta_2", "IC"}
_PROOF_FIELDS = {"protocol", "curve", "pi_a", "pi_b", "pi_c"}


def _number(value: Any, part: str) -> int:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Malformed(part, "not a decimal string")
    return int(value)


def _items(value: Any, count: int, part: str) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise Malformed(part, f"not a list of {count}")
    return value


def _g1(value: Any, part: str) -> G1Point:
    x, y, z = (_number(item, f"{part}[{i}]") for i, item in enumerate(_items(value, 3, part)))
    if (x, y, z) == (0, 1, 0):
        return None
    if z != 1:
        raise Malformed(part, "the third coordinate must be 1")
    return x, y


def _g2(value: Any, part: str) -> G2Point:
    rows = [_items(item, 2, f"{part}[{i}]") for i, item in enumerate(_items(value, 3, part))]
    x, y, z = ((_number(row[0], f"{part}[{i}][0]"), _number(row[1], f"{part}[{i}][1]")) for i, row in enumerate(rows))
    if (x, y, z) == ((0, 0), (1, 0), (0, 0)):
        return None
    if z != (1, 0):
        raise Malformed(part, 'the third coordinate must be ["1", "0"]')
    return x, y


def _document(value: Any, fields: set[str], ignored: set[str], part: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Malformed(part, "not an object")
    missing, unknown = fields - set(value), set(value) - fields - ignored
    if missing or unknown:
        raise Malformed(part, f"fields missing: {sorted(missing)}, unknown: {sorted(map(str, unknown))}")
    if value["protocol"] != "groth16":
        raise Malformed(f"{part}.protocol", "only groth16 is supported")
    if value["curve"] != "bn128":
        raise Malformed(f"{part}.curve", "only bn128 is supported")
    return value


def _g1_json(point: G1Point) -> list[str]:
    return ["0", "1", "0"] if point is None else [str(point[0]), str(point[1]), "1"]


def _g2_json(point: G2Point) -> list[list[str]]:
    if point is None:
        return [["0", "0"], ["1", "0"], ["0", "0"]]
    return [[str(part) for part in coordinate] for coordinate in (*point, (1, 0))]


def read_verifying_key(
    value: Any, part: str = "verification_key"
) -> tuple[G1Point, G2Point, G2Point, G2Point, tuple[G1Point, ...]]:
    """alpha, beta, gamma, delta and the points of the public inputs, from ``verification_key.json``.

    ``vk_alphabeta_12`` is not read: it follows from the points.

    Raises
    ------
    Malformed
        A field is missing, unknown or not of the form above.
    """
    document = _document(value, _KEY_FIELDS, {"vk_alphabeta_12"}, part)
    alpha = _g1(document["vk_alpha_1"], f"{part}.vk_alpha_1")
    beta, gamma, delta = (_g2(document[name], f"{part}.{name}") for name in ("vk_beta_2", "vk_gamma_2", "vk_delta_2"))
    count = document["nPublic"]
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise Malformed(f"{part}.nPublic", "not a number of inputs")
    ic = _items(document["IC"], count + 1, f"{part}.IC")
    return alpha, beta, gamma, delta, tuple(_g1(item, f"{part}.IC[{i}]") for i, item in enumerate(ic))


def write_verifying_key(alpha: G1Point, beta: G2Point, gamma: G2Point, delta: G2Point, ic: Sequence[G1Point]) -> Any:
    """The JSON value of ``verification_key.json``."""
    return {
        "protocol": "groth16",
        "curve": "bn128",
        "nPublic": len(ic) - 1,
        "vk_alpha_1": _g1_json(alpha),
        "vk_beta_2": _g2_json(beta),
        "vk_gamma_2": _g2_json(gamma),
        "vk_delta_2": _g2_json(delta),
        "IC": [_g1_json(point) for point in ic],
    }


def read_proof(value: Any, part: str = "proof") -> tuple[G1Point, G2Point, G1Point]:
    """Points a, b and c of ``proof.json``; refuses as :func:`read_verifying_key`."""
    document = _document(value, _PROOF_FIELDS, set(), part)
    a, c = (_g1(document[name], f"{part}.{name}") for name in ("pi_a", "pi_c"))
    return a, _g2(document["pi_b"], f"{part}.pi_b"), c


def write_proof(a: G1Point, b: G2Point, c: G1Point) -> Any:
    """The JSON value of ``proof.json``."""
    return {"pi_a": _g1_json(a), "pi_b": _g2_json(b), "pi_c": _g1_json(c), "protocol": "groth16", "curve": "bn128"}


def public_from_json(value: Any, part: str = "public") -> list[int]:
    """Public inputs from ``public.json``.

    Raises
    ------
    Malformed
        Not a list of decimal strings.
    OutOfRange
        A number is not below the order of the groups.
    """
    if not isinstance(value, list):
        raise Malformed(part, "not a list")
    numbers = [_number(item, f"{part}[{i}]") for i, item in enumerate(value)]
    for i, number in enumerate(numbers):
        if number >= R:
            raise OutOfRange(f"{part}[{i}]", "not below the order of the scalar field")
    return numbers


def public_to_json(public: Sequence[int]) -> list[str]:
    """The JSON value of ``public.json``."""
    return [str(number) for number in public]
