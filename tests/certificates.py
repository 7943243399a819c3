"""Certificates of an authority that only tests trust, in files that are renewed as others do it."""

import os
import socket
import ssl
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import trustme

from tests.daemon import PATIENCE, Daemon


class Files:
    """A certificate of this machine and its key, as links to where the latest ones are."""

    def __init__(self, directory: Path) -> None:
        """Make the first ones."""
        self.certificate = directory / "cert.pem"
        self.key = directory / "key.pem"
        self.authority_file = directory / "authority.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(self.authority_file))
        self._numbers = count()
        self.renew()

    @property
    def flags(self) -> list[str]:
        """What a daemon is given."""
        return [f"--tls-cert={self.certificate}", f"--tls-key={self.key}"]

    def renew(self) -> bytes:
        """Put others in their place, and return the certificate in DER."""
        issued = self._authority.issue_cert("localhost", "127.0.0.1")
        chain = [each.bytes() for each in issued.cert_chain_pems]
        self.put(self.key, [issued.private_key_pem.bytes()])
        self.put(self.certificate, chain)
        return ssl.PEM_cert_to_DER_cert(chain[0].decode())

    def put(self, link: Path, content: Iterable[bytes], mode: int = 0o600) -> None:
        """Let a link lead to a new file, from one moment to the next."""
        file = link.with_name(f"{link.name}.{next(self._numbers)}")
        file.write_bytes(b"".join(content))
        file.chmod(mode)
        beside = link.with_suffix(".new")
        beside.symlink_to(file)
        os.replace(beside, link)

    def trusting(self) -> ssl.SSLContext:
        """Return what a client verifies with."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def shown_by(self, daemon: Daemon) -> bytes:
        """Return what a connection that is made now is shown, in DER."""
        with (
            socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE) as stream,
            self.trusting().wrap_socket(stream, server_hostname="127.0.0.1") as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""
