"""What the check of tokens in a server accepts: keys, endpoint, region, rate. Written to the file it reads."""

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AWS access key; with a session token it is a temporary one, as roles and SSO have."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: int | None = None  # Unix seconds; from then on the server refuses it with ExpiredToken

    def environment(self) -> dict[str, str]:
        """The environment variables that make boto3 sign with this key."""
        variables = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        if self.session_token is not None:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


@dataclass(frozen=True, slots=True)
class Settings:
    """One state of the settings file; the server reads it anew at each login."""

    endpoint: str  # host:port that tokens must be signed for
    region: str
    keys: tuple[AccessKey, ...]
    max_logins_per_second: int | None = None
    not_authorized: frozenset[str] = frozenset()  # DB users whose IAM identity lacks rds-db:connect

    def text(self) -> str:
        lines = [f"endpoint = {self.endpoint}", f"region = {self.region}"]
        lines.append(f"max_logins_per_second = {self.max_logins_per_second or 0}")
        lines += [f"not_authorized = {user}" for user in sorted(self.not_authorized)]
        for key in self.keys:
            lines += [f"access_key = {key.access_key}", f"secret_key = {key.secret_key}"]
            if key.session_token is not None:
                lines.append(f"session_token = {key.session_token}")
            if key.expires is not None:
                lines.append(f"expires = {key.expires}")
        return "".join(f"{line}\n" for line in lines)


def write_settings(settings: Settings, path: Path, *, owner: tuple[int, int]) -> None:
    """Replaces the file in one step: a login sees the old settings or the new ones, never a half."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_text(settings.text())
    unfinished.chmod(0o600)
    os.chown(unfinished, *owner)
    unfinished.rename(path)
