"""kala-trio's durations, an epsilon's among them: rule S3, and the scaling of rule S4."""

from contextlib import suppress

import isodate  # type: ignore[import-untyped]  # it has no annotations
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kala_trio.core.duration import HOUR, MINUTE, SECOND, Duration
from kala_trio.core.errors import Malformed
from properties.stepping import Interval
from properties.strategies import intervals

durations = intervals.map(Interval.text).map(Duration.parse)
numbers = st.none() | st.integers(0, 40) | st.integers(0, 10**20)
characters = st.sampled_from("PYMWDTHS0123456789.,-+ \n１pd") | st.characters()
texts = st.text("PYMWDTHS019.,", max_size=20).map(lambda text: "P" + text) | st.text(characters)


def assert_judged(text: str) -> None:
    """Hold that ``text`` is a positive duration with a canonical text, or is refused."""
    with suppress(Malformed):
        duration = Duration.parse(text)
        assert duration.months + duration.days + duration.microseconds > 0
        assert Duration.parse(str(duration)) == duration


@given(durations)
def test_what_was_written_is_read_as_the_same_duration(duration: Duration) -> None:
    """S3: parse(str(d)) = d."""
    assert Duration.parse(str(duration)) == duration


@given(st.tuples(*[numbers] * 7))
def test_each_unit_has_its_worth(parts: tuple[int | None, ...]) -> None:
    """S3: years are months, weeks are days, and hours, minutes and seconds are elapsed time."""
    y, mo, w, d, h, mi, s = parts
    date = "".join(f"{n}{letter}" for n, letter in [(y, "Y"), (mo, "M"), (w, "W"), (d, "D")] if n)
    time = "".join(f"{n}{letter}" for n, letter in [(h, "H"), (mi, "M"), (s, "S")] if n)
    assume(date or time)
    duration = Duration.parse(f"P{date}T{time}" if time else f"P{date}")
    assert duration.months == 12 * (y or 0) + (mo or 0)
    assert duration.days == 7 * (w or 0) + (d or 0)
    assert duration.microseconds == HOUR * (h or 0) + MINUTE * (mi or 0) + SECOND * (s or 0)


@given(
    st.integers(0, 10**6),
    st.text("0123456789", min_size=1, max_size=12),
    st.sampled_from([("H", HOUR), ("M", MINUTE), ("S", SECOND)]),
    st.sampled_from(".,"),
)
def test_a_fraction_is_cut_to_microseconds(
    whole: int, digits: str, unit: tuple[str, int], mark: str
) -> None:
    """S3: the last of H, M and S may carry a fraction, of which whole microseconds count."""
    letter, worth = unit
    exact_times = int(f"{whole}{digits}") * worth
    assume(exact_times >= 10 ** len(digits))
    duration = Duration.parse(f"PT{whole}{mark}{digits}{letter}")
    assert duration == Duration(microseconds=exact_times // 10 ** len(digits))


@given(texts)
@example("P" + "9" * 499)
@example("P" + "9" * 6000 + "D")  # more digits than int() takes
@example("PT" + "0" * 480 + ".1S")
@example("PT1.5H\n")
def test_any_text_is_a_duration_or_is_refused(text: str) -> None:
    """S3, S7: no text makes the parser raise anything but Malformed, or yield nothing at all."""
    assert_judged(text)


@given(durations.map(str), st.data())
def test_a_changed_text_is_still_judged(text: str, data: st.DataObject) -> None:
    """S3: a duration with one character changed is another duration or refused."""
    place = data.draw(st.integers(0, len(text)))
    changed = text[:place] + data.draw(characters) + text[place + data.draw(st.integers(0, 1)) :]
    assert_judged(changed)


@given(texts | durations.map(str))
@example("P10000000000000000000000000001M")  # more digits than isodate's Decimal adds exactly
def test_isodate_agrees_on_what_both_accept(text: str) -> None:
    """S3: where isodate accepts a text too, months are its months and the rest adds up to its rest.

    It makes a day of 24 hours and rounds where rule S3 cuts, hence the microsecond.
    """
    try:
        ours, theirs = (
            Duration.parse(text),
            isodate.parse_duration(text, as_timedelta_if_possible=False),
        )
    except (Malformed, ValueError, OverflowError, ArithmeticError):
        assume(False)
    assert ours.months == 12 * int(theirs.years) + int(theirs.months)
    rest = (
        theirs.tdelta.days * 86_400 + theirs.tdelta.seconds
    ) * SECOND + theirs.tdelta.microseconds
    assert abs(ours.days * 24 * HOUR + ours.microseconds - rest) <= 1


@given(durations, st.integers(0, 10**6), st.integers(0, 10**6))
def test_scaling_is_multiplication_part_by_part(duration: Duration, a: int, b: int) -> None:
    """S4: to scale by a and then by b is to scale by a·b; each part is scaled alone."""
    assert duration.scaled(a).scaled(b) == duration.scaled(a * b)
    assert duration.scaled(1) == duration
    assert duration.scaled(a).days == a * duration.days


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "P1DT", "D", "1D", "PD", "T1H", "PT1D", "P1H"),  # shape
        *("P0D", "PT0S", "P0Y0M0W0DT0H0M0S", "PT0.0S", "PT0.0000009S"),  # nothing
        *("-P1D", "+P1D", "P-1D", "P+1D", "PT-1S"),  # signs
        *("P1.5D", "P0.5Y", "P1.5W", "PT1.5H1M", "PT1.5M1S", "PT.5S", "PT1.S", "PT1.5.5S"),
        *("P1M1Y", "P1D1W", "PT1S1M", "P1D1D"),  # order
        *("p1d", "P1d", "P 1D", " P1D", "P1D ", "P1D\n", "P１D", "P1٣D"),  # letters and digits
        *("P0001-01-01T00:00:00", "P1D/P1D", "P" + "9" * 31 + "D", "P" + "1" * 500 + "D"),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """S3: the grammar is strict, and the refusal names the field and shows what works."""
    with pytest.raises(Malformed) as refusal:
        Duration.parse(text, field="epsilon")
    assert refusal.value.field == "epsilon"
    assert "for example P1DT12H" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("P1W", "P7D"),
        ("P1Y2W3D", "P1Y17D"),
        ("P18M", "P1Y6M"),
        ("PT24H", "PT24H"),
        ("P1D", "P1D"),
        ("PT90M", "PT1H30M"),
        ("PT0,5H", "PT30M"),
        ("PT1.5S", "PT1.5S"),
        ("PT0.0000019S", "PT0.000001S"),
        ("PT3600S", "PT1H"),
    ],
)
def test_equal_durations_have_one_text(text: str, canonical: str) -> None:
    """S3: equal durations have one text, and PT24H is not P1D."""
    assert str(Duration.parse(text)) == canonical
