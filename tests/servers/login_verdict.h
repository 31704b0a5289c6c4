/* One verdict on one login at PostgreSQL: settings, rate, token, log line. */

#ifndef LOGIN_VERDICT_H
#define LOGIN_VERDICT_H

/* 1: let in. Reads the settings file anew each time; the line goes to `log_fd`. */
int login_verdict(const char *settings_path, const char *user, const char *token, int log_fd);

#endif
