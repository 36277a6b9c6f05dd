"""An upstream of Python's own: what each path does is below. Arguments: a name, a port, and for TLS a certificate and its key."""

import hashlib
import http.server
import json
import ssl
import sys
import threading
import time

NAME, PORT = sys.argv[1], int(sys.argv[2])
seen, lock = [], threading.Lock()


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        path = self.path.split("?")[0]
        if path not in ("/", "/health"):
            with lock:
                seen.append(f"{self.command} {path}")
        if path == "/hang":
            time.sleep(3600)
        if path == "/close-" + NAME:
            self.close_connection = True
            return
        if path == "/half":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
            time.sleep(0.3)
            self.close_connection = True
            return
        if path == "/sum":
            total = hashlib.sha256()
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    total.update(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            while length:
                part = self.rfile.read(min(length, 1 << 20))
                length -= len(part)
                total.update(part)
            return self.say(total.hexdigest())
        if path == "/large":
            count = 128
            self.send_response(200)
            self.send_header("content-length", str(count << 20))
            self.end_headers()
            for _ in range(count):
                self.wfile.write(bytes(1 << 20))
            return
        if path == "/headers":
            return self.say(json.dumps([[name.lower(), value] for name, value in self.headers.items()]))
        if path == "/seen":
            return self.say(json.dumps(seen))
        self.say(NAME)

    def say(self, text):
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.send_header("connection", "x-of-one-connection")
        self.send_header("x-of-one-connection", "gone")
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Upstream)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", server.server_address[1], flush=True)
server.serve_forever()
