"""Who is at the other end of a connection, as far as its address tells."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

HERE = ""
"""A program of this machine, over loopback or a socket that has no address."""

# Whoever has one address of IPv6 has as many as these bits leave free.
_NETWORK = 64


@lru_cache(maxsize=4096)
def peer_of(host: str) -> str:
    """Return whom an address stands for: itself, the network of an IPv6 one, or ``HERE``."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return HERE
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            return str(ip_network((int(address), _NETWORK), strict=False))
    return HERE if address.is_loopback else str(address)
