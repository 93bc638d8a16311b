"""The shop's web server: tells each customer, by the path, which checkout they get.

Every request asks mainstay; a program that needs the answer more often than that reads the board itself,
as `board_worker.rs` does.
"""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def is_on(flag: str, customer: str) -> bool:
    """Exit 0 is on and 1 is off; anything else (an unknown flag) counts as off, as nobody can say."""
    command = [os.environ["MAINSTAY"], "flag", "on", flag, "--id", customer]
    return subprocess.run(command, check=False).returncode == 0


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        customer = self.path.strip("/") or "guest"
        checkout = "new" if is_on("new-checkout", customer) else "old"
        shipping = "free" if is_on("free-shipping", customer) else "3.90"
        answer = f"{customer}: {checkout} checkout, shipping {shipping}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop) as server:
    print(f"listening on {server.server_address[1]}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("closing")
