"""Stand-ins for programs that make tunnels, in a folder that is first in PATH."""

import sys
from pathlib import Path

AWS = '''#!{python} -I
"""Behaves as `aws ssm start-session` does: it leaves the data to session-manager-plugin, a child that goes on living
when aws is killed; it leaves SIGINT to that, and ends with 254 when AWS refuses."""
import json, os, signal, subprocess, sys

words = sys.argv[1:]
option = dict(zip(words, words[1:]))
parameters = {{name: value[0] for name, value in json.loads(option["--parameters"]).items()}}
assert words[:2] == ["ssm", "start-session"], words
assert option["--document-name"] == "AWS-StartPortForwardingSessionToRemoteHost"
with open({folder!r} + "/asked", "a") as asked:
    asked.write(json.dumps([option["--target"], option["--region"], option.get("--profile"), parameters]) + "\\n")
trouble = open({folder!r} + "/trouble").read()
if trouble:
    sys.stderr.write("\\n" + trouble + "\\n")
    sys.exit(255 if "plugin" in trouble.lower() or "SSO" in trouble else 254)
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(subprocess.call([{plugin!r}, parameters["localPortNumber"]]))
'''

PLUGIN = """#!{python} -I
import os, socket, sys, threading
port = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", port))
print("\\nStarting session with SessionId: dev-0123456789abcdef0", flush=True)
print(f"Port {{port}} opened for sessionId dev-0123456789abcdef0.\\nWaiting for connections...", flush=True)

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass

while True:
    near, _ = listener.accept()
    print("\\nConnection accepted for session [dev-0123456789abcdef0]", flush=True)
    far = socket.create_connection({to!r})
    for one, other in ((near, far), (far, near)):
        threading.Thread(target=pump, args=(one, other), daemon=True).start()
"""


def make_aws(folder: Path, to: tuple[str, int]) -> Path:
    """A folder for PATH. `trouble` in it: what aws says instead of opening; `asked`: what it was asked."""
    plugin = folder / "session-manager-plugin"
    values = {"python": sys.executable, "folder": str(folder), "plugin": str(plugin), "to": to}
    for path, text in ((folder / "aws", AWS), (plugin, PLUGIN)):
        path.write_text(text.format(**values))
        path.chmod(0o755)
    (folder / "trouble").write_text("")
    return folder
