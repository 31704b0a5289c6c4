"""A home folder with the files that AWS's tools and aws-vault keep there."""

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from servers.settings import AccessKey

# As aws-vault 7 documents it: `export --format=json` prints what a credential_process must, `exec` sets variables
# and becomes the command. Like the real one it does not start inside another one's `exec`.
AWS_VAULT = """#!{python}
import json, os, pathlib, sys, time
keys = json.loads((pathlib.Path(__file__).parent / "aws-vault.json").read_text())
action, *rest = sys.argv[1:]
if os.environ.get("AWS_VAULT"):
    sys.exit("aws-vault: error: running in an existing aws-vault subshell; 'exit' from the subshell or unset AWS_VAULT")
as_json = rest[:1] == ["--format=json"]
profile = rest[1] if as_json else rest[0]
if profile not in keys:
    sys.exit(f"aws-vault: error: {{action}}: Failed to get credentials for {{profile}}: no such secret-{{action}}-key")
access_key, secret_key, session_token = keys[profile]
until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
if action == "export" and as_json:
    print(json.dumps({{"Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret_key,
                       "SessionToken": session_token, "Expiration": until}}))
elif action == "exec" and rest[1] == "--":
    os.environ.update(AWS_VAULT=profile, AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key,
                      AWS_SESSION_TOKEN=session_token, AWS_CREDENTIAL_EXPIRATION=until)
    os.execvp(rest[2], rest[2:])
else:
    sys.exit("aws-vault: error: unknown command")
"""


@dataclass(frozen=True, slots=True)
class Home:
    """`folder` is HOME of the proxy."""

    folder: Path

    @property
    def vault(self) -> Path:
        """The stand-in for aws-vault's program."""
        return self.folder / "aws-vault"

    def config(self, text: str) -> None:
        _write(self.folder / "aws-config", text)

    def credentials(self, **profiles: AccessKey) -> None:
        """The shared credentials file."""
        sections = []
        for profile, key in profiles.items():
            lines = [f"[{profile}]", f"aws_access_key_id = {key.access_key}"]
            lines.append(f"aws_secret_access_key = {key.secret_key}")
            if key.session_token is not None:
                lines.append(f"aws_session_token = {key.session_token}")
            sections.append("\n".join(lines) + "\n")
        _write(self.folder / "aws-credentials", "\n".join(sections))

    def sso_login(self, session: str, token: str, *, life: float = 8 * 3600, refresh_token: str | None = None) -> None:
        """What `aws sso login` leaves behind; a negative `life` has expired."""
        folder = self.folder / ".aws/sso/cache"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            "startUrl": "https://example.awsapps.com/start",
            "region": "eu-central-1",
            "accessToken": token,
            "expiresAt": _date(time.time() + life),
        }
        if refresh_token is not None:
            kept |= {
                "clientId": "client",
                "clientSecret": "secret-of-the-client",
                "registrationExpiresAt": _date(time.time() + 90 * 86400),
                "refreshToken": refresh_token,
            }
        name = hashlib.sha1(session.encode()).hexdigest()
        _write(folder / f"{name}.json", json.dumps(kept))

    def install_vault(self, **profiles: AccessKey) -> None:
        keys = {name: (key.access_key, key.secret_key, key.session_token) for name, key in profiles.items()}
        _write(self.folder / "aws-vault.json", json.dumps(keys))
        self.program("aws-vault", AWS_VAULT.format(python=sys.executable))

    def program(self, name: str, text: str) -> Path:
        path = self.folder / name
        _write(path, text)
        path.chmod(0o755)
        return path


def _write(path: Path, text: str) -> None:
    """In one step, as AWS's tools do: who reads meanwhile sees the old or the new."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_text(text)
    unfinished.rename(path)


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
