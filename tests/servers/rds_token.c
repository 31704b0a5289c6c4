/* Checks an RDS IAM token; see rds_token.h. */

#include "rds_token.h"

#include <stdlib.h>
#include <string.h>

#include "sha256.h"

#define MAX_AGE 900       /* seconds */
#define MAX_CLOCK_SKEW 300 /* seconds that a token may come from the future */
#define CANONICAL_BYTES (4 * MAX_TOKEN_BYTES)

enum parameter { ACTION, DB_USER, ALGORITHM, CREDENTIAL, DATE, EXPIRES, SECURITY_TOKEN, SIGNATURE, SIGNED_HEADERS, PARAMETERS };

/* In the order of the canonical query string, which is sorted by name. */
static const char *const NAMES[PARAMETERS] = {
    "Action",        "DBUser",        "X-Amz-Algorithm",      "X-Amz-Credential", "X-Amz-Date",
    "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders",
};

struct token {
  const char *host;               /* host:port */
  const char *values[PARAMETERS]; /* decoded; NULL where the token has none */
  char text[MAX_TOKEN_BYTES + 1]; /* what all the strings point into */
};

struct text {
  size_t length;
  int overflow;
  char bytes[CANONICAL_BYTES];
};

static struct verdict invalid(const char *text) { return (struct verdict){400, "InvalidToken", text}; }
static struct verdict expired(const char *text) { return (struct verdict){400, "ExpiredToken", text}; }

static void append(struct text *text, const char *bytes, size_t length) {
  if (length > sizeof text->bytes - text->length) {
    text->overflow = 1;
    return;
  }
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
}

static void append_string(struct text *text, const char *string) { append(text, string, strlen(string)); }

static int unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c));
}

static void append_encoded(struct text *text, const char *string) {
  for (; *string; string++) {
    unsigned char c = (unsigned char)*string;
    char escaped[3] = {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
    if (unreserved(c))
      append(text, string, 1);
    else
      append(text, escaped, sizeof escaped);
  }
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/* Decodes %XX in place; 0 if the text is no proper encoding or hides a NUL. */
static int decode(char *text) {
  char *to = text;
  for (; *text; to++) {
    if (*text != '%') {
      *to = *text++;
      continue;
    }
    int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0 || high + low == 0) return 0;
    *to = (char)(high << 4 | low);
    text += 3;
  }
  *to = 0;
  return 1;
}

/* Takes `HOST:PORT/?NAME=VALUE&...` apart; each name known and there once. */
static int parse(struct token *token) {
  char *rest = strstr(token->text, "/?");
  if (!rest) return 0;
  token->host = token->text;
  *rest = 0;
  rest += 2;
  while (rest) {
    char *name = rest, *end = strchr(rest, '&');
    if (end) *end = 0;
    rest = end ? end + 1 : NULL;
    char *value = strchr(name, '=');
    if (!value) return 0;
    *value++ = 0;
    int i = 0;
    while (i < PARAMETERS && strcmp(name, NAMES[i])) i++;
    if (i == PARAMETERS || token->values[i] || !decode(value)) return 0;
    token->values[i] = value;
  }
  for (int i = 0; i < PARAMETERS; i++)
    if (!token->values[i] && i != SECURITY_TOKEN) return 0;
  return 1;
}

static int digits(const char *text, int count) {
  int number = 0;
  for (; count > 0; count--, text++) {
    if (*text < '0' || *text > '9') return -1;
    number = number * 10 + (*text - '0');
  }
  return number;
}

/* `20260102T030405Z` in Unix seconds; -1 if it is no such time. */
static long parse_date(const char *text) {
  if (strlen(text) != 16 || text[8] != 'T' || text[15] != 'Z') return -1;
  long year = digits(text, 4), month = digits(text + 4, 2), day = digits(text + 6, 2);
  long hour = digits(text + 9, 2), minute = digits(text + 11, 2), second = digits(text + 13, 2);
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return -1;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
  /* Days since 1970 with the year starting in March, so that the leap day is its last. */
  if (month < 3) {
    year--;
    month += 12;
  }
  long days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719469;
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* In a time that depends on the length of `given` only. */
static int equal_secrets(const char *expected, const char *given) {
  size_t length = strlen(expected), given_length = strlen(given);
  volatile unsigned char difference = length != given_length;
  for (size_t i = 0; i < given_length; i++)
    difference |= (unsigned char)(given[i] ^ expected[length ? i % length : 0]);
  return !difference;
}

/* ID/DATE/REGION/rds-db/aws4_request: the key that signed, and the scope after its ID. */
static const struct access_key *find_key(const struct settings *settings, const char *credential,
                                         const char **scope) {
  const char *slash = strchr(credential, '/');
  if (!slash) return NULL;
  *scope = slash + 1;
  size_t length = (size_t)(slash - credential);
  for (int i = 0; i < settings->key_count; i++) {
    const struct access_key *key = &settings->keys[i];
    if (strlen(key->id) == length && !memcmp(key->id, credential, length)) return key;
  }
  return NULL;
}

static int right_scope(const char *scope, const char *date, const char *region) {
  size_t length = strlen(region);
  return !strncmp(scope, date, 8) && scope[8] == '/' && !strncmp(scope + 9, region, length) &&
         !strcmp(scope + 9 + length, "/rds-db/aws4_request");
}

static int sign(const struct settings *settings, const struct token *token, const struct access_key *key,
                const char *scope, char signature[SHA256_HEX + 1]) {
  struct text *text = calloc(1, sizeof *text);
  unsigned char digest[SHA256_BYTES];
  char hex[SHA256_HEX + 1];
  if (!text) return 0;
  append_string(text, "GET\n/\n");
  for (int i = 0; i < PARAMETERS; i++) {
    if (i == SIGNATURE || !token->values[i]) continue;
    if (i) append_string(text, "&");
    append_string(text, NAMES[i]);
    append_string(text, "=");
    append_encoded(text, token->values[i]);
  }
  append_string(text, "\nhost:");
  append_string(text, settings->endpoint);
  append_string(text, "\n\nhost\n");
  sha256("", 0, digest);
  sha256_hex(digest, hex);
  append_string(text, hex);
  sha256(text->bytes, text->length, digest);
  sha256_hex(digest, hex);

  int whole = !text->overflow;
  text->length = 0;
  append_string(text, "AWS4-HMAC-SHA256\n");
  append_string(text, token->values[DATE]);
  append_string(text, "\n");
  append_string(text, scope);
  append_string(text, "\n");
  append_string(text, hex);

  char secret[256];
  size_t length = strlen(key->secret);
  whole = whole && !text->overflow && length <= sizeof secret - 4;
  if (whole) {
    memcpy(secret, "AWS4", 4);
    memcpy(secret + 4, key->secret, length);
    hmac_sha256(secret, 4 + length, token->values[DATE], 8, digest);
    hmac_sha256(digest, sizeof digest, settings->region, strlen(settings->region), digest);
    hmac_sha256(digest, sizeof digest, "rds-db", 6, digest);
    hmac_sha256(digest, sizeof digest, "aws4_request", 12, digest);
    hmac_sha256(digest, sizeof digest, text->bytes, text->length, digest);
    sha256_hex(digest, signature);
  }
  free(text);
  return whole;
}

static struct verdict check(const struct settings *settings, const char *user, const struct token *token,
                            long now) {
  const char *const *values = token->values;
  if (strcmp(token->host, settings->endpoint)) return invalid("signed for another host or port");
  if (strcmp(values[ACTION], "connect")) return invalid("Action is not connect");
  if (strcmp(values[ALGORITHM], "AWS4-HMAC-SHA256")) return invalid("unknown algorithm");
  if (strcmp(values[SIGNED_HEADERS], "host")) return invalid("SignedHeaders is not host");
  if (strcmp(values[DB_USER], user)) return invalid("signed for another DBUser");

  long signed_at = parse_date(values[DATE]), life = parse_digits(values[EXPIRES]);
  if (signed_at < 0) return invalid("the date cannot be read");
  if (life < 1 || life > MAX_AGE) return invalid("Expires is not within 1 to 900");
  const char *scope;
  const struct access_key *key = find_key(settings, values[CREDENTIAL], &scope);
  if (!key) return invalid("unknown access key");
  if (!right_scope(scope, values[DATE], settings->region)) return invalid("signed for another region or service");
  if (!key->session_token != !values[SECURITY_TOKEN])
    return invalid(key->session_token ? "the session token is missing" : "a session token with a long-term key");
  if (key->session_token && !equal_secrets(key->session_token, values[SECURITY_TOKEN]))
    return invalid("the session token does not belong to the access key");

  char signature[SHA256_HEX + 1];
  if (!sign(settings, token, key, scope, signature))
    return (struct verdict){500, "InternalError", "no memory, or a secret key that is too long"};
  if (!equal_secrets(signature, values[SIGNATURE])) return invalid("the signature does not match");

  if (signed_at > now + MAX_CLOCK_SKEW) return invalid("signed in the future");
  if (now > signed_at + life) return expired("the token is older than 15 minutes");
  if (key->expires && now >= key->expires) return expired("the session of the access key has expired");
  for (int i = 0; i < settings->not_authorized_count; i++)
    if (!strcmp(settings->not_authorized[i], user))
      return (struct verdict){403, "NotAuthorized", "rds-db:connect is not allowed for this DB user"};
  return (struct verdict){200, NULL, NULL};
}

struct verdict check_token(const struct settings *settings, const char *user, const char *text, size_t length,
                           long now) {
  if (length > MAX_TOKEN_BYTES) return invalid("longer than 16384 bytes");
  if (strlen(text) != length) return invalid("a NUL in the token");
  struct token *token = calloc(1, sizeof *token);
  if (!token) return (struct verdict){500, "InternalError", "out of memory"};
  memcpy(token->text, text, length);
  struct verdict verdict = parse(token) ? check(settings, user, token, now) : invalid("no presigned URL of RDS");
  free(token);
  return verdict;
}
