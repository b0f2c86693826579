"""The one transition table."""

import pytest

from syncd.core.states import TABLE, Cause, InvalidTransitionError, State, sources, transition


def test_every_state_can_be_reached_and_every_cause_is_used():
    assert set(TABLE.values()) == set(State)
    assert {cause for _, cause in TABLE} == set(Cause)


def test_a_job_ends_only_from_uploading():
    for cause in (Cause.UPLOADED, Cause.DUPLICATE, Cause.REFUSED, Cause.DEFERRED, Cause.RELEASED):
        assert sources(cause) == (State.UPLOADING,)


def test_uploading_is_reached_only_by_a_claim():
    assert {cause for (_, cause), end in TABLE.items() if end is State.UPLOADING} == {Cause.CLAIMED}


def test_new_content_brings_every_resting_job_back():
    for state in set(State) - {State.UPLOADING}:
        assert transition(state, Cause.CHANGED) is State.QUEUED


@pytest.mark.parametrize(
    ("state", "cause"), [(State.DONE, Cause.CLAIMED), (None, Cause.UPLOADED), (State.DONE, Cause.GONE)]
)
def test_what_the_table_does_not_have_is_refused(state, cause):
    with pytest.raises(InvalidTransitionError, match=cause.value):
        transition(state, cause)
