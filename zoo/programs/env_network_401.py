# cause: env-auth-network
import http.server, threading, urllib.request
class Gate(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401, "Unauthorized")
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Gate)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("Downloading config.json of meta-llama/Llama-3.2-1B")
urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/meta-llama/Llama-3.2-1B/resolve/main/config.json")
