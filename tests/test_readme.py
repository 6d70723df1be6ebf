"""What the README tells a reader to type works."""

import re
from fractions import Fraction
from pathlib import Path

from circuits.schema import Schema
from services import query
from zkcore import poseidon

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_schema_and_query_are_accepted() -> None:
    (text,) = blocks("toml")
    schema = Schema.from_toml(text)
    (sql,) = re.findall(r'--query "(SELECT .*?)"', README)
    assert query.parse(sql, {schema.name: schema}).dataset == schema.name


def test_the_circuit_proves() -> None:
    code = next(block for block in blocks("python") if "ConstraintSystem" in block)
    names: dict = {"value": poseidon.hash([42])}
    exec(code, names)
    assert names["verifying_key"].prepare().verify(names["proof"], names["public"])


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (Path(__file__).resolve().parent.parent / path).is_file()


def test_the_columns_give_what_the_comments_say() -> None:
    code = next(block for block in blocks("python") if "generate_keypair" in block)
    names: dict = {}
    lines = code.replace("generate_keypair() ", "generate_keypair(2048) ").splitlines()
    exec("\n".join(line for line in lines if "decrypt" not in line), names)
    answers = [eval(line.split("  # ")[0], names) for line in lines if "decrypt" in line]
    assert answers == [[Fraction(2099, 100), Fraction(201, 100)], [2101]]
