/* What the plugin accepts: read anew at each login from the file that AWS_AUTHENTICATION_PLUGIN_SETTINGS names.
 *
 * Lines of `name = value`; `#` starts a comment line:
 *
 *   endpoint = HOST:PORT            the name that tokens must be signed for
 *   region = REGION
 *   max_logins_per_second = N       0 or missing: no limit
 *   not_authorized = DB_USER        may be repeated: users without rds-db:connect
 *   access_key = ID                 may be repeated: each starts a key, to which the next three belong
 *   secret_key = KEY
 *   session_token = TOKEN           missing: a long-term key
 *   expires = UNIX_SECONDS          missing: never
 */

#ifndef PLUGIN_SETTINGS_H
#define PLUGIN_SETTINGS_H

#define MAX_SETTINGS_BYTES 65536
#define MAX_KEYS 16
#define MAX_NOT_AUTHORIZED 16
#define MAX_LOGINS_PER_SECOND 4096

struct access_key {
  const char *id, *secret, *session_token; /* session_token is NULL for a long-term key */
  long expires;                            /* 0: never */
};

struct settings {
  const char *endpoint, *region;
  int max_logins_per_second;
  const char *not_authorized[MAX_NOT_AUTHORIZED];
  int not_authorized_count;
  struct access_key keys[MAX_KEYS];
  int key_count;
  char text[MAX_SETTINGS_BYTES]; /* what all the strings point into */
};

/* The settings, to be freed by the caller. NULL, and the reason in *fault, if they cannot be used. */
struct settings *read_settings(const char *path, const char **fault);

/* A number of decimal digits only, up to 12 of them; -1 for anything else. */
long parse_digits(const char *text);

#endif
