"""A small HTTP service: '/' answers with the name of the instance, '/health' with 'ok'.

usage: hello_service.py NAME ADDRESS PORT
"""

import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one segment; otherwise the second waits for the first one's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self):
        body = b"ok\n" if self.path == "/health" else f"hello from {self.server.instance}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Instance", self.server.instance)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A caller that goes away is no error worth a stack trace."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    server = Server((sys.argv[2], int(sys.argv[3])), Handler)
    server.instance = sys.argv[1]
    server.serve_forever()


if __name__ == "__main__":
    main()
