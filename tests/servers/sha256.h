/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), so that the plugin needs no OpenSSL headers. */

#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>

#define SHA256_BYTES 32
#define SHA256_HEX (2 * SHA256_BYTES)

void sha256(const void *data, size_t length, unsigned char digest[SHA256_BYTES]);
void hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                 unsigned char digest[SHA256_BYTES]);

/* Writes 64 lower-case digits and a NUL. */
void sha256_hex(const unsigned char digest[SHA256_BYTES], char hex[SHA256_HEX + 1]);

#endif
