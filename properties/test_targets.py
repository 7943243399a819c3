"""Rule Q8: which addresses are asked, however they are written."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kala_trio.core.errors import Refused
from kala_trio.runner.targets import USUALLY_DENIED, Targets, parse_networks

addresses = st.ip_addresses(v=4).filter(lambda each: not each.is_unspecified)
networks = st.builds(
    lambda address, bits: IPv4Network((int(address) >> bits << bits, 32 - bits)),
    st.ip_addresses(v=4),
    st.integers(0, 32),
)
several = st.lists(networks, max_size=3).map(tuple)


def is_among(address: IPv4Address, some: tuple[IPv4Network, ...]) -> bool:
    """Tell it by arithmetic: the first bits are those of one of the networks."""
    return any(
        int(address) >> (32 - each.prefixlen) == int(each.network_address) >> (32 - each.prefixlen)
        for each in some
    )


@given(addresses, several, several)
def test_what_is_allowed_is_asked_and_else_what_is_not_denied(
    address: IPv4Address, allowed: tuple[IPv4Network, ...], denied: tuple[IPv4Network, ...]
) -> None:
    """Rule Q8."""
    expected = is_among(address, allowed) if allowed else not is_among(address, denied)
    assert Targets(allowed, denied).permit(str(address)) == expected


@given(addresses, several)
def test_an_address_of_the_other_family_counts_as_the_one_that_it_leads_to(
    address: IPv4Address, denied: tuple[IPv4Network, ...]
) -> None:
    """Rule Q8: mapped, by NAT64, and by 6to4."""
    targets, number = Targets((), denied), int(address)
    for other in (
        IPv6Address(0xFFFF_0000_0000 | number),
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),
        IPv6Address(0x2002 << 112 | number << 80),
    ):
        assert targets.permit(str(other)) == targets.permit(str(address))


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.169.254"],
)
def test_where_clouds_keep_secrets_nobody_asks_unless_told(address: str) -> None:
    """Rule Q8."""
    assert not Targets().permit(address)
    assert Targets(denied=()).permit(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "10.0.0.1", "93.184.216.34", "2001:db8::1"]
)
def test_all_other_addresses_are_asked_if_nothing_is_said(address: str) -> None:
    """Rule Q8."""
    assert Targets().permit(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_an_address_that_means_this_machine_is_its_own(address: str) -> None:
    """Rule Q8."""
    denied = parse_networks("x", "127.0.0.0/8, ::1")
    assert not Targets(denied=denied).permit(address)


def test_networks_are_read_and_what_is_none_is_refused_by_name() -> None:
    assert parse_networks("x", "") == ()
    assert [str(each) for each in parse_networks("x", " 10.0.0.0/8,::1 ,")] == [
        "10.0.0.0/8",
        "::1/128",
    ]
    for wrong in ("10.0.0.1/8", "example.com", "1.2.3", "10.0.0.0/33"):
        with pytest.raises(Refused, match="--deny-targets"):
            parse_networks("--deny-targets", f"::1,{wrong}")
    assert ip_address("169.254.1.1") in USUALLY_DENIED[0]
