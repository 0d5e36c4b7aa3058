"""TLS towards upstreams: the system's trust store, one context, sessions resumed.

A context costs 20 ms and is made when the first https upstream is dialled. asyncio offers no way
to resume a session, but asks the context to wrap its buffers; there the last session of the same
server is slipped in.
"""

import ssl

MAX_SESSIONS = 256


class ResumingContext(ssl.SSLContext):
    """A client context that remembers the last session of each server name."""

    sessions: dict[str, ssl.SSLSession]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return the TLS layer, resuming the last session with `server_hostname`."""
        if session is None and isinstance(server_hostname, str):
            session = self.sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def remember(self, server_hostname: str, tls: ssl.SSLObject) -> None:
        """Keep the session of `tls`; TLS 1.3 servers send it behind the handshake."""
        session = tls.session
        if session is not None and session.has_ticket:
            if len(self.sessions) >= MAX_SESSIONS:
                self.sessions.pop(next(iter(self.sessions)))
            self.sessions[server_hostname] = session


def client_context(ca_file: str | None = None) -> ResumingContext:
    """Return a verifying context with the system's trust store, or `ca_file`'s alone."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context
