"""Which addresses this machine asks in the name of its jobs: rule Q8."""

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct

from kala_trio.core.errors import Refused

Network = IPv4Network | IPv6Network

_METADATA = "169.254.0.0/16,fe80::/10,fd00:ec2::254,100.100.100.200"
_NAT64 = IPv6Network("64:ff9b::/96")
_EXAMPLE = '"10.0.0.0/8,192.168.1.5,fd00::/8"'


def parse_networks(name: str, text: str) -> tuple[Network, ...]:
    """Read networks and addresses with commas between them.

    Raises:
        Refused: of ``name``.
    """
    networks = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            problem = f"must be networks or addresses ({error})"
            raise Refused(name, problem, found=part, example=_EXAMPLE) from None
    return tuple(networks)


USUALLY_DENIED = parse_networks("deny_targets", _METADATA)
"""Link-local addresses, and others where a cloud's machines find their own secrets."""


class Targets(Struct, frozen=True):
    """Where requests may go: to what is among ``allowed``, if that says anything, or else anywhere.

    To what is among ``denied`` none goes, unless ``allowed`` has it.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = USUALLY_DENIED

    def permit(self, address: str) -> bool:
        """Tell whether this IP address may be asked, however it is written."""
        ip = ip_address(address.partition("%")[0])
        if ip.is_unspecified:  # by which Linux means this machine
            return self.permit("127.0.0.1" if ip.version == 4 else "::1")
        if isinstance(ip, IPv6Address):
            # The same host by way of another family.
            if inner := ip.ipv4_mapped or ip.sixtofour:
                return self.permit(str(inner))
            if ip in _NAT64:
                return self.permit(str(ip_address(int(ip) & 0xFFFF_FFFF)))
        if self.allowed:
            return any(ip in network for network in self.allowed)
        return not any(ip in network for network in self.denied)
