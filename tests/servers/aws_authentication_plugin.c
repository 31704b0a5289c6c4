/* AWSAuthenticationPlugin for MySQL 9 and MariaDB: lets in who shows a valid RDS IAM token, as RDS does.
 *
 * For tests. Compiled twice, with -DFOR_MYSQL and with -DFOR_MARIADB, without any server headers: the structures
 * below are what both servers have promised to plugins (include/mysql/plugin.h, plugin_auth.h). The token comes
 * by mysql_clear_password after an AuthSwitchRequest with empty data, as from Aurora. A plugin cannot see whether
 * a connection has TLS: the servers run with require_secure_transport, and whatever is no TCP is refused here.
 *
 * Every verdict is one line on stderr, which is the server's log; nothing of a token is ever in it.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin_settings.h"
#include "rds_token.h"

#if !defined FOR_MYSQL && !defined FOR_MARIADB
#error "compile with -DFOR_MYSQL or -DFOR_MARIADB"
#endif

#define AUTHENTICATION_PLUGIN 7
#define LICENSE_OTHER 0
#define MATURITY_STABLE 5 /* MariaDB loads nothing below its own maturity by default */
#define VERSION 0x0100

/* All else is hidden, so that it cannot meet a name of the server's. */
#define EXPORT __attribute__((visibility("default")))

enum { CR_OK = -1, CR_AUTH_USER_CREDENTIALS = 1 };
enum { PROTOCOL_TCP = 1 };

struct vio_info {
  int protocol;
  int socket;
};

struct vio {
  int (*read_packet)(struct vio *vio, unsigned char **packet);
  int (*write_packet)(struct vio *vio, const unsigned char *packet, int length);
  void (*info)(struct vio *vio, struct vio_info *info);
};

#ifdef FOR_MYSQL
enum { NAME_BYTES = 97, EXTERNAL_BYTES = 512 };
#else
enum { NAME_BYTES = 513, EXTERNAL_BYTES = 513 };
#endif

/* More follows. */
struct login {
  const char *user_name;
  unsigned user_name_length;
  const char *stored;
  unsigned long stored_length;
  char authenticated_as[NAME_BYTES], external_user[EXTERNAL_BYTES];
  int password_used; /* 1: ERR 1045 ends in (using password: YES), as from RDS */
};

/* Logins let through to the check within the last second, oldest first from `next`. */
static struct {
  pthread_mutex_t lock;
  double times[MAX_LOGINS_PER_SECOND];
  unsigned next;
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether a sliding second still has room for this login; takes the room. */
static int within_rate(int limit) {
  if (limit == 0) return 1;
  pthread_mutex_lock(&recent.lock);
  double now = seconds(CLOCK_MONOTONIC);
  double oldest = recent.times[(recent.next + MAX_LOGINS_PER_SECOND - (unsigned)limit) % MAX_LOGINS_PER_SECOND];
  int room = oldest == 0 || now - oldest >= 1;
  if (room) {
    recent.times[recent.next] = now;
    recent.next = (recent.next + 1) % MAX_LOGINS_PER_SECOND;
  }
  pthread_mutex_unlock(&recent.lock);
  return room;
}

static void log_verdict(const char *user, struct verdict verdict) {
  char line[512], when[32], name[129];
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
  size_t i = 0;
  for (; i < sizeof name - 1 && user[i]; i++) name[i] = user[i] > ' ' && user[i] < 127 ? user[i] : '?';
  name[i] = 0;
  int length;
  if (verdict.code)
    length = snprintf(line, sizeof line, "%s.%03ldZ AWSAuthenticationPlugin refused %s %s %d: %s\n", when,
                      now.tv_nsec / 1000000, name, verdict.code, verdict.status, verdict.text);
  else
    length = snprintf(line, sizeof line, "%s.%03ldZ AWSAuthenticationPlugin accepted %s\n", when,
                      now.tv_nsec / 1000000, name);
  /* One write, so that the lines of two threads never mix. */
  if (length < 0 || write(STDERR_FILENO, line, (size_t)length) < 0) return;
}

static struct verdict decide(struct vio *vio, const char *user, const char *token, size_t length) {
  struct vio_info info = {0, 0};
  vio->info(vio, &info);
  if (info.protocol != PROTOCOL_TCP) return (struct verdict){400, "InvalidToken", "IAM logins need TCP with TLS"};
  const char *fault = NULL;
  struct settings *settings = read_settings(getenv("AWS_AUTHENTICATION_PLUGIN_SETTINGS"), &fault);
  if (!settings) return (struct verdict){500, "InternalError", fault};
  struct verdict verdict;
  if (within_rate(settings->max_logins_per_second))
    verdict = check_token(settings, user, token, length, (long)time(NULL));
  else
    verdict = (struct verdict){429, "ThrottlingException", "too many logins in this second"};
  free(settings);
  return verdict;
}

static int authenticate(struct vio *vio, struct login *login) {
  unsigned char *packet;
  /* Nothing was written before: the server itself asks for mysql_clear_password first, with empty data. */
  int length = vio->read_packet(vio, &packet);
  if (length < 0) return CR_AUTH_USER_CREDENTIALS;
  /* Copies that surely end in a NUL; a token that is too long is copied far enough to be refused as such. */
  char user[257], *token = calloc(1, MAX_TOKEN_BYTES + 2);
  if (!token) return CR_AUTH_USER_CREDENTIALS;
  size_t user_length = login->user_name_length < sizeof user ? login->user_name_length : sizeof user - 1;
  memcpy(user, login->user_name, user_length);
  user[user_length] = 0;
  size_t kept = (size_t)length;
  if (kept > 0 && packet[kept - 1] == 0) kept--; /* the protocol's own NUL */
  if (kept > MAX_TOKEN_BYTES + 1) kept = MAX_TOKEN_BYTES + 1;
  memcpy(token, packet, kept);

  struct verdict verdict = decide(vio, user, token, kept);
  free(token);
  log_verdict(user, verdict);
  login->password_used = length > 1;
  return verdict.code ? CR_AUTH_USER_CREDENTIALS : CR_OK;
}

#ifdef FOR_MYSQL

/* `AS 'RDS'` is stored as it is; IDENTIFIED ... BY would call generate. */
static int keep_string(char *out, unsigned *out_length, const char *in, unsigned in_length) {
  if (*out_length < in_length) return 1;
  memcpy(out, in, in_length);
  *out_length = in_length;
  return 0;
}

static int any_string(char *const text, unsigned length) {
  (void)text;
  (void)length;
  return 0;
}

static int no_salt(const char *password, unsigned password_length, unsigned char *salt, unsigned char *salt_length) {
  (void)password;
  (void)password_length;
  (void)salt;
  *salt_length = 0;
  return 0;
}

static struct {
  int interface_version;
  const char *client_plugin;
  int (*authenticate)(struct vio *, struct login *);
  int (*generate)(char *, unsigned *, const char *, unsigned);
  int (*validate)(char *const, unsigned);
  int (*set_salt)(const char *, unsigned, unsigned char *, unsigned char *);
  unsigned long flags;
  int (*compare)(const char *, unsigned long, const char *, unsigned long, int *);
} descriptor = {0x0201, "mysql_clear_password", authenticate, keep_string, any_string, no_salt, 0, NULL};

struct plugin {
  int type;
  void *info;
  const char *name, *author, *description;
  int license;
  int (*init)(void *), (*check_uninstall)(void *), (*deinit)(void *);
  unsigned version;
  void *status_variables, *system_variables, *reserved;
  unsigned long flags;
};

EXPORT int _mysql_plugin_interface_version_ = 0x010B;
EXPORT int _mysql_sizeof_struct_st_plugin_ = sizeof(struct plugin);
EXPORT struct plugin _mysql_plugin_declarations_[] = {
    {AUTHENTICATION_PLUGIN, &descriptor, "AWSAuthenticationPlugin", "rds-iam-proxy", "RDS IAM login for tests",
     LICENSE_OTHER, NULL, NULL, NULL, VERSION, NULL, NULL, NULL, 0},
    {0},
};

#else

static struct {
  int interface_version;
  const char *client_plugin;
  int (*authenticate)(struct vio *, struct login *);
  int (*hash_password)(const char *, size_t, char *, size_t *);
  int (*preprocess_hash)(const char *, size_t, unsigned char *, size_t *);
} descriptor = {0x0202, "mysql_clear_password", authenticate, NULL, NULL};

struct plugin {
  int type;
  void *info;
  const char *name, *author, *description;
  int license;
  int (*init)(void *), (*deinit)(void *);
  unsigned version;
  void *status_variables, *system_variables;
  const char *version_text;
  unsigned maturity;
};

EXPORT int _maria_plugin_interface_version_ = 0x010f;
EXPORT int _maria_sizeof_struct_st_plugin_ = sizeof(struct plugin);
EXPORT struct plugin _maria_plugin_declarations_[] = {
    {AUTHENTICATION_PLUGIN, &descriptor, "AWSAuthenticationPlugin", "rds-iam-proxy", "RDS IAM login for tests",
     LICENSE_OTHER, NULL, NULL, VERSION, NULL, NULL, "1.0", MATURITY_STABLE},
    {0},
};

#endif
