"""The certificate that TLS connections are shown, with its key: two files that may be replaced."""

import ssl
import stat
from pathlib import Path
from typing import NoReturn

from kala_trio.core.errors import Refused

_PROTOCOLS = ["http/1.1"]
_CERTIFICATE = ("--tls-cert", "/etc/ssl/certs/kala.pem, in PEM, with the chain")
_KEY = ("--tls-key", "/etc/ssl/private/kala.pem, in PEM, which others may not read (chmod 600)")
# What OpenSSL may have against a certificate that is one, as of its security level.
_WEAK = {"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"}


class Certificate:
    """What a server shows, from the files ``certificate`` (with its chain) and ``key``, in PEM."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both; raises Refused as ``load_anew`` does."""
        self._certificate = certificate
        self._key = key
        self._current = self.context = self._loaded()
        # A context that is served with can't be changed at once: for a moment it would have the
        # new certificate with the old key. So each handshake is led to the one that is whole.
        self.context.sni_callback = self._show

    def load_anew(self) -> None:
        """Show what the files hold now in all handshakes that begin from now on.

        Raises:
            Refused: one of them is none, or can't be read, or they don't belong together, or others
                may read the key; then the old ones are shown on.
        """
        self._current = self._loaded()

    def _show(self, connection: ssl.SSLObject, name: str | None, front: ssl.SSLContext) -> None:
        connection.context = self._current

    def _loaded(self) -> ssl.SSLContext:
        self._look_at_files()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(_PROTOCOLS)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self._certificate)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            _refuse(_CERTIFICATE, "holds no certificate in PEM", self._certificate)
        try:
            context.load_cert_chain(self._certificate, self._key, self._refuse_password)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or ""
            if reason in _WEAK:
                _refuse(_CERTIFICATE, f"is too weak ({reason})", self._certificate)
            if "MISMATCH" in reason:
                _refuse(_KEY, f"is not that of the certificate {self._certificate}", self._key)
            _refuse(_KEY, "holds no private key in PEM", self._key)
        return context

    def _look_at_files(self) -> None:
        for which, path in ((_CERTIFICATE, self._certificate), (_KEY, self._key)):
            try:
                mode = path.stat().st_mode
                if not stat.S_ISREG(mode):
                    _refuse(which, "is no ordinary file", path)
                path.open("rb").close()
            except OSError as error:
                _refuse(which, f"cannot be read ({error.strerror})", path)
            if which is _KEY and mode & stat.S_IRWXO:
                _refuse(which, f"is open to every user (its mode is {mode & 0o777:04o})", path)

    def _refuse_password(self) -> NoReturn:
        _refuse(_KEY, "is kept under a password, which nobody is there to type", self._key)


def certificate_of(certificate: Path | None, key: Path | None) -> Certificate | None:
    """Return what the two settings name, None where there is neither.

    Raises:
        Refused: only one is given, or ``Certificate`` can't be made of them.
    """
    if certificate is None and key is None:
        return None
    if certificate is None:
        _refuse(_CERTIFICATE, "is missing, and goes with --tls-key", None)
    if key is None:
        _refuse(_KEY, "is missing, and goes with --tls-cert", None)
    return Certificate(certificate, key)


def _refuse(which: tuple[str, str], problem: str, path: Path | None) -> NoReturn:
    setting, example = which
    raise Refused(setting, problem, found=path and str(path), example=example) from None
