"""An S3 that serves a folder's files as the objects of any bucket.

    python storage_server.py FOLDER ADDRESS PORT

Runs on this machine, or in a container on the network of the measured ones. Prints its port.
"""

import hashlib
import http.server
import sys
from pathlib import Path


def main(folder: Path, address: str, port: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            content = (folder / self.path.rpartition("/")[2].partition("?")[0]).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((address, port), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
