"""A server on the loopback for test_fetch.sh: the files below a folder, with the faults downloads have.

    python3 server.py FOLDER PORT_FILE LOG

writes its port to PORT_FILE once it listens and a line "METHOD path range" to LOG for each request. The first part of a
path chooses the behaviour, the rest is the file:

    /plain/...   the file; the Range header is honoured
    /norange/... the file; the Range header is ignored, and the first request for it breaks off half-way
    /cut/...     breaks off half-way the first time, honours the Range header later
    /always/...  breaks off after 1000 bytes every time, and honours the Range header
    /slow/...    sends the first half, then waits a minute
    /long/...    the file and, without a length beforehand, a megabyte more
    /altered/... the file with one bit of its middle byte flipped
    /short/...   the file without its last byte, and that as its length
    /error/...   503
"""
import http.server
import os
import sys
import time

folder, port_file, log = sys.argv[1:]
seen = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        with open(log, 'a') as out:
            print('GET', self.path, self.headers.get('Range', '-'), file=out)
        mode, _, name = self.path.lstrip('/').partition('/')
        path = os.path.join(folder, name)
        if mode == 'error':
            return self.send_error(503)
        if not os.path.isfile(path):
            return self.send_error(404)
        data = open(path, 'rb').read()
        if mode == 'altered':
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        if mode == 'short':
            data = data[:-1]
        first = self.path not in seen
        seen.add(self.path)

        start = 0
        wanted = self.headers.get('Range', '')
        if wanted.startswith('bytes=') and mode != 'norange':
            start = int(wanted[6:].split('-')[0])
            if start >= len(data):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header('Content-Range', 'bytes %d-%d/%d' % (start, len(data) - 1, len(data)))
        if mode == 'long':
            data += bytes(1 << 20)
        else:
            self.send_header('Content-Length', str(len(data) - start))
        self.end_headers()

        data = data[start:]
        if mode in ('cut', 'norange') and first:
            data = data[:len(data) // 2]
        if mode == 'always':
            data = data[:1000]
        if mode == 'slow':
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            time.sleep(600)
        else:
            self.wfile.write(data)


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.daemon_threads = True
with open(port_file + '.part', 'w') as out:
    print(server.server_port, file=out)
os.rename(port_file + '.part', port_file)
server.serve_forever()
