#include "app/settings/keys.h"

#include <errno.h>
#include <stdio.h>

#include "auth/public_keys.h"
#include "sys/files.h"

#define FILE_MAX 65535

static enum token_algorithm algorithm_of(const struct config *c)
{
	enum token_algorithm a = TOKEN_HS256;
	token_algorithm_find(config_str(c, "JWT_ALGORITHM"), &a);
	return a;
}

static char *read_key(const char *path, char *why, size_t size)
{
	char *text = file_read(path, FILE_MAX, NULL);
	if (!text && errno == EFBIG)
		snprintf(why, size, "%s is longer than 64 KiB", path);
	else if (!text)
		snprintf(why, size, "%s cannot be read by this user: %s", path, strerror(errno));
	return text;
}

static struct token_keys *keys_of(const struct config *c, const char *pem)
{
	return token_keys_new(&(struct token_options){
		.secret = config_str(c, "JWT_SECRET"),
		.old_secrets = config_list(c, "JWT_SECRETS_OLD"),
		.issuer = config_str(c, "JWT_ISSUER"),
		.audience = config_str(c, "JWT_AUDIENCE"),
		.lifetime_s = (unsigned)config_int(c, "JWT_EXPIRATION"),
		.algorithm = algorithm_of(c),
		.public_keys = pem,
	});
}

struct token_keys *keys_make(const struct config *c, char *why, size_t size)
{
	_cleanup_(xfreep) char *pem = NULL;
	if (algorithm_of(c) != TOKEN_HS256 && !(pem = read_key(config_str(c, "JWT_PUBLIC_KEY_FILE"), why, size)))
		return NULL;
	struct token_keys *k = keys_of(c, pem);
	if (!k)
		snprintf(why, size, "JWT_SECRET, JWT_SECRETS_OLD or JWT_PUBLIC_KEY_FILE is not valid; lucid-rdp check-config says why");
	return k;
}

struct token_keys *keys_make_signing(const struct config *c)
{
	return keys_of(c, NULL);
}

struct seal *keys_make_seal(const struct config *c, char *why, size_t size)
{
	struct seal *s = seal_new(config_str(c, "MASTER_KEY"), config_list(c, "MASTER_KEYS_OLD"));
	if (!s)
		snprintf(why, size, "MASTER_KEY or MASTER_KEYS_OLD is not valid; lucid-rdp check-config says why");
	return s;
}

void keys_digest(const struct config *c, char dst[ID_DIGEST_SIZE])
{
	char why[256];
	_cleanup_(xfreep) char *pem = NULL;
	dst[0] = 0;
	if (algorithm_of(c) != TOKEN_HS256 && (pem = read_key(config_str(c, "JWT_PUBLIC_KEY_FILE"), why, sizeof why)))
		id_digest(dst, pem, strlen(pem));
}

bool keys_public_fit(const struct config *c, char *why, size_t size)
{
	enum token_algorithm a = algorithm_of(c);
	if (a == TOKEN_HS256)
		return true;
	_cleanup_(xfreep) char *pem = read_key(config_str(c, "JWT_PUBLIC_KEY_FILE"), why, size);
	struct public_keys *k = pem ? public_keys_parse(a, pem, why, size) : NULL;
	public_keys_free(k);
	return k != NULL;
}
