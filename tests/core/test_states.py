"""Tests of the table of transitions."""

import pytest

from syncd.core.states import TABLE, Cause, InvalidTransitionError, State, sources, transition


def test_table_reaches_every_state_and_uses_every_cause():
    assert set(TABLE.values()) == set(State)
    assert {cause for _, cause in TABLE} == set(Cause)


def test_table_results_start_only_from_uploading():
    for cause in (Cause.UPLOADED, Cause.DUPLICATE, Cause.REFUSED, Cause.DEFERRED, Cause.RELEASED):
        assert sources(cause) == (State.UPLOADING,)


def test_table_uploading_is_reached_only_by_a_claim():
    assert {cause for (_, cause), end in TABLE.items() if end is State.UPLOADING} == {Cause.CLAIMED}


def test_transition_changed_queues_every_resting_job():
    for state in set(State) - {State.UPLOADING}:
        assert transition(state, Cause.CHANGED) is State.QUEUED


@pytest.mark.parametrize(
    ("state", "cause"), [(State.DONE, Cause.CLAIMED), (None, Cause.UPLOADED), (State.DONE, Cause.GONE)]
)
def test_transition_missing_from_table_raises(state, cause):
    with pytest.raises(InvalidTransitionError, match=cause.value):
        transition(state, cause)
