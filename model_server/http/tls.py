"""The certificate that the server shows, read again when it changes."""

import logging
import ssl
from pathlib import Path

from model_server.errors import ModelServerError
from model_server.http.file_watch import FileWatch

log = logging.getLogger("model_server")


class Certificate:
    """A certificate chain and its key, in PEM: the last two that belonged together.

    Parameters
    ----------
    certificate : Path
    key : Path

    Attributes
    ----------
    context : ssl.SSLContext
        Of the server: it shows each new client the pair as it is then.
    pem : tuple of bytes
        The key and the chain of that pair.

    Raises
    ------
    ModelServerError
        If they can't be read or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._watched = FileWatch(certificate, key)
        self.pem, self.context = self._load()
        self._current = self.context
        self.context.sni_callback = self._show

    def refresh(self) -> None:
        """Show a pair that has changed to new connections; keep the old one if it is bad."""
        if not self._watched.changed():
            return
        try:
            self.pem, self._current = self._load()
        except ModelServerError as error:
            self._watched.failed(error)
        else:
            self._watched.used()
            log.info("certificate read again")

    def _load(self) -> tuple[tuple[bytes, bytes], ssl.SSLContext]:
        """Read the two into a context of their own, as one that fails leaves its context unusable.

        OpenSSL reads the files itself, so they are compared before and after.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            pem = self._read()
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
            changed = self._read() != pem
        except (OSError, ssl.SSLError) as error:
            raise self._error(error.strerror or str(error)) from error
        if changed:
            raise self._error("they changed while they were read")
        return pem, context

    def _read(self) -> tuple[bytes, bytes]:
        return self._key.read_bytes(), self._certificate.read_bytes()

    def _error(self, reason: str) -> ModelServerError:
        return ModelServerError(
            f"{self._certificate} and {self._key} are no certificate and its key "
            f"({reason}); set --ssl-certfile and --ssl-keyfile to files in PEM"
        )

    def _show(self, connection: ssl.SSLObject, *_: object) -> None:
        """Have a handshake go on with the current pair, whatever name the client asks for."""
        connection.context = self._current


def _no_password() -> str:
    """Have a key that is encrypted refused, where OpenSSL would ask the terminal."""
    return ""
