/* Reads the plugin's settings; see plugin_settings.h. */

#include "plugin_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long parse_digits(const char *text) {
  long number = 0;
  size_t length = strlen(text);
  if (length == 0 || length > 12) return -1;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return -1;
    number = number * 10 + (*text - '0');
  }
  return number;
}

static char *trimmed(char *text) {
  while (*text == ' ' || *text == '\t') text++;
  char *end = text + strlen(text);
  while (end > text && strchr(" \t\r", end[-1])) *--end = 0;
  return text;
}

/* Puts one setting in its place; the fault or NULL. */
static const char *set(struct settings *settings, const char *name, const char *value) {
  struct access_key *key = settings->key_count ? &settings->keys[settings->key_count - 1] : NULL;
  if (!strcmp(name, "endpoint")) {
    settings->endpoint = value;
  } else if (!strcmp(name, "region")) {
    settings->region = value;
  } else if (!strcmp(name, "max_logins_per_second")) {
    long limit = parse_digits(value);
    if (limit < 0 || limit > MAX_LOGINS_PER_SECOND) return "max_logins_per_second is no number up to 4096";
    settings->max_logins_per_second = (int)limit;
  } else if (!strcmp(name, "not_authorized")) {
    if (settings->not_authorized_count == MAX_NOT_AUTHORIZED) return "too many not_authorized lines";
    settings->not_authorized[settings->not_authorized_count++] = value;
  } else if (!strcmp(name, "access_key")) {
    if (settings->key_count == MAX_KEYS) return "too many access_key lines";
    settings->keys[settings->key_count++].id = value;
  } else if (!key) {
    return "a setting that is not known, or that an access_key line must precede";
  } else if (!strcmp(name, "secret_key")) {
    key->secret = value;
  } else if (!strcmp(name, "session_token")) {
    key->session_token = value;
  } else if (!strcmp(name, "expires")) {
    key->expires = parse_digits(value);
    if (key->expires < 0) return "expires is no number";
  } else {
    return "a setting that is not known";
  }
  return NULL;
}

static const char *parse(struct settings *settings) {
  char *rest = settings->text;
  while (rest) {
    char *line = rest, *end = strchr(rest, '\n');
    if (end) *end = 0;
    rest = end ? end + 1 : NULL;
    line = trimmed(line);
    if (!*line || *line == '#') continue;
    char *equals = strchr(line, '=');
    if (!equals) return "a line without '='";
    *equals = 0;
    const char *fault = set(settings, trimmed(line), trimmed(equals + 1));
    if (fault) return fault;
  }
  if (!settings->endpoint || !settings->region) return "endpoint or region is missing";
  for (int i = 0; i < settings->key_count; i++)
    if (!settings->keys[i].secret) return "an access_key without a secret_key";
  return NULL;
}

struct settings *read_settings(const char *path, const char **fault) {
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) {
    *fault = "AWS_AUTHENTICATION_PLUGIN_SETTINGS names no file that can be read";
    return NULL;
  }
  struct settings *settings = calloc(1, sizeof *settings);
  if (!settings) {
    *fault = "out of memory";
  } else {
    size_t length = fread(settings->text, 1, sizeof settings->text, file);
    *fault = length == sizeof settings->text ? "the settings file is too long" : parse(settings);
  }
  fclose(file);
  if (*fault) {
    free(settings);
    return NULL;
  }
  return settings;
}
