/* Checks an RDS IAM token as RDS does: a presigned `GET HOST:PORT/?Action=connect&DBUser=...` (AWS Signature V4). */

#ifndef RDS_TOKEN_H
#define RDS_TOKEN_H

#include <stddef.h>

#include "plugin_settings.h"

#define MAX_TOKEN_BYTES 16384

struct verdict {
  int status;       /* 200, or what RDS logs in iam-db-auth-error */
  const char *code; /* InvalidToken, ExpiredToken, NotAuthorized; NULL when accepted */
  const char *text; /* why; never anything of the token itself */
};

/* `user` and `token` end in a NUL that their lengths do not count; `now` is in Unix seconds. */
struct verdict check_token(const struct settings *settings, const char *user, const char *token,
                           size_t token_length, long now);

#endif
