/* Stands in for libpam in a PostgreSQL server: LD_PRELOADed, it needs neither root nor a file in /etc/pam.d.
 *
 * The functions of libpam that PostgreSQL calls, with Linux-PAM's ABI. The password is asked for as pam_unix would, and
 * judged as an RDS IAM token by the settings that AWS_AUTHENTICATION_PLUGIN_SETTINGS names. A backend's stderr is the
 * server's log. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "login_verdict.h"

#define EXPORT __attribute__((visibility("default")))

enum { PAM_SUCCESS = 0, PAM_BUF_ERR = 5, PAM_PERM_DENIED = 6, PAM_AUTH_ERR = 7 };
enum { PAM_USER = 2, PAM_CONV = 5 };
enum { PAM_PROMPT_ECHO_OFF = 1 };

struct pam_message {
  int msg_style;
  const char *msg;
};

struct pam_response {
  char *resp;
  int resp_retcode;
};

struct pam_conv {
  int (*conv)(int count, const struct pam_message **messages, struct pam_response **responses, void *appdata);
  void *appdata_ptr;
};

struct handle {
  struct pam_conv conv;
  char *user;
};

static int set_user(struct handle *pam, const char *user) {
  free(pam->user);
  pam->user = strdup(user);
  return pam->user ? PAM_SUCCESS : PAM_BUF_ERR;
}

EXPORT int pam_start(const char *service, const char *user, const struct pam_conv *conv, struct handle **out) {
  (void)service;
  struct handle *pam = calloc(1, sizeof *pam);
  if (!pam) return PAM_BUF_ERR;
  pam->conv = *conv;
  *out = pam;
  return set_user(pam, user);
}

EXPORT int pam_set_item(struct handle *pam, int item, const void *value) {
  if (item == PAM_CONV) pam->conv = *(const struct pam_conv *)value;
  return item == PAM_USER ? set_user(pam, value) : PAM_SUCCESS;
}

EXPORT int pam_authenticate(struct handle *pam, int flags) {
  (void)flags;
  const struct pam_message ask = {PAM_PROMPT_ECHO_OFF, "Password: "}, *asks[] = {&ask};
  struct pam_response *answer = NULL;
  int got = pam->conv.conv(1, asks, &answer, pam->conv.appdata_ptr);
  if (got != PAM_SUCCESS) return got;
  if (!answer || !answer->resp) return PAM_AUTH_ERR;
  int in = login_verdict(getenv("AWS_AUTHENTICATION_PLUGIN_SETTINGS"), pam->user, answer->resp, STDERR_FILENO);
  free(answer->resp);
  free(answer);
  return in ? PAM_SUCCESS : PAM_PERM_DENIED; /* what RDS's own module says */
}

EXPORT int pam_acct_mgmt(struct handle *pam, int flags) {
  (void)pam;
  (void)flags;
  return PAM_SUCCESS;
}

EXPORT const char *pam_strerror(struct handle *pam, int error) {
  (void)pam;
  return error == PAM_PERM_DENIED ? "Permission denied" : "Authentication failure";
}

EXPORT int pam_end(struct handle *pam, int status) {
  (void)status;
  free(pam->user);
  free(pam);
  return PAM_SUCCESS;
}
