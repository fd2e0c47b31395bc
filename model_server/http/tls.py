"""The certificate that the server shows, read again when it changes."""

import logging
import ssl
from pathlib import Path

from model_server.errors import ModelServerError
from model_server.http.file_watch import FileWatch

log = logging.getLogger("model_server")


class Certificate:
    """A certificate chain and its key, in PEM.

    Parameters
    ----------
    certificate : Path
    key : Path

    Raises
    ------
    ModelServerError
        If they can't be read or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._watched = FileWatch(certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()

    def refresh(self) -> None:
        """Show a certificate that has changed to new connections; keep the old one if it is bad."""
        if not self._watched.changed():
            return
        try:
            self._load()
        except ModelServerError as error:
            log.error(str(error))  # noqa: TRY400 - the line says it all
        else:
            log.info("certificate read again")

    def pem(self) -> tuple[bytes, bytes]:
        """Return the key and the certificate chain as they are now."""
        return self._key.read_bytes(), self._certificate.read_bytes()

    def _load(self) -> None:
        try:
            self.context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            raise ModelServerError(
                f"{self._certificate} and {self._key} are no certificate and its key "
                f"({error.strerror or error}); set --ssl-certfile and --ssl-keyfile to files in PEM"
            ) from error
