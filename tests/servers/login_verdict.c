/* Judges one login; see login_verdict.h. Each backend of PostgreSQL is a process of its own, so what the rate remembers
 * is a file beside the settings, under flock. */

#include "login_verdict.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "plugin_settings.h"
#include "rds_token.h"

struct recent {
  unsigned next;
  double times[MAX_LOGINS_PER_SECOND]; /* seconds of the monotonic clock; 0: none yet */
};

static int take_place(int fd, unsigned limit) {
  static struct recent recent;
  if (pread(fd, &recent, sizeof recent, 0) < 0) return 0;
  recent.next %= MAX_LOGINS_PER_SECOND;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  double oldest = recent.times[(recent.next + MAX_LOGINS_PER_SECOND - limit) % MAX_LOGINS_PER_SECOND];
  if (oldest != 0 && seconds - oldest < 1) return 0;
  recent.times[recent.next] = seconds;
  recent.next = (recent.next + 1) % MAX_LOGINS_PER_SECOND;
  return pwrite(fd, &recent, sizeof recent, 0) == (ssize_t)sizeof recent;
}

static int within_rate(const char *settings_path, int limit) {
  char path[512];
  if (limit == 0) return 1;
  if (snprintf(path, sizeof path, "%s.rate", settings_path) >= (int)sizeof path) return 0;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return 0;
  int room = flock(fd, LOCK_EX) == 0 && take_place(fd, (unsigned)limit);
  close(fd); /* and with it the lock */
  return room;
}

static int log_verdict(int log_fd, const char *user, const struct verdict *verdict) {
  char name[129], when[32], line[400];
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &parts);
  size_t i = 0;
  for (; i < sizeof name - 1 && user[i]; i++) name[i] = user[i] > ' ' && user[i] < 127 ? user[i] : '?';
  name[i] = 0;
  long ms = now.tv_nsec / 1000000;
  int length = verdict->code ? snprintf(line, sizeof line, "%s.%03ldZ pam_rds_iam refused %s %s %d: %s\n", when, ms, name,
                                        verdict->code, verdict->status, verdict->text)
                             : snprintf(line, sizeof line, "%s.%03ldZ pam_rds_iam accepted %s\n", when, ms, name);
  return length > 0 && write(log_fd, line, (size_t)length) == length;
}

int login_verdict(const char *settings_path, const char *user, const char *token, int log_fd) {
  const char *fault = NULL;
  struct verdict verdict;
  struct settings *settings = read_settings(settings_path, &fault);
  if (!settings)
    verdict = (struct verdict){500, "InternalError", fault};
  else if (!within_rate(settings_path, settings->max_logins_per_second))
    verdict = (struct verdict){429, "ThrottlingException", "too many logins in this second"};
  else
    verdict = check_token(settings, user, token, strlen(token), (long)time(NULL));
  int logged = log_verdict(log_fd, user, &verdict);
  free(settings);
  return logged && !verdict.code;
}
