"""A field of a kind is one line: from it the field is read, created, updated and removed."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest

from deployer.resources.fields import (
    Member,
    Setting,
    given,
    members,
    read_members,
    settings,
    write_members,
)


def doubled(value: int) -> int:
    return 2 * value


def halved(value: int) -> int:
    return value // 2


class ThingFields(TypedDict):
    """The fields of a made-up kind."""

    tags: dict[str, str]
    plain: Annotated[int, Member("Plain", default=7)]
    nested: Annotated[str, Member("Outer.Inner")]
    beside: Annotated[str | None, Member("Outer.Beside")]
    listed: Annotated[str, Member("Rules[].Name", default="none")]
    elsewhere: Annotated[int, Member("In", answer="Answer.Out", parse=doubled, write_as=halved)]
    own: Annotated[str | None, Setting("Text", put="put_text", remove="delete_text")]


ANSWER: dict[str, Any] = {
    "Plain": 1,
    "Outer": {"Inner": "a", "Beside": "b"},
    "Rules": [{"Name": "c"}],
    "Answer": {"Out": 4},
    "Text": "d",
}
VALUES: dict[str, Any] = {
    "plain": 1,
    "nested": "a",
    "beside": "b",
    "listed": "c",
    "elsewhere": 8,
    "own": "d",
}


def test_fields_without_a_member_are_left_to_the_kind() -> None:
    assert set(members(ThingFields)) == set(VALUES)
    assert set(settings(ThingFields)) == {"own"}


def test_fields_are_read_from_their_places() -> None:
    assert read_members(members(ThingFields), ANSWER) == VALUES


@pytest.mark.parametrize("answer", [{}, {"Rules": []}, {"Outer": None, "Plain": None}])
def test_what_an_answer_lacks_has_its_default(answer: dict[str, Any]) -> None:
    values = read_members(members(ThingFields), answer)
    assert values == {**dict.fromkeys(VALUES), "plain": 7, "listed": "none"}


def test_fields_are_written_to_their_places_and_share_containers() -> None:
    assert write_members(members(ThingFields), VALUES) == {
        "Plain": 1,
        "Outer": {"Inner": "a", "Beside": "b"},
        "Rules": [{"Name": "c"}],
        "In": 4,
        "Text": "d",
    }


def test_a_creation_sends_no_none_and_an_update_only_the_given_fields() -> None:
    table = members(ThingFields)
    assert write_members(table, given({"nested": "a", "beside": None})) == {"Outer": {"Inner": "a"}}
    assert write_members(table, {"plain": 0}) == {"Plain": 0}


def test_a_setting_is_put_or_removed_by_calls_of_its_own() -> None:
    setting = settings(ThingFields)["own"]
    assert setting.call("x") == ("put_text", {"Text": "x"})
    assert setting.call(None) == ("delete_text", {})
