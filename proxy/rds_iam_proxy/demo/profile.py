"""Which server the embedded RDS plays: the facts of its greeting. More generations are more values of one class."""

from dataclasses import dataclass

CACHING_SHA2 = "caching_sha2_password"
NATIVE = "mysql_native_password"
UTF8MB4_0900_AI_CI = 255
UTF8MB4_GENERAL_CI = 45


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """What a server says of itself before anyone has logged in (MySQL manual: Protocol::HandshakeV10)."""

    version: str
    capabilities: int
    default_plugin: str = CACHING_SHA2
    collation: int = UTF8MB4_0900_AI_CI
    mariadb_capabilities: int = 0  # the last 4 of the 10 reserved bytes; MySQL leaves them 0
    auth_switch_data: bytes = b""  # what follows the name in the AuthSwitchRequest; Aurora sends nothing

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in self.version.lower()


# Every bit but 29 (CAPABILITY_EXTENSION), as MySQL 9.7 was seen to send.
MYSQL_8_4 = ServerProfile("8.4.7", 0xDFFFFFFF)
# MariaDB 10.11 with TLS: bit 0 clear says that the extension bytes count; 0x1d as seen from 10.11.
MARIADB_10_11 = ServerProfile("5.5.5-10.11.15-MariaDB-log", 0x81FFFFFE, NATIVE, UTF8MB4_GENERAL_CI, 0x1D)
