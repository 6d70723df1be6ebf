"""Schemas that the tests of services share."""

from circuits.schema import Schema

FILING = Schema.from_toml(
    """
name = "filing"
description = "Yearly figures"
minimum_cohort = 3

[[attributes]]
name = "category"

[[attributes]]
name = "country"

[[attributes]]
name = "group"

[[fields]]
name = "sales"
type = "u64"
unit = "million USD"

[[fields]]
name = "profits"
type = "i64"
unit = "million USD"

[[fields]]
name = "assets"
type = "u64"
unit = "million USD"
"""
)
"""A dataset with three attributes (one named like a word of SQL) and three fields, one of them signed."""

SCHEMAS = {FILING.name: FILING}
